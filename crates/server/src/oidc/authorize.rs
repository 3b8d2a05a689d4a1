//! The authorization endpoint (RFC 6749, section 4.1.1; OpenID Connect Core, section 3.1.2): a page that asks who
//! somebody is, and sends the browser back with a code.
//!
//! What the client asked for is in the page's URL all the time, and is read again when the form comes: nothing is kept
//! until somebody has logged in.
//!
//! Invariant: a browser is sent only to where [`Redirect`] allows, also with an error.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};

use super::grants::{CODE_LIFETIME, COPIED_LIFETIME, Grant};
use super::login::{self, Browser, Failed};
use super::page::{self, escape};
use super::parameters::{Parameters, challenge};
use super::redirect::Redirect;
use super::refusal::Refusal;
use super::{CLIENT, Inner};

/// Bytes of a nonce, which is kept and comes into the token.
const MAX_NONCE: usize = 256;
/// Bytes of a state, which comes back.
const MAX_STATE: usize = 2048;

/// What a client asks for.
struct Asked {
    to: Target,
    nonce: Option<String>,
    challenge: String,
    hint: String,
}

/// Where the answer goes.
struct Target {
    redirect: Redirect,
    state: Option<String>,
}

impl Target {
    /// The answer: these parameters, for the client.
    fn answer(&self, inner: &Inner, parameters: &[(&str, &str)]) -> Response<Body> {
        match &self.redirect {
            Redirect::To(url) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.extend_pairs(parameters);
                if let Some(state) = &self.state {
                    query.append_pair("state", state);
                }
                // RFC 9207: clients of several issuers can tell whose answer it is.
                query.append_pair("iss", inner.signer.url());
                page::see_other(&format!("{url}?{}", query.finish()))
            }
            Redirect::Shown => match parameters {
                [("code", code)] => {
                    let code = escape(code);
                    let content = format!(
                        "<p>Copy this code to where you were asked for it:</p><p><code>{code}</code></p>\
                         <p>It is good once, and for {} minutes.</p>",
                        COPIED_LIFETIME / 60
                    );
                    page::page(StatusCode::OK, "Your code", &content, None)
                }
                _ => {
                    let texts: Vec<&str> = parameters.iter().map(|(_, text)| *text).collect();
                    let text = texts.join(": ");
                    page::message(StatusCode::BAD_REQUEST, "That did not work", &text)
                }
            },
        }
    }

    fn refuse(&self, inner: &Inner, error: &str, description: &str) -> Response<Body> {
        let parameters = [("error", error), ("error_description", description)];
        self.answer(inner, &parameters)
    }
}

/// `GET`: shows the form.
pub(super) fn show(inner: &Inner, headers: &HeaderMap, query: &str) -> Response<Body> {
    let asked = match read(inner, query) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let form = form(inner, headers, query, &asked, &asked.hint, None);
    form.unwrap_or_else(Refusal::response)
}

/// `POST`: the form comes back.
pub(super) async fn submit(
    inner: &Arc<Inner>,
    headers: &HeaderMap,
    query: &str,
    sent: &Parameters,
) -> Result<Response<Body>, Refusal> {
    let asked = match read(inner, query) {
        Ok(asked) => asked,
        Err(refused) => return Ok(*refused),
    };
    login::check_origin(inner, headers, sent)?;
    if sent.get("decision") == Some("no") {
        let answer = asked
            .to
            .refuse(inner, "access_denied", "the login was cancelled");
        return Ok(answer);
    }
    let email = match login::log_in(inner, sent).await {
        Ok(email) => email,
        Err(failed) => {
            let typed = sent.get("email").unwrap_or_default();
            return form(inner, headers, query, &asked, typed, Some(&failed));
        }
    };
    let now = inner.now();
    let lifetime = match asked.to.redirect {
        Redirect::Shown => COPIED_LIFETIME,
        Redirect::To(_) => CODE_LIFETIME,
    };
    let grant = Grant {
        email: email.clone(),
        nonce: asked.nonce,
        challenge: asked.challenge,
        redirect: asked.to.redirect.as_str().to_owned(),
        expires: now + lifetime,
    };
    let code = inner.codes.give(grant, now)?;
    tracing::info!(target: "audit", email, flow = "browser", "logged in");
    Ok(asked.to.answer(inner, &[("code", &code)]))
}

