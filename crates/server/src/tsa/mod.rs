//! The timestamp authority: RFC 3161, as Sigstore's clients ask.
//! <https://github.com/sigstore/timestamp-authority/blob/main/openapi.yaml>
//!
//! Invariants: a time is never earlier than the one before; a clock that was set stops the service from stamping, and
//! says so; a number is never used twice.
//!
//! Not supported: extensions of requests, and time from other machines (NTP): the system's clock has to be kept right
//! by the system.

mod clock;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::PrivateKey;
use sealmark_log::Clock;
use sealmark_x509::issue::{TimestampInfo, granted};
use sealmark_x509::{Certificate, MAX_TIMESTAMP_REQUEST, TimestampRequest};
use serde::Deserialize;
use serde_json::json;

use self::clock::WatchedClock;
use crate::ca::Authority;
use crate::serial::serial;
use crate::{Error, ops};

/// Sigstore's policy, and the only one.
pub const POLICY: &str = "1.3.6.1.4.1.57264.2";
/// How far off the time may be, in seconds.
const ACCURACY: u8 = 1;
/// Time for a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const NO_CACHE: &str = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";

/// A timestamp authority.
#[derive(Clone)]
pub struct TimestampAuthority(Arc<Inner>);

struct Inner {
    key: PrivateKey,
    /// Its own certificate first, the root last.
    chain: Vec<Certificate>,
    clock: WatchedClock,
}

/// As clients in JavaScript ask.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest {
    artifact_hash: String,
    #[serde(default)]
    certificates: bool,
    hash_algorithm: String,
    #[serde(default)]
    nonce: Option<u64>,
    #[serde(default, rename = "tsaPolicyOID")]
    policy: Option<String>,
}

struct Refusal(StatusCode, String);

impl TimestampAuthority {
    /// An authority with this key and certificate, and the certificates above it, the root last.
    ///
    /// # Errors
    /// If they do not belong together.
    pub fn new(
        own: Authority,
        above: &[Certificate],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let chain: Vec<_> = std::iter::once(own.certificate)
            .chain(above.iter().cloned())
            .collect();
        let belongs = chain[0].spki_der() == own.key.public_key().spki_der()
            && chain.windows(2).all(|pair| pair[0].is_signed_by(&pair[1]));
        if !belongs || above.is_empty() {
            let reason = "the timestamp authority's key and certificates do not belong together";
            return Err(Error::Authority(reason.to_owned()));
        }
        Ok(Self(Arc::new(Inner {
            key: own.key,
            chain,
            clock: WatchedClock::new(clock),
        })))
    }

    /// The certificates, its own first.
    pub fn chain(&self) -> &[Certificate] {
        &self.0.chain
    }

    /// All endpoints, with what a server needs to count them.
    pub fn service(&self) -> ops::Service {
        ops::Service::new("tsa", self.clone().router(), |path| match path {
            "/api/v1/timestamp" => Some("/api/v1/timestamp"),
            "/api/v1/timestamp/certchain" => Some("/api/v1/timestamp/certchain"),
            _ => None,
        })
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        let answer = move |request: Request| {
            let inner = self.0.clone();
            async move { inner.answer(request).await }
        };
        Router::new().fallback(answer)
    }
}

impl Inner {
    async fn answer(&self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let answered = match (parts.method.as_str(), parts.uri.path()) {
            ("POST", "/api/v1/timestamp") => {
                let content_type = parts.headers.get(header::CONTENT_TYPE);
                let content_type = content_type.and_then(|it| it.to_str().ok());
                self.stamp(content_type.unwrap_or_default(), body).await
            }
            ("GET" | "HEAD", "/api/v1/timestamp/certchain") => {
                let pem: String = self.chain.iter().map(Certificate::to_pem).collect();
                let mut response =
                    response(StatusCode::OK, "application/pem-certificate-chain", pem);
                let value = HeaderValue::from_static("public, max-age=86400");
                response.headers_mut().insert(header::CACHE_CONTROL, value);
                Ok(response)
            }
            (_, "/api/v1/timestamp" | "/api/v1/timestamp/certchain") => Err(Refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("method {} is not allowed", parts.method),
            )),
            (_, path) => {
                let path: String = path.chars().take(200).collect();
                Err(Refusal(
                    StatusCode::NOT_FOUND,
                    format!("path {path} was not found"),
                ))
            }
        };
        answered.unwrap_or_else(|Refusal(status, message)| {
            let json = json!({"code": status.as_u16(), "message": message});
            let mut response = response(status, "application/json", json.to_string());
            if status == StatusCode::SERVICE_UNAVAILABLE {
                let value = HeaderValue::from_static("60");
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        })
    }

