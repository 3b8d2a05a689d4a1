//! Cross-origin requests (<https://fetch.spec.whatwg.org/#http-cors-protocol>): the services are public, so that web
//! pages may use them as any other client does. Rekor, Fulcio and the timestamp authority say the same.
//!
//! There are no cookies and no other credentials that a browser adds by itself, so `*` gives nothing away.

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// The methods that a page may use.
const METHODS: &str = "GET, HEAD, POST";
/// The headers that a page may send beyond the harmless ones.
const HEADERS: &str = "Accept, Authorization, Content-Type, X-Request-Id, X-Requested-With";
/// The headers of an answer that a page may read.
const EXPOSED: &str = "ETag, Location, Retry-After, X-Log-Index, X-More-Entries, X-Request-Id";
/// How long a browser may remember the answer, in seconds.
const MAX_AGE: &str = "600";

/// The answer to a browser that asks if a page may make a request; `None` if that is not what is asked.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let asks = method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks.then(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers: [(HeaderName, &'static str); 3] = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    })
}

/// Lets pages of any origin read an answer. It is said in all, so that caches need not tell origins apart.
pub(super) fn allow(headers: &mut HeaderMap) {
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    let exposed = HeaderValue::from_static(EXPOSED);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
