//! Refusals: the specification's error codes and the JSON that carries them.
//!
//! Invariant: a refusal tells the client what it did, never where on this machine something is; what went wrong
//! here goes to the log.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>

use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Error;

/// The specification's error codes, and `UNKNOWN` for faults of the registry itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::upper_case_acronyms)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Unsupported,
    TooManyRequests,
    Unknown,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// An answer that is not what the client asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    errors: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            errors: Vec::new(),
            headers: Vec::new(),
        }
        .and(code, message, Value::Null)
    }

    /// One more error in the same answer.
    pub(super) fn and(mut self, code: Code, message: impl Into<String>, detail: Value) -> Self {
        let message: String = message.into();
        self.errors
            .push(json!({"code": code.name(), "message": message, "detail": detail}));
        self
    }

    /// A refusal that has no error yet.
    pub(super) fn several(status: StatusCode) -> Self {
        Self {
            status,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn bad_request(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, message)
    }

    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let message = format!("this endpoint has the methods {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message)
            .with(header::ALLOW, allowed)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Error::DigestMismatch { .. } = error {
            return Self::bad_request(Code::DigestInvalid, error.to_string());
        }
        tracing::error!("registry: {error}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unknown,
            "the registry could not read or write its storage; its log says why",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"errors": self.errors}).to_string();
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
