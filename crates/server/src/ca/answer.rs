//! From a request to the endpoint that answers it, in Fulcio's words.
//! <https://github.com/sigstore/fulcio/blob/main/fulcio.proto>

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Extensions, HeaderMap, Response, StatusCode};
use sealmark_identity::{Issuer, IssuerType};
use serde::Serialize;
use serde_json::{Value, json};

use super::grpc::messages::{IssuerUrl, OidcIssuer};
use super::issue::{Issued, issue};
use super::refusal::Refusal;
use super::{Inner, grpc, request};
use crate::ops::{Refused, body};

/// Bytes of a request: as Fulcio's.
const MAX_BODY: usize = 4 << 20;
const JSON: &str = "application/json";
const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// What a path is called in metrics; `None` if the CA has no such endpoint.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    const ENDPOINTS: [&str; 5] = [
        "/api/v2/signingCert",
        "/api/v1/signingCert",
        "/api/v2/trustBundle",
        "/api/v1/rootCert",
        "/api/v2/configuration",
    ];
    let endpoint = ENDPOINTS.into_iter().find(|endpoint| *endpoint == path);
    endpoint.or_else(|| grpc::endpoint(path))
}

/// A request that was refused before the CA saw it.
pub(super) fn refused_early(path: &str, early: Refused) -> Response<Body> {
    let refusal = Refusal {
        status: early.status,
        message: early.message,
    };
    if grpc::endpoint(path).is_some() {
        return grpc::refused_early(refusal, early.retry_after);
    }
    let mut response = refused(&refusal);
    if let Some(seconds) = early.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Answers in a task of its own: the server drops a request's future when its client goes, and a certificate that is in
/// the CT log is to be finished, with its line in the audit log.
pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    match tokio::spawn(route(inner, request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => refused(&Refusal::fault("a request failed", error)),
    }
}

async fn route(inner: Arc<Inner>, request: Request) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    match (parts.method.as_str(), parts.uri.path()) {
        ("POST", "/api/v2/signingCert") => {
            let body = read(&headers, &parts.extensions, body).await?;
            let asked = request::read_v2(&headers, &body.bytes)?;
            let issued = issue(&inner, asked, request_id(&headers)).await?;
            Ok(answer(StatusCode::OK, JSON, v2(&issued)?))
        }
        ("POST", "/api/v1/signingCert") => {
            let body = read(&headers, &parts.extensions, body).await?;
            let asked = request::read_v1(&headers, &body.bytes)?;
            let issued = issue(&inner, asked, request_id(&headers)).await?;
            let mut pem = issued.pems().concat();
            pem.truncate(pem.trim_end().len());
            Ok(answer(StatusCode::CREATED, PEM_CHAIN, pem))
        }
        ("GET" | "HEAD", "/api/v2/trustBundle") => Ok(json_answer(
            &json!({"chains": inner.believed().iter().map(|chain| json!({"certificates": chain})).collect::<Vec<_>>()}),
        )),
        ("GET" | "HEAD", "/api/v1/rootCert") => {
            let pem = inner.signing().pems.concat();
            Ok(answer(StatusCode::OK, PEM_CHAIN, pem))
        }
        ("GET" | "HEAD", "/api/v2/configuration") => Ok(json_answer(&configuration(&inner))),
        (
            _,
            "/api/v2/signingCert"
            | "/api/v1/signingCert"
            | "/api/v2/trustBundle"
            | "/api/v1/rootCert"
            | "/api/v2/configuration",
        ) => Err(Refusal {
            status: StatusCode::NOT_IMPLEMENTED,
            message: "Method Not Allowed".to_owned(),
        }),
        _ => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            message: "Not Found".to_owned(),
        }),
    }
}

pub(super) fn request_id(headers: &HeaderMap) -> &str {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    id.filter(|id| id.len() <= 128).unwrap_or_default()
}

/// The whole body, and the room that it takes, which is to be kept as long as something is made of it.
async fn read(
    headers: &HeaderMap,
    extensions: &Extensions,
    body: Body,
) -> Result<body::Whole, Refusal> {
    let whole = body::read(headers, extensions, body).await;
    let whole = whole.and_then(|whole| match whole.bytes.len() {
        ..=MAX_BODY => Ok(whole),
        _ => Err(body::Error::TooLarge(MAX_BODY)),
    });
    whole.map_err(|error| Refusal {
        status: error.status(),
        message: error.to_string(),
    })
}

/// The answer to v2, of which most is the chain: it is written once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum V2<'a> {
    SignedCertificateEmbeddedSct {
        chain: Chain<'a>,
    },
    #[serde(rename_all = "camelCase")]
    SignedCertificateDetachedSct {
        chain: Chain<'a>,
        signed_certificate_timestamp: &'static str,
    },
}

#[derive(Serialize)]
struct Chain<'a> {
    certificates: Vec<&'a str>,
}

fn v2(issued: &Issued) -> Result<String, Refusal> {
    let pems = issued.pems();
    let chain = Chain {
        certificates: pems.iter().map(|pem| pem.trim_end()).collect(),
    };
    let answer = match issued.is_promised {
        true => V2::SignedCertificateEmbeddedSct { chain },
        false => V2::SignedCertificateDetachedSct {
            chain,
            signed_certificate_timestamp: "",
        },
    };
    serde_json::to_string(&answer).map_err(|error| Refusal::fault("an answer failed", error))
}

fn configuration(inner: &Inner) -> Value {
    let configuration = inner.configuration();
    let issuers = configuration.issuers().iter().map(|issuer| {
        let shown = shown(issuer);
        let name = match issuer.is_wildcard() {
            true => "wildcardIssuerUrl",
            false => "issuerUrl",
        };
        json!({
            name: issuer.url,
            "audience": shown.audience,
            "challengeClaim": shown.challenge_claim,
            "spiffeTrustDomain": shown.spiffe_trust_domain,
            "issuerType": shown.issuer_type,
            "subjectDomain": shown.subject_domain,
            "skipEmailVerification": shown.skip_email_verification,
        })
    });
    json!({"issuers": issuers.collect::<Vec<_>>()})
}

/// What callers are told of an issuer.
pub(super) fn shown(issuer: &Issuer) -> OidcIssuer {
    let (spiffe, subject_domain) = match &issuer.kind {
        IssuerType::Spiffe { trust_domain } => (trust_domain.as_str(), ""),
        IssuerType::Username { domain } | IssuerType::Uri { domain } => ("", domain.as_str()),
        _ => ("", ""),
    };
    let url = issuer.url.clone();
    OidcIssuer {
        issuer: Some(match issuer.is_wildcard() {
            true => IssuerUrl::Wildcard(url),
            false => IssuerUrl::Exact(url),
        }),
        audience: issuer.client_id.clone(),
        challenge_claim: issuer.challenge().to_owned(),
        spiffe_trust_domain: spiffe.to_owned(),
        issuer_type: issuer.kind.name().to_owned(),
        subject_domain: subject_domain.to_owned(),
        skip_email_verification: issuer.skip_email_verification,
    }
}

fn json_answer(value: &Value) -> Response<Body> {
    answer(StatusCode::OK, JSON, value.to_string())
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let body = json!({"code": refusal.code() as u16, "message": refusal.message, "details": []});
    let mut response = answer(refusal.status, "application/json", body.to_string());
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        let value = HeaderValue::from_static("5");
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
