//! Logging in for a device without a browser (RFC 8628): the device gets a code, which somebody types into the page.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::grants::{DEVICE_LIFETIME, INTERVAL};
use super::login::{self, Browser, Failed};
use super::page::{self, escape};
use super::parameters::{Parameters, challenge};
use super::refusal::Refusal;
use super::{Inner, exchange};

/// `POST` by the device: the codes.
pub(super) fn start(
    inner: &Inner,
    headers: &HeaderMap,
    sent: &Parameters,
) -> Result<Response<Body>, Refusal> {
    if !exchange::is_client(headers, sent)? {
        return Err(Refusal::unknown_client());
    }
    if !sent.wants_identity() {
        let missing = "the scope must have openid";
        return Err(Refusal::program("invalid_scope", missing));
    }
    let invalid = |problem| Refusal::program("invalid_request", problem);
    let challenge = challenge(sent).map_err(invalid)?;
    let started = inner.devices.start(challenge, inner.now())?;
    let page = format!("{}/device", inner.signer.url());
    let json = json!({
        "device_code": started.device_code,
        "user_code": started.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", started.user_code),
        "expires_in": DEVICE_LIFETIME,
        "interval": INTERVAL,
    });
    Ok(page::json(StatusCode::OK, &json))
}

/// `GET` by somebody's browser: the form, with the code if the link had it.
pub(super) fn show(
    inner: &Inner,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response<Body>, Refusal> {
    let bad = |problem| Refusal::person(StatusCode::BAD_REQUEST, problem);
    let asked = Parameters::parse(query.as_bytes()).map_err(bad)?;
    let code = asked.get("user_code").unwrap_or_default();
    form(inner, headers, code, "", None)
}

/// `POST`: the form comes back.
pub(super) async fn submit(
    inner: &Arc<Inner>,
    headers: &HeaderMap,
    sent: &Parameters,
) -> Result<Response<Body>, Refusal> {
    login::check_origin(inner, headers, sent)?;
    let code = sent.get("user_code").unwrap_or_default();
    let typed = sent.get("email").unwrap_or_default();
    let again = |failed: &Failed| form(inner, headers, code, typed, Some(failed));
    // All guesses of codes count as one's: they are all of the same few.
    if let Err(seconds) = inner.device_guesses.take("", inner.clock.now_ms()) {
        return again(&Failed {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: format!("Too many wrong codes. Try again in {seconds} s."),
            retry_after: Some(seconds),
        });
    }
    let unknown = Failed {
        status: StatusCode::BAD_REQUEST,
        message: "No device shows this code, or it has expired or was answered.".to_owned(),
        retry_after: None,
    };
    if !inner.devices.waits(code, inner.now()) {
        return again(&unknown);
    }
    inner.device_guesses.right("");
    let email = match sent.get("decision") {
        Some("no") => None,
        _ => match login::log_in(inner, sent).await {
            Ok(email) => Some(email),
            Err(failed) => return again(&failed),
        },
    };
    // The login took time, in which it may have ended.
    if !inner.devices.decide(code, email.clone(), inner.now()) {
        return again(&unknown);
    }
    let (title, text) = match &email {
        Some(_) => (
            "You are signed in",
            "Go back to your device; this page can be closed.",
        ),
        None => (
            "Refused",
            "The device was refused; this page can be closed.",
        ),
    };
    if let Some(email) = email {
        tracing::info!(target: "audit", email, flow = "device", "logged in");
    }
    Ok(page::message(StatusCode::OK, title, text))
}

fn form(
    inner: &Inner,
    headers: &HeaderMap,
    code: &str,
    email: &str,
    failed: Option<&Failed>,
) -> Result<Response<Body>, Refusal> {
    let browser = Browser::of(headers)?;
    let content = format!(
        "<p>A device asks who you are. Continue only if it is yours, and shows this very code.</p>{}\
         <form method=\"post\" action=\"?\">{}<label for=\"user_code\">Code on the device</label>\
         <input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" autocapitalize=\"characters\" required value=\"{}\">{}\
         <button class=\"yes\" name=\"decision\" value=\"yes\">Continue</button>\
         <button name=\"decision\" value=\"no\" formnovalidate>Not mine</button></form>",
        failed.map(Failed::html).unwrap_or_default(),
        browser.field(inner),
        escape(code),
        login::fields(inner, email),
    );
    let status = failed.map_or(StatusCode::OK, |failed| failed.status);
    let mut response = page::page(status, "Sign in for a device", &content, None);
    browser.remember(inner, &mut response);
    if let Some(failed) = failed {
        failed.mark(&mut response);
    }
    Ok(response)
}
