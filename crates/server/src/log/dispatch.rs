//! From a request to the endpoint that answers it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Extensions, HeaderMap, Method, Response, StatusCode};
use bytes::Bytes;
use serde_json::json;
use tracing::Instrument as _;

use super::refusal::{Refusal, answer};
use super::{Inner, v1, v2};
use crate::ops::body::{self, Room};

/// As Rekor's GETs say it: entries do not change, but what proves them does.
const NO_CACHE: &str = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";

/// Bytes of a body that is checked on the thread that received it, if what is in it takes no long time either: reading
/// so many takes less than a millisecond.
pub(super) const MAX_AT_ONCE: usize = 64 << 10;

/// A request without its body.
pub(super) struct Call {
    pub(super) inner: Arc<Inner>,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    /// What the server knows of the request, and the places that it takes.
    extensions: Extensions,
    /// What the body takes, once it was read.
    room: Room,
    /// The host in the request's own line, which proxies and HTTP/2 have.
    authority: Option<String>,
    /// In a lock only because a body may not be shared between threads, and a call may.
    body: Mutex<Option<Body>>,
}

impl Call {
    /// The first value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The host that the client asked for, without its port.
    pub(super) fn host(&self) -> Option<&str> {
        let header = self.headers.get(header::HOST);
        let host = header.and_then(|value| value.to_str().ok());
        let host = host.or(self.authority.as_deref())?;
        match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(host, _)| host),
            None => host.split(':').next(),
        }
    }

    /// The whole body. It is read once.
    pub(super) async fn body(&mut self) -> Result<Bytes, Refusal> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = body.take().unwrap_or_default();
        let whole = body::read(&self.headers, &self.extensions, body).await?;
        self.room = whole.room;
        Ok(whole.bytes)
    }
}

/// Answers in a task of its own, because the server drops a request's future when its client goes, and an entry that
/// was checked is to get into the log with all that belongs to it.
pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let call = Call {
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        path: parts.uri.path().to_owned(),
        authority: parts.uri.host().map(str::to_owned),
        method: parts.method,
        headers: parts.headers,
        extensions: parts.extensions,
        room: Room::default(),
        body: Mutex::new(Some(body)),
        inner,
    };
    let (reads, of_v2) = (
        call.method != Method::POST,
        call.path.starts_with("/api/v2/"),
    );
    let result = match tokio::spawn(route(call).in_current_span()).await {
        Ok(result) => result,
        Err(error) => Err(Refusal::fault(&error)),
    };
    let mut response = result.unwrap_or_else(|refusal| match of_v2 {
        true => refusal.response_v2(),
        false => refusal.response_v1(),
    });
    if reads && !response.headers().contains_key(header::CACHE_CONTROL) {
        let value = HeaderValue::from_static(NO_CACHE);
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

async fn route(mut call: Call) -> Result<Response<Body>, Refusal> {
    let path = std::mem::take(&mut call.path);
    let method = match call.method {
        Method::HEAD => Method::GET,
        ref other => other.clone(),
    };
    let call = &mut call;
    match (method.as_str(), path.as_str()) {
        ("GET", "/ping") => Ok(text("text/plain; charset=utf-8", ".")),
        ("GET", "/healthz") => health(&call.inner),
        ("GET", "/api/v1/log") => v1::info(call),
        ("GET", "/api/v1/log/publicKey") => v1::public_key(call),
        ("GET", "/api/v1/log/proof") => v1::proof(call).await,
        ("GET", "/api/v1/log/entries") => v1::by_index(call).await,
        ("POST", "/api/v1/log/entries") => v1::create(call).await,
        ("POST", "/api/v1/log/entries/retrieve") => v1::retrieve(call).await,
        ("POST", "/api/v1/index/retrieve") => v1::search(call).await,
        ("POST", "/api/v2/log/entries") => v2::create(call).await,
        ("POST", "/api/v2/index/retrieve") => v2::search(call).await,
        ("GET", "/api/v2/checkpoint") => Ok(v2::checkpoint(call)),
        (method, path) => {
            if let Some(id) = path.strip_prefix("/api/v1/log/entries/")
                && id != "retrieve"
                && !id.contains('/')
            {
                return match method {
                    "GET" => v1::by_id(call, id).await,
                    _ => Err(method_not_allowed(method, "GET")),
                };
            }
            if let Some(tile) = path
                .strip_prefix("/api/v2/")
                .filter(|rest| rest.starts_with("tile/"))
            {
                return match method {
                    "GET" => v2::tile(call, tile).await,
                    _ => Err(method_not_allowed(method, "GET")),
                };
            }
            match allowed(path) {
                Some(allowed) => Err(method_not_allowed(method, allowed)),
                None => {
                    let path: String = path.chars().take(200).collect();
                    let message = format!("path {path} was not found");
                    Err(Refusal::new(StatusCode::NOT_FOUND, message))
                }
            }
        }
    }
}

/// The methods of the endpoints that [`route`] knows by their whole path.
fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/api/v1/log/entries" => Some("GET,POST"),
        "/api/v1/log/entries/retrieve"
        | "/api/v1/index/retrieve"
        | "/api/v2/log/entries"
        | "/api/v2/index/retrieve" => Some("POST"),
        "/ping"
        | "/healthz"
        | "/api/v1/log"
        | "/api/v1/log/publicKey"
        | "/api/v1/log/proof"
        | "/api/v2/checkpoint" => Some("GET"),
        _ => None,
    }
}

fn method_not_allowed(method: &str, allowed: &str) -> Refusal {
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message).with(header::ALLOW, allowed)
}

fn health(inner: &Inner) -> Result<Response<Body>, Refusal> {
    match inner.state.log.health() {
        Ok(()) => {
            let serving = json!({"status": "SERVING"});
            Ok(answer(StatusCode::OK, [], Some(serving)))
        }
        Err(error) => {
            tracing::error!("transparency log: not healthy: {error}");
            let message = "the log does not write; its own log says why";
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

/// An answer that is no JSON.
pub(super) fn text(content_type: &'static str, content: impl Into<Body>) -> Response<Body> {
    with_headers(content, &[(header::CONTENT_TYPE, content_type)])
}

pub(super) fn with_headers(
    content: impl Into<Body>,
    headers: &[(HeaderName, &'static str)],
) -> Response<Body> {
    let mut response = Response::new(content.into());
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name.clone(), value);
    }
    response
}

/// Runs what blocks, or takes long, off the threads that serve.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => Err(Refusal::fault(&error)),
    }
}
