//! Who somebody is: the part of a form that asks it, and what comes back.
//!
//! Invariant: a form is believed only from the browser that it was shown in. Its token is a keyed hash of a cookie;
//! pages of other origins can have the one or the other, not both: they may read answers of this server (CORS), but
//! only of requests without cookies, and browsers add the cookie to no form of another site. A page whose name was made
//! to lead to this address (DNS rebinding) has both, and another origin.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::page::escape;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::users::{MAX_PASSWORD, Users, address};
use super::{Inner, PATH, random};

const COOKIE: &str = "sealmark_oidc";
/// Seconds that a browser keeps it.
const COOKIE_LIFETIME: u32 = 60 * 60;
/// The form's field with the token.
const TOKEN: &str = "form";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// A browser, told from others by a cookie.
pub(super) struct Browser {
    cookie: String,
    is_new: bool,
}

impl Browser {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        if let Some(cookie) = cookie(headers) {
            return Ok(Self {
                cookie,
                is_new: false,
            });
        }
        let cookie = random().map_err(|error| Refusal::fault(&error))?;
        Ok(Self {
            cookie: URL_SAFE_NO_PAD.encode(cookie),
            is_new: true,
        })
    }

    /// The hidden field of a form.
    pub(super) fn field(&self, inner: &Inner) -> String {
        let token = hmac::sign(&inner.forms, self.cookie.as_bytes());
        let token = URL_SAFE_NO_PAD.encode(token);
        format!("<input type=\"hidden\" name=\"{TOKEN}\" value=\"{token}\">")
    }

    /// Lets the browser keep its cookie.
    pub(super) fn remember(&self, inner: &Inner, response: &mut Response<Body>) {
        if !self.is_new {
            return;
        }
        let secure = match inner.signer.url().starts_with("https:") {
            true => "; Secure",
            false => "",
        };
        let cookie = format!(
            "{COOKIE}={}; Path={PATH}; Max-Age={COOKIE_LIFETIME}; HttpOnly; SameSite=Lax{secure}",
            self.cookie
        );
        if let Ok(value) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
    }
}

/// Whether a form comes from the page that it was on.
pub(super) fn check_origin(
    inner: &Inner,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<(), Refusal> {
    let site = headers.get(SEC_FETCH_SITE);
    let own = url::Url::parse(inner.signer.url()).map(|url| url.origin().ascii_serialization());
    let origin = headers.get(header::ORIGIN);
    // Browsers say both of forms; other programs need not.
    let same = site.is_none_or(|site| site == "same-origin")
        && origin.is_none_or(|origin| own.is_ok_and(|own| *origin == *own));
    let token = form
        .get(TOKEN)
        .and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    let ours = cookie(headers).zip(token).is_some_and(|(cookie, token)| {
        // In constant time.
        hmac::verify(&inner.forms, cookie.as_bytes(), &token).is_ok()
    });
    match same && ours {
        true => Ok(()),
        false => Err(Refusal::person(
            StatusCode::FORBIDDEN,
            format!(
                "The form was not sent from the page that it was on at {}, or that page is more than an hour old, or \
                 this browser takes no cookies. Go back to your terminal and start again.",
                inner.signer.url()
            ),
        )),
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut cookies = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    let value = cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    (value.len() == 43 && URL_SAFE_NO_PAD.decode(value).is_ok()).then(|| value.to_owned())
}

/// The fields that ask who somebody is.
pub(super) fn fields(inner: &Inner, email: &str) -> String {
    let email = escape(email);
    let email = format!(
        "<label for=\"email\">E-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username\" required autofocus value=\"{email}\">"
    );
    match *inner.users() {
        Users::Anybody => format!(
            "<p class=\"note\"><strong>For development.</strong> No password is asked: whoever reaches this page can be \
             anybody. Do not trust what is signed here.</p>{email}"
        ),
        Users::Listed(_) => format!(
            "{email}<label for=\"password\">Password</label>\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>"
        ),
    }
}

/// Why nobody was logged in: shown above the form, which is shown again.
pub(super) struct Failed {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// When to come again, in seconds.
    pub(super) retry_after: Option<u64>,
}

impl Failed {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn html(&self) -> String {
        format!(
            "<p class=\"wrong\" role=\"alert\">{}</p>",
            escape(&self.message)
        )
    }

    pub(super) fn mark(&self, response: &mut Response<Body>) {
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
    }
}

/// Who filled a form in.
pub(super) async fn log_in(inner: &Arc<Inner>, form: &Parameters) -> Result<String, Failed> {
    let email = form.get("email").and_then(address);
    let Some(email) = email.map(str::to_owned) else {
        return Err(Failed::new(
            StatusCode::BAD_REQUEST,
            "Type an e-mail address, such as jane@example.org.",
        ));
    };
    if matches!(*inner.users(), Users::Anybody) {
        return Ok(email);
    }
    let wrong = || {
        Failed::new(
            StatusCode::FORBIDDEN,
            "The address or the password is wrong.",
        )
    };
    let password = form.get("password").unwrap_or_default();
    if password.len() > MAX_PASSWORD {
        return Err(wrong());
    }
    let password = Zeroizing::new(password.as_bytes().to_vec());
    let name = email.to_ascii_lowercase();
    if let Err(seconds) = inner.guesses.take(&name, inner.clock.now_ms()) {
        tracing::warn!(target: "audit", email, "too many wrong passwords");
        return Err(Failed {
            retry_after: Some(seconds),
            ..Failed::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("Too many wrong passwords. Try again in {seconds} s."),
            )
        });
    }
    let (users, typed) = (inner.users(), email.clone());
    let checked = tokio::task::spawn_blocking(move || users.check(&typed, &password)).await;
    match checked.ok().flatten() {
        Some(email) => {
            inner.guesses.right(&name);
            Ok(email)
        }
        None => {
            tracing::warn!(target: "audit", email, "wrong password");
            Err(wrong())
        }
    }
}
