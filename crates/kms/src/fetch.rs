//! Gets a key file from a URL.

use std::time::Duration;

use reqwest::redirect::Policy;
use sealmark_keys::MAX_KEY_FILE;
use url::Url;
use zeroize::Zeroizing;

use crate::reference;

/// Until the connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For all of it: a key is small, and a command waits for it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Hops that are followed, enough for a release's "latest" behind a content network.
const MAX_REDIRECTS: usize = 5;

/// The content, or `None` if it is larger than a key can be. The error names the host.
pub(crate) async fn fetch(url: &Url) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let reason = |error: reqwest::Error| explain(&host, error);
    let here = url.scheme() == "http";
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .user_agent(concat!("sealmark/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::custom(move |attempt| {
            // Whoever may change an answer over http could exchange the key.
            let next = attempt.url();
            if next.scheme() != "https" && !(here && reference::is_safe(next)) {
                let to = reference::without_secrets(next);
                return attempt.error(format!("it redirects to {to}, which is not https"));
            }
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.error(format!("more than {MAX_REDIRECTS} redirects"));
            }
            attempt.follow()
        }));
    if here {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(reason)?;
    let mut response = client.get(url.clone()).send().await.map_err(reason)?;
    if !response.status().is_success() {
        let host = response.url().host_str().unwrap_or(&host);
        return Err(format!("{host} answered {}", response.status()));
    }
    if response
        .content_length()
        .is_some_and(|length| length > MAX_KEY_FILE as u64)
    {
        return Ok(None);
    }
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE));
    while let Some(chunk) = response.chunk().await.map_err(reason)? {
        if content.len() + chunk.len() > MAX_KEY_FILE {
            return Ok(None);
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Some(content))
}

/// The innermost cause: the outer ones only repeat the URL, which may hold secrets.
fn explain(host: &str, error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("{host} did not answer within {} s", TIMEOUT.as_secs());
    }
    let connect = error.is_connect();
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let action = if connect {
        "cannot connect to"
    } else {
        "the request failed to"
    };
    format!("{action} {host}: {cause}")
}
