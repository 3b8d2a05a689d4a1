//! From a request to the endpoint that answers it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};

use super::parameters::{self, Parameters};
use super::refusal::Refusal;
use super::{Inner, authorize, device, discovery, exchange};

/// Time for a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

const DISCOVERY: &str = "/oidc/.well-known/openid-configuration";
const KEYS: &str = "/oidc/keys";
const AUTHORIZE: &str = "/oidc/authorize";
const TOKEN: &str = "/oidc/token";
const DEVICE_CODE: &str = "/oidc/device/code";
const DEVICE: &str = "/oidc/device";
const USER_INFO: &str = "/oidc/userinfo";

/// The endpoints, with their methods.
const ENDPOINTS: [(&str, &str); 7] = [
    (DISCOVERY, "GET, HEAD"),
    (KEYS, "GET, HEAD"),
    (AUTHORIZE, "GET, HEAD, POST"),
    (TOKEN, "POST"),
    (DEVICE_CODE, "POST"),
    (DEVICE, "GET, HEAD, POST"),
    (USER_INFO, "GET, HEAD, POST"),
];

/// What a path is called in metrics; `None` if it is of another service.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    let exact = ENDPOINTS.into_iter().find(|(name, _)| *name == path);
    let ours = || path == "/oidc" || path.starts_with("/oidc/");
    match exact {
        Some((name, _)) => Some(name),
        None => ours().then_some("/oidc/other"),
    }
}

/// Whether a path is for people with a browser.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, AUTHORIZE | DEVICE)
}

pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    route(&inner, request)
        .await
        .unwrap_or_else(Refusal::response)
}

async fn route(inner: &Arc<Inner>, request: Request) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let query = parts.uri.query().unwrap_or_default();
    match (parts.method.as_str(), parts.uri.path()) {
        ("GET" | "HEAD", DISCOVERY) => Ok(discovery::document(inner)),
        ("GET" | "HEAD", KEYS) => Ok(discovery::keys(inner)),
        ("GET" | "HEAD", AUTHORIZE) => Ok(authorize::show(inner, headers, query)),
        ("POST", AUTHORIZE) => {
            let sent = form(headers, body).await?;
            authorize::submit(inner, headers, query, &sent).await
        }
        ("GET" | "HEAD", DEVICE) => device::show(inner, headers, query),
        ("POST", DEVICE) => {
            let sent = form(headers, body).await?;
            device::submit(inner, headers, &sent).await
        }
        ("POST", DEVICE_CODE) => device::start(inner, headers, &form(headers, body).await?),
        ("POST", TOKEN) => {
            let (inner, headers) = (inner.clone(), headers.clone());
            let sent = form(&headers, body).await?;
            // Two signatures with RSA take milliseconds.
            let work = move || exchange::exchange(&inner, &headers, &sent);
            let done = tokio::task::spawn_blocking(work).await;
            done.unwrap_or_else(|error| {
                let failed = format!("a request failed: {error}");
                Err(Refusal::fault(&crate::Error::Issuer(failed)))
            })
        }
        ("GET" | "HEAD" | "POST", USER_INFO) => discovery::user_info(inner, headers),
        (_, path) => Ok(unknown(path)),
    }
}

/// A path, or a method, that there is not.
fn unknown(path: &str) -> Response<Body> {
    let found = ENDPOINTS.into_iter().find(|(name, _)| *name == path);
    let Some((_, methods)) = found else {
        let message = "There is nothing here.";
        return Refusal::person(StatusCode::NOT_FOUND, message).response();
    };
    let message = format!("The methods of {path} are {methods}.");
    let mut response = Refusal::person(StatusCode::METHOD_NOT_ALLOWED, message).response();
    let allow = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// The form in a body.
async fn form(headers: &HeaderMap, body: Body) -> Result<Parameters, Refusal> {
    let refused = |status: StatusCode, description: String| Refusal::Program {
        status,
        error: "invalid_request",
        description,
        challenge: None,
    };
    if !Parameters::are_in(headers) {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be application/x-www-form-urlencoded".to_owned(),
        ));
    }
    let read = axum::body::to_bytes(body, parameters::MAX);
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let most = parameters::MAX;
            return Err(refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body ended early, or is longer than {most} bytes"),
            ));
        }
        Err(_) => {
            return Err(refused(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not come within {} s", BODY_TIMEOUT.as_secs()),
            ));
        }
    };
    Parameters::parse(&bytes).map_err(|problem| Refusal::program("invalid_request", problem))
}
