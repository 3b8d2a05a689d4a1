//! From a request to the function that answers it.
//!
//! Invariant: a request that has begun is worked through to its end, also when its client is gone, so that no
//! upload is left between two states.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;

use super::body::Incoming;
use super::grammar::{Endpoint, Name, parse_digest};
use super::refusal::{Code, Refusal};
use super::{Inner, blobs, listings, manifests};
use crate::Error;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const OCTET_STREAM: &str = "application/octet-stream";

/// A request without its body, which is apart because it cannot be shared between threads.
pub(super) struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) query: Query,
}

/// The parameters after `?`.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        // A plus is a plus: media types have it, and nothing here has spaces.
        let text = text.replace('+', "%2B");
        Self(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn first(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

impl Call {
    /// Whether the request only reads; then what cannot exist is not found, rather than a bad request.
    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    pub(super) fn name(&self, text: &str) -> Result<Name, Refusal> {
        Name::parse(text).ok_or_else(|| {
            let status = if self.reads() {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::BAD_REQUEST
            };
            let message = format!(
                "{:?} is not a repository name",
                text.chars().take(300).collect::<String>()
            );
            Refusal::new(status, Code::NameInvalid, message)
        })
    }

    pub(super) fn digest(&self, text: &str) -> Result<Digest, Refusal> {
        parse_digest(text).map_err(|problem| {
            let status = if self.reads() {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::BAD_REQUEST
            };
            Refusal::new(status, Code::DigestInvalid, problem)
        })
    }

    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the client has what it asks for already (`If-None-Match`).
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.header(header::IF_NONE_MATCH)
            .is_some_and(|tags| matches_etag(tags, Some(digest)))
    }

    /// The refusal for something that a repository does not have: the repository may not exist at all.
    pub(super) fn missing(&self, name: &Name, code: Code, what: impl std::fmt::Display) -> Refusal {
        match self.inner.store.knows(name) {
            true => Refusal::not_found(code, format!("the repository {name} has no {what}")),
            false => {
                Refusal::not_found(Code::NameUnknown, format!("there is no repository {name}"))
            }
        }
    }
}

/// Whether a list of entity tags (RFC 9110 section 8.8.3) names what there is.
pub(super) fn matches_etag(tags: &str, current: Option<&Digest>) -> bool {
    let Some(current) = current else { return false };
    let current = etag(current);
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
}

pub(super) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// A response from what it consists of. Values are made of checked names, digests and numbers; one that were not
/// allowed in a header is left out.
pub(super) fn reply(status: StatusCode, headers: &[(HeaderName, String)], body: Body) -> Response {
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Runs what blocks off the threads that serve.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Refusal::from),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!("registry: a request failed: {error}");
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unknown,
        "the registry failed; its log says where",
    )
}

pub(super) async fn answer(inner: Arc<Inner>, request: Request) -> Response {
    // A task of its own, because the server drops a request's future when its client goes.
    let mut response = match tokio::spawn(dispatch(inner, request)).await {
        Ok(response) => response,
        Err(error) => fault(&error).into_response(),
    };
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn dispatch(inner: Arc<Inner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = Incoming::new(&parts.headers, body);
    let call = Call {
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        method: parts.method,
        inner,
    };
    match route(&call, &mut body, parts.uri.path()).await {
        Ok(response) => response,
        Err(refusal) => {
            body.drain().await;
            refusal.into_response()
        }
    }
}

async fn route(call: &Call, body: &mut Incoming, path: &str) -> Result<Response, Refusal> {
    authenticate(call)?;
    let Some(endpoint) = Endpoint::parse(path) else {
        return Err(Refusal::not_found(
            Code::Unsupported,
            "there is no such endpoint",
        ));
    };
    if call.inner.options.read_only && !call.reads() {
        return Err(Refusal::method_not_allowed("GET, HEAD"));
    }
    match (call.method.as_str(), endpoint) {
        ("GET" | "HEAD", Endpoint::Base) => {
            let headers = [(header::CONTENT_TYPE, "application/json".to_owned())];
            Ok(reply(StatusCode::OK, &headers, Body::from("{}")))
        }
        ("GET" | "HEAD", Endpoint::Catalog) => listings::catalog(call),
        ("GET" | "HEAD", Endpoint::Tags(name)) => listings::tags(call, &name).await,
        ("GET" | "HEAD", Endpoint::Referrers(name, digest)) => {
            listings::referrers(call, &name, &digest).await
        }
        ("GET" | "HEAD", Endpoint::Blob(name, digest)) => blobs::get(call, &name, &digest).await,
        ("DELETE", Endpoint::Blob(name, digest)) => blobs::delete(call, &name, &digest).await,
        ("POST", Endpoint::Uploads(name)) => blobs::start(call, body, &name).await,
        ("GET" | "HEAD", Endpoint::Upload(name, id)) => blobs::status(call, &name, &id),
        ("PATCH", Endpoint::Upload(name, id)) => blobs::append(call, body, &name, &id).await,
        ("PUT", Endpoint::Upload(name, id)) => blobs::finish(call, body, &name, &id).await,
        ("DELETE", Endpoint::Upload(name, id)) => blobs::cancel(call, &name, &id),
        ("GET" | "HEAD", Endpoint::Manifest(name, reference)) => {
            manifests::get(call, &name, &reference).await
        }
        ("PUT", Endpoint::Manifest(name, reference)) => {
            manifests::put(call, body, &name, &reference).await
        }
        ("DELETE", Endpoint::Manifest(name, reference)) => {
            manifests::delete(call, &name, &reference).await
        }
        (_, Endpoint::Base | Endpoint::Catalog | Endpoint::Tags(_) | Endpoint::Referrers(..)) => {
            Err(Refusal::method_not_allowed("GET, HEAD"))
        }
        (_, Endpoint::Blob(..)) => Err(Refusal::method_not_allowed("GET, HEAD, DELETE")),
        (_, Endpoint::Uploads(_)) => Err(Refusal::method_not_allowed("POST")),
        (_, Endpoint::Upload(..)) => {
            Err(Refusal::method_not_allowed("GET, HEAD, PATCH, PUT, DELETE"))
        }
        (_, Endpoint::Manifest(..)) => Err(Refusal::method_not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

/// HTTP Basic (RFC 7617). Digests are compared, in constant time, so that neither content nor length shows.
fn authenticate(call: &Call) -> Result<(), Refusal> {
    let Some((user, password)) = &call.inner.options.basic else {
        return Ok(());
    };
    let expected = Digest::sha256(format!("{user}:{password}").as_bytes());
    let given = call.header(header::AUTHORIZATION).and_then(|text| {
        let (scheme, credentials) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("basic")
            .then(|| STANDARD.decode(credentials.trim()).ok())?
    });
    let given = Digest::sha256(&given.unwrap_or_default());
    verify_slices_are_equal(expected.bytes(), given.bytes()).map_err(|_| {
        let message = "this registry wants a user and a password";
        Refusal::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, message).with(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"sealmark registry\", charset=\"UTF-8\"",
        )
    })
}
