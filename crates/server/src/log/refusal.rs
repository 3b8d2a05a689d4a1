//! Refusals: what the clients of a Rekor are told when they do not get what they asked for.
//!
//! Invariant: a refusal tells the client what it did, never where on this machine something is; what went wrong here
//! goes to the log.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use sealmark_entries::Violation;
use serde::Serialize;
use serde_json::json;

use crate::grpc;
use crate::ops::{Refused, body};

/// An answer that is not what the client asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: u16,
    message: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    /// Rekor v1's form: `{"code", "message"}` with the status as the code.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: status.as_u16(),
            message: Some(message.into()),
            headers: Vec::new(),
        }
    }

    /// A field or parameter that is not as the interface's description says: 422 with the [`Violation`]'s code.
    pub(super) fn invalid(violation: Violation, message: impl Into<String>) -> Self {
        Self {
            code: violation.code(),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
        }
    }

    /// There is no such entry; Rekor's answer has no body.
    pub(super) fn no_entry() -> Self {
        Self {
            message: None,
            ..Self::new(StatusCode::NOT_FOUND, "")
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What went wrong here; the client learns that it did.
    pub(super) fn fault(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("transparency log: a request failed: {error}");
        let message = "the log could not read or write its storage; its own log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(super) fn response_v1(self) -> Response<Body> {
        let body = self
            .message
            .map(|message| json!({"code": self.code, "message": message}));
        answer(self.status, self.headers, body)
    }

    /// The same over gRPC.
    pub(super) fn status(self) -> grpc::Status {
        let message = self.message.unwrap_or_else(|| "not found".to_owned());
        let status = grpc::Status::new(grpc_code(self.status), message);
        let headers = self.headers.into_iter();
        headers.fold(status, |status, (name, value)| status.with(name, value))
    }

    /// Rekor v2's form: that of a gRPC gateway.
    pub(super) fn response_v2(self) -> Response<Body> {
        let code = grpc_code(self.status) as u16;
        let status = match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        let message = self.message.unwrap_or_else(|| "not found".to_owned());
        let body = json!({"code": code, "message": message, "details": []});
        answer(status, self.headers, Some(body))
    }
}

fn grpc_code(status: StatusCode) -> grpc::Code {
    use grpc::Code;
    match status.as_u16() {
        400 | 413 | 422 => Code::InvalidArgument,
        404 => Code::NotFound,
        405 | 501 => Code::Unimplemented,
        408 => Code::DeadlineExceeded,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

impl From<sealmark_entries::Error> for Refusal {
    fn from(error: sealmark_entries::Error) -> Self {
        use sealmark_entries::Error;
        match error {
            Error::Invalid { violation, message } => Self::invalid(violation, message),
            Error::Malformed(_) | Error::Refused(_) => {
                Self::new(StatusCode::BAD_REQUEST, error.to_string())
            }
        }
    }
}

impl From<sealmark_log::Error> for Refusal {
    fn from(error: sealmark_log::Error) -> Self {
        use sealmark_log::Error;
        match &error {
            Error::Refused(_) => sealmark_entries::Error::entry(error).into(),
            Error::Overloaded { retry_after, .. } => {
                let seconds = retry_after.as_secs().max(1).to_string();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                    .with(header::RETRY_AFTER, seconds)
            }
            Error::ClockSetBack { .. } => {
                tracing::error!("transparency log: {error}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                    .with(header::RETRY_AFTER, "5")
            }
            Error::Closed | Error::Stopped { .. } => {
                tracing::error!("transparency log: {error}");
                let message = "the log is stopping: the entry may be in it or not; send it again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).with(header::RETRY_AFTER, "5")
            }
            _ => Self::fault(&error),
        }
    }
}

impl From<body::Error> for Refusal {
    fn from(error: body::Error) -> Self {
        let refusal = Self::new(error.status(), error.to_string());
        match error.retry_after() {
            Some(seconds) => refusal.with(header::RETRY_AFTER, seconds.to_string()),
            None => refusal,
        }
    }
}

/// What a server refused before the log saw it.
pub(super) fn refused(path: &str, refused: Refused) -> Response<Body> {
    let refusal = Refusal::new(refused.status, refused.message);
    if path.starts_with("/api/v2/") {
        refusal.response_v2()
    } else if super::grpc::endpoint(path).is_some() {
        refusal.status().response()
    } else {
        refusal.response_v1()
    }
}

/// A response from what it consists of. A value that were not allowed in a header is left out.
pub(super) fn answer(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, String)>,
    json: Option<impl Serialize>,
) -> Response<Body> {
    // Only what is no JSON value cannot be written, a map with keys that are not strings, say.
    let body = json.and_then(|json| serde_json::to_vec(&json).ok());
    let body = body.map_or_else(Body::empty, Body::from);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
