//! How a call ended. <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>

use axum::body::Body;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a message must not have as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The codes that services here use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// A code, with a message for people and with metadata.
#[derive(Debug)]
pub(crate) struct Status {
    code: Code,
    message: String,
    metadata: Vec<(HeaderName, String)>,
}

impl Status {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            metadata: Vec::new(),
        }
    }

    pub(crate) fn ok() -> Self {
        Self::new(Code::Ok, "")
    }

    /// Nothing here is called so.
    pub(crate) fn no_method(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message = format!("there is no {}", path.escape_debug());
        Self::new(Code::Unimplemented, message)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.metadata.push((name, value.into()));
        self
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// As trailers, or as the headers of an answer that has nothing else. A value that were not allowed is left out.
    pub(super) fn into_headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from(self.code as u16));
        let message = utf8_percent_encode(&self.message, ENCODED).to_string();
        if let Ok(message) = HeaderValue::from_str(&message)
            && !message.is_empty()
        {
            headers.insert("grpc-message", message);
        }
        for (name, value) in self.metadata {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers
    }

    /// The answer that is nothing but this.
    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.into_headers();
        let content_type = HeaderValue::from_static(super::CONTENT_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        let accepted = HeaderValue::from_static("identity");
        response
            .headers_mut()
            .insert("grpc-accept-encoding", accepted);
        response
    }
}
