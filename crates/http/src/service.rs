//! One service, and requests to it.
//!
//! Invariants:
//! - It ends: each try, body included, has the time of [`Options::timeout`], and there are at most [`Options::tries`].
//! - What passes by itself (429, 502 to 504, no connection) is tried again; whatever is asked here may be asked twice.
//! - No redirect is followed: what is sent is an identity, and goes only where the user said.
//! - Nothing of what was sent, token or code, gets into an error; what came gets there on one line, cut.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{Error, client_with, innermost, retry_after, sanitise};

/// How long one request may take, as for cosign.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something is asked for, unless the options say otherwise.
const TRIES: u32 = 3;
/// The first wait between tries; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a service may ask for.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The largest answer: a chain of certificates, a timestamp, a token, a document about an issuer.
const MAX_ANSWER: usize = 1 << 20;

/// Called for each request with a line about it, as `--verbose` shows it.
pub type OnRequest = Arc<dyn Fn(&str) + Send + Sync>;

/// How services are reached.
#[derive(Clone)]
pub struct Options {
    /// How long one request may take.
    pub timeout: Duration,
    /// Called for each request.
    pub on_request: Option<OnRequest>,
    /// Certificate authorities that are believed beside those of the system.
    pub authorities: Vec<Certificate>,
    /// How often something is asked for, at most.
    pub tries: u32,
    /// What is particular about TLS with this service.
    pub tls: Tls,
}

/// What may be particular about TLS with one service.
#[derive(Clone, Default)]
pub struct Tls {
    /// Believe [`Options::authorities`] alone, and not those of the system.
    pub only_authorities: bool,
    /// Believe any certificate. For servers that the user has said this of, and for nothing else.
    pub accept_any_certificate: bool,
    /// Who asks: a certificate and its key.
    pub identity: Option<Identity>,
    /// The host of the URL is the name in the server's certificate, and the server is here.
    pub address: Option<SocketAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            on_request: None,
            authorities: Vec::new(),
            tries: TRIES,
            tls: Tls::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A service, and the way to it.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it is, for people: `certificate authority`.
    kind: &'static str,
    base: Url,
    client: Client,
    options: Options,
}

/// A whole answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
    kind: &'static str,
    request: String,
}

impl Service {
    /// The service at `url`, which may have a path, but no password. `kind` is what it is, for people.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Tls`].
    pub fn new(kind: &'static str, url: &str, options: &Options) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Url {
            kind,
            url: sanitise(url),
            reason: reason.to_owned(),
        };
        let base = Url::parse(url).map_err(|_| wrong("give https://HOST"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("give https://HOST or http://HOST"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("it must have no user name or password"));
        }
        let client = client_with(&base, options.timeout, &options.authorities, &options.tls)?;
        Ok(Self {
            kind,
            base,
            client,
            options: options.clone(),
        })
    }

    /// The URL as it was given.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The URL with this path after its own.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        url
    }

    /// `GET`; see [`Service::request`].
    ///
    /// # Errors
    /// As [`Service::request`].
    pub async fn get(
        &self,
        url: &Url,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.request(Method::GET, url, build).await
    }

    /// `POST`; see [`Service::request`].
    ///
    /// # Errors
    /// As [`Service::request`].
    pub async fn post(
        &self,
        url: &Url,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.request(Method::POST, url, build).await
    }

    /// A request, with what `build` adds to it, and its whole answer, whatever its status. `build` is called for each
    /// try.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Timeout`], and [`Error::Answer`] if the answer is too large.
    pub async fn request(
        &self,
        method: Method,
        url: &Url,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let name = method.to_string();
        self.send(&name, url, || {
            build(self.client.request(method.clone(), url.clone()))
        })
        .await
    }

    async fn send(
        &self,
        method: &str,
        url: &Url,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Error> {
        // A query may carry a token of its own, as that of GitHub's does not, but who knows.
        let mut shown = url.clone();
        shown.set_query(None);
        let request = format!("{method} {shown}");
        let mut tries = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let exchange = tokio::time::timeout(self.options.timeout, self.once(&request, build()));
            let result = exchange.await.unwrap_or_else(|_| {
                Err(Error::Timeout {
                    kind: self.kind,
                    request: request.clone(),
                    after: self.options.timeout,
                })
            });
            self.note(&request, &result, started);
            let asked = match &result {
                Ok((answer, wait)) if matches!(answer.status, 429 | 502..=504) => *wait,
                Err(Error::Connect { .. }) => None,
                _ => return result.map(|(answer, _)| answer),
            };
            let wait = asked.unwrap_or(FIRST_WAIT * (1 << (tries - 1)));
            if tries >= self.options.tries || wait > MAX_WAIT {
                return result.map(|(answer, _)| answer);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(
        &self,
        request: &str,
        builder: RequestBuilder,
    ) -> Result<(Answer, Option<Duration>), Error> {
        let failed = |error: reqwest::Error| Error::Connect {
            kind: self.kind,
            request: request.to_owned(),
            reason: match error.is_connect() {
                true => format!("cannot connect: {}", innermost(&error)),
                false => format!("the connection broke off: {}", innermost(&error)),
            },
            unknown_host: error.is_dns(),
        };
        let mut response = builder.send().await.map_err(failed)?;
        let wait = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::Answer {
                    kind: self.kind,
                    request: request.to_owned(),
                    reason: format!("it is larger than {MAX_ANSWER} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
            kind: self.kind,
            request: request.to_owned(),
        };
        Ok((answer, wait))
    }

    fn note(
        &self,
        request: &str,
        result: &Result<(Answer, Option<Duration>), Error>,
        started: Instant,
    ) {
        if let Some(note) = &self.options.on_request {
            let status = match result {
                Ok((answer, _)) => answer.status.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            note(&format!(
                "{request} {status} {} ms",
                started.elapsed().as_millis()
            ));
        }
    }
}

impl Answer {
    /// The answer, if its status is that of success.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn good(self) -> Result<Self, Error> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.refused("")),
        }
    }

    /// The error that the answer is, with the service's own words and something to add to them.
    pub fn refused(&self, more: &str) -> Error {
        Error::Refused {
            kind: self.kind,
            request: self.request.clone(),
            status: self.status,
            message: format!("{}{more}", self.words()),
        }
    }

    /// `message` of an error in JSON, `error_description` of OAuth, or the text; a page for people says nothing.
    fn words(&self) -> String {
        let json: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let member = |name: &str| Some(json.as_ref()?.get(name)?.as_str()?.to_owned());
        let said = ["message", "error_description", "error"]
            .into_iter()
            .find_map(member);
        let text = said.unwrap_or_else(|| match self.body.trim_ascii_start().first() {
            Some(b'<' | b'{') => String::new(),
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        });
        match sanitise(&text) {
            text if text.is_empty() => text,
            text => format!(": {text}"),
        }
    }

    /// What the JSON says.
    ///
    /// # Errors
    /// [`Error::Answer`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // The parser's error may quote the answer, and that may be a token.
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            self.malformed(format!("it is not the JSON that it should be ({place})"))
        })
    }

    /// The error that the answer is not what was asked for.
    pub fn malformed(&self, reason: impl fmt::Display) -> Error {
        Error::Answer {
            kind: self.kind,
            request: self.request.clone(),
            reason: sanitise(&reason.to_string()),
        }
    }
}