    async fn stamp(&self, content_type: &str, body: Body) -> Result<Response<Body>, Refusal> {
        let is_json = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/timestamp-query" => false,
            "application/json" => true,
            other => {
                let other: String = other.chars().take(100).collect();
                return Err(Refusal(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    format!(
                        "unsupported media type {other:?}, only [application/json application/timestamp-query] are allowed"
                    ),
                ));
            }
        };
        let read = axum::body::to_bytes(body, MAX_TIMESTAMP_REQUEST);
        let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let message = format!(
                    "timestamp request is too large: at most {MAX_TIMESTAMP_REQUEST} bytes are read"
                );
                return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            Err(_) => {
                let message = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
                return Err(Refusal(StatusCode::REQUEST_TIMEOUT, message));
            }
        };
        let request = match is_json {
            true => from_json(&body)?,
            false => TimestampRequest::from_der(&body).map_err(bad)?,
        };
        let reply = self.reply(request)?;
        let mut response = response(StatusCode::OK, "application/timestamp-reply", reply);
        let value = HeaderValue::from_static(NO_CACHE);
        response.headers_mut().insert(header::CACHE_CONTROL, value);
        Ok(response)
    }

    fn reply(&self, request: TimestampRequest) -> Result<Vec<u8>, Refusal> {
        if let Some(policy) = request.policy.as_deref().filter(|policy| *policy != POLICY) {
            return Err(bad(format_args!(
                "unaccepted policy: requested TSA policy {policy} is not supported by the TSA, only {POLICY} is"
            )));
        }
        let seconds = self.clock.seconds().map_err(|doubt| {
            tracing::error!("timestamp authority: {doubt}");
            Refusal(StatusCode::SERVICE_UNAVAILABLE, doubt.to_string())
        })?;
        let fault = |error: &dyn std::fmt::Display| {
            tracing::error!("timestamp authority: {error}");
            let message = "Error generating timestamp response".to_owned();
            Refusal(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let info = TimestampInfo {
            policy: POLICY.to_owned(),
            imprint: request.imprint,
            serial: serial().map_err(|error| fault(&error))?,
            unix_seconds: seconds,
            accuracy_seconds: Some(ACCURACY),
            nonce: request.nonce,
        };
        let own = &self.chain[0];
        let inside = match request.certificates {
            true => std::slice::from_ref(own),
            false => &[],
        };
        info.sign(own, &self.key, inside)
            .and_then(|token| granted(&token))
            .map_err(|error| fault(&error))
    }
}

fn bad(reason: impl std::fmt::Display) -> Refusal {
    let reason = sealmark_formats::excerpt(reason.to_string());
    Refusal(
        StatusCode::BAD_REQUEST,
        format!("Error generating timestamp response: {reason}"),
    )
}

fn from_json(body: &[u8]) -> Result<TimestampRequest, Refusal> {
    let request: JsonRequest = serde_json::from_slice(body).map_err(bad)?;
    let hash = HashAlgorithm::from_name(&request.hash_algorithm)
        .ok_or_else(|| bad("hashAlgorithm must be sha256, sha384 or sha512"))?;
    let digest = STANDARD
        .decode(&request.artifact_hash)
        .map_err(|_| bad("artifactHash is not base64"))?;
    let imprint = Digest::from_bytes(hash, &digest).ok_or_else(|| {
        bad(format_args!(
            "artifactHash is not as long as a {hash} digest"
        ))
    })?;
    Ok(TimestampRequest {
        imprint,
        policy: request.policy.filter(|policy| !policy.is_empty()),
        // A DER integer: no leading zeros, but one before a byte that would make it negative.
        nonce: request.nonce.map(|nonce| {
            let bytes = nonce.to_be_bytes();
            let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
            let mut content = bytes[start..].to_vec();
            if content[0] & 0x80 != 0 {
                content.insert(0, 0);
            }
            content
        }),
        certificates: request.certificates,
    })
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
