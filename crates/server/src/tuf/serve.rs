//! The repository's files over HTTP, at the paths that clients expect below the mirror's URL.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use sealmark_formats::Digest;

use super::Repository;
use super::disk::versioned;
use crate::ops;

/// A file whose name says its version or its hash never changes.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// The timestamp has to be asked for each time.
const ASK: &str = "no-cache";
/// What is not there may be tomorrow, as the next root.
const NEVER: &str = "no-store";

impl Repository {
    /// All files, read only.
    pub fn router(&self) -> Router {
        let repository = self.clone();
        let answer = move |request: Request| {
            let answer = repository.answer(&request);
            async move { answer }
        };
        Router::new().fallback(answer)
    }

    /// All files, with what a server needs to count requests.
    pub fn service(&self) -> ops::Service {
        ops::Service::new("tuf", self.router(), endpoint)
    }

    fn answer(&self, request: &Request) -> Response<Body> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let message = "only GET and HEAD are supported\n";
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, NEVER, message);
            set(&mut response, header::ALLOW, "GET, HEAD");
            return response;
        }
        let file = request.uri().path().trim_start_matches('/');
        let Some(content) = self.0.disk.get(file) else {
            let message = "the repository has no such file\n";
            return response(StatusCode::NOT_FOUND, TEXT, NEVER, message);
        };
        let cache = match file {
            "timestamp.json" => ASK,
            _ => FOR_GOOD,
        };
        let tag = format!("\"{}\"", Digest::sha256(&content).hex());
        let known = request.headers().get(header::IF_NONE_MATCH);
        let mut response = match known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            true => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                set(&mut response, header::CACHE_CONTROL, cache);
                response
            }
            false => response(StatusCode::OK, content_type(file), cache, content),
        };
        set(&mut response, header::ETAG, &tag);
        response
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Targets are what the operator publishes: a browser is not to make anything of them.
fn content_type(file: &str) -> &'static str {
    match file.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "pem" | "pub")) => TEXT,
        _ => "application/octet-stream",
    }
}

/// What a path counts as.
fn endpoint(path: &str) -> Option<&'static str> {
    let file = path.strip_prefix('/')?;
    match versioned(file) {
        Some((_, super::Role::Root)) => return Some("/{version}.root.json"),
        Some((_, super::Role::Targets)) => return Some("/{version}.targets.json"),
        Some(_) => return Some("/{version}.snapshot.json"),
        None => {}
    }
    match file {
        "timestamp.json" => Some("/timestamp.json"),
        file if file.starts_with("targets/") => Some("/targets/{file}"),
        _ => None,
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    cache: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type);
    set(&mut response, header::CACHE_CONTROL, cache);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
