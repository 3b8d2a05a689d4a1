//! From a request to the endpoint that answers it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use serde_json::Value;

use super::{CtError, CtLog, read, submit};
use crate::ops::body;

/// Bytes of a submission: a chain of ten certificates of some kilobytes, in base64.
const MAX_BODY: usize = 512 << 10;

/// What is answered.
pub(super) enum Answer {
    Json(Value),
    /// A file that never changes, of this type.
    Immutable(&'static str, Vec<u8>),
    /// Text that changes.
    Text(String),
    /// Status and reason.
    Failed(StatusCode, String),
}

impl From<CtError> for Answer {
    fn from(error: CtError) -> Self {
        match error {
            CtError::Refused(reason) => Self::Failed(StatusCode::BAD_REQUEST, reason),
            CtError::Log(error) if error.is_passing() => {
                Self::Failed(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            CtError::Log(_) | CtError::Fault(_) | CtError::Unavailable(_) => {
                tracing::error!("certificate transparency log: a request failed: {error}");
                let message = "the log could not read or write its storage; its own log says why";
                Self::Failed(StatusCode::INTERNAL_SERVER_ERROR, message.to_owned())
            }
        }
    }
}

impl From<sealmark_log::Error> for Answer {
    fn from(error: sealmark_log::Error) -> Self {
        CtError::from(error).into()
    }
}

/// What a path is called in metrics.
pub(super) fn endpoint(path: &str) -> &'static str {
    const ENDPOINTS: [&str; 9] = [
        "ct/v1/add-pre-chain",
        "ct/v1/add-chain",
        "ct/v1/get-sth",
        "ct/v1/get-sth-consistency",
        "ct/v1/get-proof-by-hash",
        "ct/v1/get-entries",
        "ct/v1/get-entry-and-proof",
        "ct/v1/get-roots",
        "checkpoint",
    ];
    let exact = ENDPOINTS.into_iter().find(|endpoint| *endpoint == path);
    exact.unwrap_or_else(|| match path.split('/').next() {
        Some("tile") => "tile",
        Some("issuer") => "issuer",
        _ => "other",
    })
}

/// Answers in a task of its own, because the server drops a request's future when its client goes, and a certificate
/// that was checked is to get into the log.
pub(super) async fn serve(log: CtLog, request: Request) -> Response<Body> {
    let answer = match tokio::spawn(route(log, request)).await {
        Ok(answer) => answer,
        Err(error) => CtError::Fault(error.to_string()).into(),
    };
    response(answer)
}

/// There is no log at this path.
pub(super) fn no_such_log() -> Response<Body> {
    let reason = "there is no such log".to_owned();
    response(Answer::Failed(StatusCode::NOT_FOUND, reason))
}

async fn route(log: CtLog, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/');
    let adds = match path {
        "ct/v1/add-pre-chain" => Some(true),
        "ct/v1/add-chain" => Some(false),
        _ => None,
    };
    if let Some(precertificate) = adds {
        if parts.method != Method::POST {
            let reason = format!("{} is not allowed here, but POST is", parts.method);
            return Answer::Failed(StatusCode::METHOD_NOT_ALLOWED, reason);
        }
        let whole = body::read(&parts.headers, &parts.extensions, body).await;
        let whole = match whole {
            Ok(whole) if whole.bytes.len() <= MAX_BODY => whole,
            Ok(_) => {
                let reason = body::Error::TooLarge(MAX_BODY).to_string();
                return Answer::Failed(StatusCode::PAYLOAD_TOO_LARGE, reason);
            }
            Err(error) => return Answer::Failed(error.status(), error.to_string()),
        };
        return match submit::add(&log, &whole.bytes, precertificate).await {
            Ok(promise) => Answer::Json(promise),
            Err(error) => error.into(),
        };
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let reason = format!("{} is not allowed here, but GET is", parts.method);
        return Answer::Failed(StatusCode::METHOD_NOT_ALLOWED, reason);
    }
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query).into_owned().collect();
    let path = path.to_owned();
    let found = tokio::task::spawn_blocking(move || read::answer(&log, &path, &query)).await;
    match found {
        Ok(Ok(answer)) | Ok(Err(answer)) => answer,
        Err(error) => CtError::Fault(error.to_string()).into(),
    }
}

fn response(answer: Answer) -> Response<Body> {
    let (status, content_type, cache, body): (_, _, _, Body) = match answer {
        Answer::Json(json) => (
            StatusCode::OK,
            "application/json",
            "no-cache",
            json.to_string().into(),
        ),
        Answer::Immutable(kind, bytes) => (
            StatusCode::OK,
            kind,
            "public, max-age=31536000, immutable",
            bytes.into(),
        ),
        Answer::Text(text) => (
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "no-cache",
            text.into(),
        ),
        Answer::Failed(status, reason) => {
            let name = status.canonical_reason().unwrap_or_default();
            let text = format!("{name}\n{reason}\n");
            (status, "text/plain; charset=utf-8", "no-cache", text.into())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
