//! Requests to services over HTTP, bounded in size, time and number.
//!
//! [`Service`] is what most of the program's clients need: an identity provider, a certificate authority, a key
//! management service. Those with rules of their own about redirects and large answers (registries, logs) share the
//! rest: how a client is made, which host is this machine, what a failure is called, and how text from outside is shown.

mod error;
mod service;

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder};
use url::Url;

pub use error::Error;
pub use service::{Answer, DEFAULT_TIMEOUT, OnRequest, Options, Service, Tls};

/// As much as is quoted of a service's own words, in characters.
const MAX_QUOTED: usize = 400;

/// What every client has: it says who it is, follows no redirect, and repeats nothing by itself.
pub fn builder(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("sealmark/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
}

/// A client for one service. `authorities` are believed beside those of the system.
///
/// Without TLS the system's certificate authorities are not read, and to this machine, or the service that a cloud has
/// beside it at a link-local address, no proxy is used.
///
/// # Errors
/// [`Error::Tls`].
pub fn client(
    url: &Url,
    connect_timeout: Duration,
    authorities: &[Certificate],
) -> Result<Client, Error> {
    client_with(url, connect_timeout, authorities, &Tls::default())
}

/// [`client`], with what is particular about TLS.
pub(crate) fn client_with(
    url: &Url,
    connect_timeout: Duration,
    authorities: &[Certificate],
    tls: &Tls,
) -> Result<Client, Error> {
    let mut builder = builder(connect_timeout);
    if url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    } else if tls.only_authorities {
        builder = builder.tls_certs_only(authorities.iter().cloned());
    } else if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities.iter().cloned());
    }
    if tls.accept_any_certificate {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(identity) = &tls.identity {
        builder = builder.identity(identity.clone());
    }
    let host = url.host_str().unwrap_or_default();
    if let Some(address) = tls.address {
        builder = builder.resolve(host, address);
        if address.ip().is_loopback() {
            builder = builder.no_proxy();
        }
    }
    let link_local = |ip: std::net::Ipv4Addr| ip.is_link_local();
    if is_loopback(host) || host.parse().is_ok_and(link_local) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Error::Tls {
        reason: innermost(&error),
    })
}

/// This machine, by address or as `localhost`; an IPv6 address may have its brackets.
///
/// ```
/// for (host, here) in [("localhost", true), ("127.8.9.1", true), ("[::1]", true), ("10.0.0.1", false), ("127.0.0.1.example.com", false)] {
///     assert_eq!(sealmark_http::is_loopback(host), here, "{host}");
/// }
/// ```
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The text of the first cause: the outer errors only say that a request failed.
pub fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map(|cause| sanitise(&cause.to_string()))
        .unwrap_or_default()
}

/// An error and its causes, the first cause last. An `io::Error` hides the error in it from `source`.
pub fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Vec<&'a (dyn std::error::Error + 'static)> {
    let mut causes = vec![error];
    let mut next = Some(error);
    while let Some(error) = next {
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        causes.extend(next);
    }
    causes
}

/// What the server says about when to come again: seconds, or a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = date.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Text from outside on one line, without what could make a terminal show something else, cut.
///
/// ```
/// assert_eq!(sealmark_http::sanitise("no\u{1b}[2K\nsuch \u{202e}key"), "no [2K such  key");
/// ```
pub fn sanitise(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = text.chars().take(MAX_QUOTED);
    let mut clean: String = shown.map(|c| if hostile(c) { ' ' } else { c }).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        clean.push('…');
    }
    clean.trim().to_owned()
}
