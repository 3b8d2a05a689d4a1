//! Connections: which scheme a host is spoken to with, and the HTTP client for it.
//!
//! Invariant: the system's certificate authorities are read when the first HTTPS request is made, and not before; a
//! run that only talks to this machine never reads them. Redirects are never followed here, and bodies never
//! decompressed: both need rules of ours.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sealmark_http::{causes, innermost};

use super::lock;
use crate::error::{Attempt, ConnectCause, Error};
use crate::options::Options;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// What to try on a host that has not answered yet, in this order. This machine is spoken to in plain HTTP
    /// first, since nobody else can listen there; any other only when the user allows it, and then after HTTPS.
    pub(super) fn candidates(host: &str, options: &Options) -> &'static [Self] {
        if is_loopback(host) {
            &[Self::Http, Self::Https]
        } else if options.allow_http {
            &[Self::Https, Self::Http]
        } else {
            &[Self::Https]
        }
    }
}

/// `host` or `host:port` is this machine, by address or as `localhost`.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    sealmark_http::is_loopback(name)
}

/// `host:port` of a URL, without a port if it is the scheme's own.
pub(super) fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The phase of a time-out in which nothing has been sent.
pub(super) const CONNECTING: &str = "connecting";

#[derive(Default)]
pub(super) struct Transports {
    /// Plain HTTP to this machine: never through a proxy.
    local: OnceLock<reqwest::Client>,
    /// Plain HTTP elsewhere.
    plain: OnceLock<reqwest::Client>,
    /// HTTPS.
    tls: OnceLock<reqwest::Client>,
    /// HTTPS to a registry whose certificate has another name, by the registry's host.
    named: Mutex<HashMap<String, reqwest::Client>>,
}

impl Transports {
    /// The client for `url`. With `server_name`, the URL is one that [`rename`] made for a registry on `host`.
    pub(super) fn client(
        &self,
        options: &Options,
        scheme: Scheme,
        host: &str,
        server_name: bool,
    ) -> Result<reqwest::Client, Error> {
        match scheme {
            Scheme::Http if is_loopback(host) => {
                cached(&self.local, || build(plain(options).no_proxy()))
            }
            Scheme::Http => cached(&self.plain, || build(plain(options))),
            Scheme::Https if server_name => {
                if let Some(client) = lock(&self.named).get(host) {
                    return Ok(client.clone());
                }
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                let name = name
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned();
                // HTTP/2 would send the certificate's name as the authority.
                let builder = tls(options)?
                    .http1_only()
                    .no_proxy()
                    .dns_resolver(Fixed { name });
                let client = build(builder)?;
                lock(&self.named).insert(host.to_owned(), client.clone());
                Ok(client)
            }
            Scheme::Https => cached(&self.tls, || build(tls(options)?)),
        }
    }
}

fn cached(
    cell: &OnceLock<reqwest::Client>,
    make: impl FnOnce() -> Result<reqwest::Client, Error>,
) -> Result<reqwest::Client, Error> {
    if let Some(client) = cell.get() {
        return Ok(client.clone());
    }
    let client = make()?;
    Ok(cell.get_or_init(|| client).clone())
}

fn base(options: &Options) -> reqwest::ClientBuilder {
    sealmark_http::builder(options.timeout)
}

/// Without a single certificate authority, so that none is read.
fn plain(options: &Options) -> reqwest::ClientBuilder {
    base(options).tls_certs_only([])
}

fn tls(options: &Options) -> Result<reqwest::ClientBuilder, Error> {
    let mut builder = base(options);
    if let Some(path) = &options.cacert {
        let option = "--registry-cacert";
        let certificates = reqwest::Certificate::from_pem_bundle(&read(option, path)?)
            .map_err(|error| bad(option, path, &error))?;
        if certificates.is_empty() {
            return Err(Error::Option {
                option,
                reason: format!("there is no PEM certificate in {}", path.display()),
            });
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&options.client_cert, &options.client_key) {
        (None, None) => {}
        (Some(certificate), Some(key)) => {
            let mut pem = read("--registry-client-cert", certificate)?;
            pem.push(b'\n');
            pem.extend(read("--registry-client-key", key)?);
            let identity = reqwest::Identity::from_pem(&pem)
                .map_err(|error| bad("--registry-client-cert", certificate, &error))?;
            builder = builder.identity(identity);
        }
        (Some(_), None) => {
            return Err(Error::Option {
                option: "--registry-client-cert",
                reason: "give its key with --registry-client-key, too".to_owned(),
            });
        }
        (None, Some(_)) => {
            return Err(Error::Option {
                option: "--registry-client-key",
                reason: "give the certificate with --registry-client-cert, too".to_owned(),
            });
        }
    }
    Ok(builder.tls_danger_accept_invalid_certs(options.allow_insecure))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Option {
        option,
        reason: format!("cannot read {}: {error}", path.display()),
    })
}

fn bad(option: &'static str, path: &Path, error: &reqwest::Error) -> Error {
    let reason = format!("cannot use {}: {}", path.display(), innermost(error));
    Error::Option { option, reason }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder.build().map_err(|error| Error::Option {
        option: "TLS",
        reason: format!(
            "cannot be set up: {}; install the system's CA certificates, or name one with --registry-cacert",
            innermost(&error)
        ),
    })
}

/// Every name is at the addresses of one host.
struct Fixed {
    name: String,
}

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let name = self.name.clone();
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What a failure of reqwest means.
pub(super) fn failure(
    attempt: &Attempt,
    options: &Options,
    scheme: Scheme,
    error: &reqwest::Error,
) -> Error {
    if error.is_timeout() {
        let phase = if error.is_connect() {
            "connecting"
        } else {
            "waiting for the answer"
        };
        return Error::Timeout {
            attempt: attempt.clone(),
            phase,
            after: options.timeout,
        };
    }
    let text = innermost(error);
    let kinds: Vec<_> = causes(error)
        .iter()
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
        .collect();
    use std::io::ErrorKind as Kind;
    let cause = if kinds.contains(&Kind::ConnectionRefused) {
        ConnectCause::Refused
    } else if error.is_dns() {
        ConnectCause::Dns
    } else if error.is_connect() && scheme == Scheme::Https && kinds.contains(&Kind::InvalidData) {
        ConnectCause::Tls
    } else if !error.is_connect()
        || [
            Kind::ConnectionReset,
            Kind::BrokenPipe,
            Kind::UnexpectedEof,
            Kind::ConnectionAborted,
        ]
        .iter()
        .any(|kind| kinds.contains(kind))
    {
        ConnectCause::Broken
    } else {
        ConnectCause::Other
    };
    Error::Connect {
        attempt: attempt.clone(),
        cause,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_plain_http_unasked() {
        for (host, loopback) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.9.1", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:80", false),
            ("10.0.0.1:5000", false),
            ("registry.local", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
            let candidates = Scheme::candidates(host, &Options::default());
            assert_eq!(candidates.contains(&Scheme::Http), loopback, "{host}");
        }
        let options = Options {
            allow_http: true,
            ..Options::default()
        };
        assert_eq!(
            Scheme::candidates("example.com", &options),
            [Scheme::Https, Scheme::Http]
        );
    }
}
