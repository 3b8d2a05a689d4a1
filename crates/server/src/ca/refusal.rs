//! What callers of a CA are told when they get no certificate. The first words are Fulcio's, so that who knows them
//! finds them; the cause follows.
//!
//! Invariant: neither a token nor a part of one is in a message.

use axum::http::StatusCode;

use crate::grpc::Code;

/// A certificate that was not issued.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    fn bad(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: sealmark_formats::excerpt(message),
        }
    }

    pub(super) fn token(reason: impl std::fmt::Display) -> Self {
        Self::bad(format!(
            "There was an error processing the identity token: {reason}"
        ))
    }

    pub(super) fn body(error: &serde_json::Error) -> Self {
        Self::bad(format!(
            "The body is not a request for a certificate: {error}"
        ))
    }

    pub(super) fn key(reason: &str) -> Self {
        Self::bad(format!(
            "The public key supplied in the request could not be parsed: {reason}"
        ))
    }

    pub(super) fn insecure(found: &str) -> Self {
        Self::bad(format!(
            "The public key supplied in the request is insecure: {found}; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048, 3072 or 4096 bits"
        ))
    }

    pub(super) fn request(reason: &str) -> Self {
        Self::bad(format!(
            "The certificate signing request could not be parsed: {reason}"
        ))
    }

    pub(super) fn proof() -> Self {
        Self::bad(
            "The signature supplied in the request could not be verified: it must be by the key, over the token's email or sub"
                .to_owned(),
        )
    }

    pub(super) fn lifetime(most: u64) -> Self {
        Self::bad(format!(
            "lifetimeSeconds must be from 1 to {most}, which is what this CA gives"
        ))
    }

    /// Something here did not work; the caller may try again.
    pub(super) fn unavailable(message: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: message.to_owned(),
        }
    }

    /// What went wrong here; the caller learns that it did.
    pub(super) fn fault(what: &str, error: impl std::fmt::Display) -> Self {
        tracing::error!("certificate authority: {what}: {error}");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: what.to_owned(),
        }
    }

    /// The code of gRPC.
    pub(super) fn code(&self) -> Code {
        match self.status {
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => {
                Code::ResourceExhausted
            }
            StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            _ => Code::Internal,
        }
    }
}
