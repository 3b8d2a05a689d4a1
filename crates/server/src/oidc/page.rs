//! What a browser is shown. There are no scripts.
//!
//! Invariants: every text that is not of this program is escaped; no page may be framed, cached, or load anything.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::digest::sha256;
use serde_json::Value;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}\
main{box-sizing:border-box;width:100%;max-width:26rem;padding:1.5rem}\
h1{font-size:1.4rem;margin:0 0 1rem}\
label{display:block;margin:.9rem 0 .2rem}\
input{box-sizing:border-box;width:100%;padding:.55rem;font:inherit;border:1px solid #888;border-radius:.4rem}\
button{font:inherit;padding:.55rem 1.1rem;margin:1.2rem .6rem 0 0;border:1px solid #888;border-radius:.4rem}\
button.yes{background:#1d4ed8;border-color:#1d4ed8;color:#fff}\
code{font:1.1em ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}\
.note{border-left:.3rem solid #d97706;padding-left:.8rem}\
.wrong{border-left:.3rem solid #dc2626;padding-left:.8rem}";

/// The policy that lets the style above in, and nothing else.
static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(sha256(STYLE.as_bytes()))));

/// A text in HTML, also within quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A page. `content` is HTML; `leads_to` is where its form may lead, besides to this server.
pub(super) fn page(
    status: StatusCode,
    title: &str,
    content: &str,
    leads_to: Option<&str>,
) -> Response<Body> {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>\n{content}\n</main></body></html>\n"
    );
    let mut response = answer(status, "text/html; charset=utf-8", html);
    // Browsers hold the redirect that follows a form against `form-action`, too.
    let policy = format!(
        "default-src 'none'; style-src {}; form-action 'self'{}{}; frame-ancestors 'none'; base-uri 'none'",
        *STYLE_SOURCE,
        if leads_to.is_some() { " " } else { "" },
        leads_to.unwrap_or_default(),
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A page that says one thing.
pub(super) fn message(status: StatusCode, title: &str, text: &str) -> Response<Body> {
    page(status, title, &format!("<p>{}</p>", escape(text)), None)
}

pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    answer(status, "application/json", value.to_string())
}

/// Sends a browser elsewhere, with GET.
pub(super) fn see_other(location: &str) -> Response<Body> {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", String::new());
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let all: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The query has what a login is for: nobody else is told.
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in all {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_sent_is_markup() {
        assert_eq!(
            escape("<a href=\"x\" b='y'>&"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;"
        );
    }
}
