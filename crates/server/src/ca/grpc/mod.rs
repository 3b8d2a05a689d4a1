//! Fulcio v2 over gRPC: the same journeys as over HTTP, with the same refusals.

pub(super) mod messages;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, header};

use self::messages::{
    AskedKey as SentKey, CertificateChain, Configuration, CreateSigningCertificateRequest,
    DetachedSct, EmbeddedSct, SignedCertificate, SigningCertificate, TrustBundle,
};
use super::issue::{Issued, issue};
use super::refusal::Refusal;
use super::request::{Asked, AskedKey, bearer, no_token};
use super::{Inner, answer};
use crate::grpc::{self, Code, Empty, Messages, Status};

/// The full name of the service.
pub(crate) const SERVICE: &str = "dev.sigstore.fulcio.v2.CA";
const CREATE: &str = "/dev.sigstore.fulcio.v2.CA/CreateSigningCertificate";
const TRUST_BUNDLE: &str = "/dev.sigstore.fulcio.v2.CA/GetTrustBundle";
const CONFIGURATION: &str = "/dev.sigstore.fulcio.v2.CA/GetConfiguration";

/// What a path is called in metrics; `None` if it is none of a call.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    let calls = [CREATE, TRUST_BUNDLE, CONFIGURATION];
    let call = calls.into_iter().find(|call| *call == path);
    call.or_else(|| grpc::about::endpoint(path))
}

/// Answers a call, within its deadline if it has one.
pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    let late = "the deadline is over; a certificate may still be issued, and be in the CT log";
    grpc::within_deadline(request, late, |request| route(inner, request)).await
}

async fn route(inner: Arc<Inner>, request: Request) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let mut messages = Messages::new(body);
    let place = inner.clone();
    let large = &place.messages;
    match parts.uri.path() {
        CREATE => {
            let sent: CreateSigningCertificateRequest = messages.single(large).await?;
            let token = sent.credentials.map(|it| it.oidc_identity_token);
            let token = token.filter(|token| !token.is_empty());
            let token = token.or_else(|| bearer(&parts.headers));
            let asked = Asked {
                token: token.ok_or_else(|| no_token().status())?,
                key: key(sent.key),
                lifetime: None,
            };
            // In a task of its own, as over HTTP: a certificate that is in the CT log is to be finished.
            let issued = tokio::spawn(async move {
                let id = answer::request_id(&parts.headers);
                let issued = issue(&inner, asked, id).await;
                // Among them is what the server counts this work by.
                drop(parts.extensions);
                issued
            });
            let issued = issued.await;
            let issued =
                issued.unwrap_or_else(|error| Err(Refusal::fault("a request failed", error)));
            Ok(grpc::reply(&shown(&issued.map_err(Refusal::status)?)))
        }
        TRUST_BUNDLE => {
            let Empty {} = messages.single(large).await?;
            let chains = inner.believed().into_iter();
            Ok(grpc::reply(&TrustBundle {
                chains: chains
                    .map(|certificates| CertificateChain { certificates })
                    .collect(),
            }))
        }
        CONFIGURATION => {
            let Empty {} = messages.single(large).await?;
            let configuration = inner.configuration();
            let issuers = configuration.issuers().iter().map(answer::shown);
            Ok(grpc::reply(&Configuration {
                issuers: issuers.collect(),
            }))
        }
        path if grpc::about::endpoint(path).is_some() => {
            let own = grpc::about::Service {
                name: SERVICE,
                serves: serves(&inner),
            };
            grpc::about::answer(path, messages, large, vec![own], &inner.watching).await
        }
        path => Err(Status::no_method(path)),
    }
}

/// Whether certificates can be logged; it is not kept by who asks.
pub(super) fn serves(inner: &Arc<Inner>) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let inner = Arc::downgrade(inner);
    Arc::new(move || inner.upgrade().is_some_and(|inner| inner.is_healthy()))
}

fn key(sent: Option<SentKey>) -> AskedKey {
    match sent {
        Some(SentKey::CertificateSigningRequest(request)) => AskedKey::Request(request),
        Some(SentKey::PublicKeyRequest(request)) => AskedKey::Proven {
            key: request.public_key.unwrap_or_default().content.into_bytes(),
            proof: request.proof_of_possession,
        },
        None => AskedKey::Proven {
            key: Vec::new(),
            proof: Vec::new(),
        },
    }
}

fn shown(issued: &Issued) -> SigningCertificate {
    let pems = issued.pems();
    let chain = Some(CertificateChain {
        certificates: pems.iter().map(|pem| pem.trim_end().to_owned()).collect(),
    });
    let certificate = match issued.is_promised {
        true => SignedCertificate::EmbeddedSct(EmbeddedSct { chain }),
        false => SignedCertificate::DetachedSct(DetachedSct {
            chain,
            signed_certificate_timestamp: Vec::new(),
        }),
    };
    SigningCertificate {
        certificate: Some(certificate),
    }
}

/// A request that was refused before the CA saw it, to who asked over gRPC.
pub(super) fn refused_early(refusal: Refusal, retry_after: Option<u64>) -> Response<Body> {
    let status = refusal.status();
    let status = match retry_after {
        Some(seconds) => status.with(header::RETRY_AFTER, seconds.to_string()),
        None => status,
    };
    status.response()
}

impl Refusal {
    /// The same over gRPC.
    pub(super) fn status(self) -> Status {
        let code: Code = self.code();
        Status::new(code, self.message)
    }
}