fn form(
    inner: &Inner,
    headers: &HeaderMap,
    query: &str,
    asked: &Asked,
    email: &str,
    failed: Option<&Failed>,
) -> Result<Response<Body>, Refusal> {
    let browser = Browser::of(headers)?;
    let source = asked.to.redirect.source();
    let whom = match (&source, &asked.to.redirect) {
        (None, _) | (_, Redirect::Shown) => {
            "A program asks who you are. You will get a code to copy to it.".to_owned()
        }
        (Some(_), Redirect::To(url)) => format!("A program at {url} asks who you are."),
    };
    let content = format!(
        "<p>{}</p>{}<form method=\"post\" action=\"?{}\">{}{}\
         <button class=\"yes\" name=\"decision\" value=\"yes\">Continue</button>\
         <button name=\"decision\" value=\"no\" formnovalidate>Cancel</button></form>",
        escape(&whom),
        failed.map(Failed::html).unwrap_or_default(),
        escape(query),
        browser.field(inner),
        login::fields(inner, email),
    );
    let status = failed.map_or(StatusCode::OK, |failed| failed.status);
    let mut response = page::page(status, "Sign in", &content, source.as_deref());
    browser.remember(inner, &mut response);
    if let Some(failed) = failed {
        failed.mark(&mut response);
    }
    Ok(response)
}

/// Reads what is asked for. What is wrong is told to the client only if it is known where it is.
fn read(inner: &Inner, query: &str) -> Result<Asked, Box<Response<Body>>> {
    let person = |message: String| {
        let refusal = Refusal::person(StatusCode::BAD_REQUEST, message);
        Box::new(refusal.response())
    };
    let asked = Parameters::parse(query.as_bytes())
        .map_err(|problem| person(format!("The program that sent you here sent {problem}.")))?;
    if asked.get("client_id") != Some(CLIENT) {
        return Err(person(format!(
            "The program that sent you here is not known: the one client of this server is {CLIENT:?}."
        )));
    }
    let redirect = asked.get("redirect_uri").unwrap_or_default();
    let Some(redirect) = Redirect::parse(redirect, &inner.redirects) else {
        return Err(person(
            "The program that sent you here wants the answer at a place that is not allowed: it must be \
             http://localhost:PORT/auth/callback, a loopback address, or urn:ietf:wg:oauth:2.0:oob."
                .to_owned(),
        ));
    };
    let state = asked.bounded("state", MAX_STATE).map_err(|problem| {
        person(format!(
            "The program that sent you here is wrong: {problem}."
        ))
    })?;
    let to = Target {
        redirect,
        state: state.map(str::to_owned),
    };
    let refused = |error: &str, description: &str| Box::new(to.refuse(inner, error, description));
    if asked.get("request").is_some() {
        return Err(refused("request_not_supported", "requests are parameters"));
    }
    if asked.get("request_uri").is_some() {
        return Err(refused(
            "request_uri_not_supported",
            "requests are parameters",
        ));
    }
    if asked.get("response_type") != Some("code") {
        let only = "response_type must be code";
        return Err(refused("unsupported_response_type", only));
    }
    if asked
        .get("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return Err(refused("invalid_request", "response_mode must be query"));
    }
    if !asked.wants_identity() {
        return Err(refused("invalid_scope", "the scope must have openid"));
    }
    if asked.get("prompt") == Some("none") {
        return Err(refused("login_required", "every login is asked for"));
    }
    let invalid = |problem: String| refused("invalid_request", &problem);
    let challenge = challenge(&asked).map_err(invalid)?;
    let Some(challenge) = challenge else {
        let missing = "code_challenge is missing: PKCE with S256 is required";
        return Err(refused("invalid_request", missing));
    };
    let nonce = asked.bounded("nonce", MAX_NONCE).map_err(invalid)?;
    let hint = asked.get("login_hint").filter(|hint| hint.len() < 256);
    Ok(Asked {
        nonce: nonce.map(str::to_owned),
        challenge,
        hint: hint.unwrap_or_default().to_owned(),
        to,
    })
}
