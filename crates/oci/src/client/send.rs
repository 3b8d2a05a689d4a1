//! One request to one URL: time bounds, waiting, redirects.
//!
//! Invariants:
//! - It ends. Connecting and the first byte have a time bound; [`answer`](super::answer) bounds the rest.
//! - What passes by itself (429, 502 to 504, a broken connection) is tried again, as `Retry-After` says, within
//!   [`MAX_WAIT`]; nothing else is.
//! - Redirects are followed by hand. They drop `Authorization` when scheme, host or port change, and none leads from
//!   HTTPS to HTTP, except on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::Client;
use super::answer::{Answer, MIN_RATE};
use super::stream::BlobStream;
use super::transport::{Scheme, authority, failure, is_loopback};
use crate::error::{Attempt, ConnectCause, Error, sanitise};
use crate::options::{Options, RequestLog};

/// All waiting between the tries of one request together.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The first wait where the registry does not say; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Redirects of one request. Registries use one, to a blob store.
const MAX_REDIRECTS: usize = 5;

/// What is sent along.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
    /// A file of this size, opened anew for each try.
    File(PathBuf, u64),
    /// A blob from elsewhere, opened anew for each try.
    Stream(Arc<BlobStream>),
}

impl Body {
    fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
            Self::Stream(stream) => stream.size(),
        }
    }

    /// Why the bytes of a stream ended before their end, if they did.
    pub(super) fn source_failure(&self) -> Option<Error> {
        match self {
            Self::Stream(stream) => stream.take_failure(),
            Self::Empty | Self::Bytes(_) | Self::File(..) => None,
        }
    }
}

/// A request to one URL.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) scheme: Scheme,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
    pub(super) attempt: Attempt,
    pub(super) repeatable: bool,
    /// A broken connection may mean that the host expects the other scheme, which is tried next.
    pub(super) probing: bool,
    /// It goes to the registry itself, so that `--registry-server-name` applies.
    pub(super) registry: bool,
}

impl Client {
    /// Sends to one URL; waits and follows redirects. The answer may have any other status.
    pub(super) async fn send(&self, mut outgoing: Outgoing) -> Result<Answer, Error> {
        let options = &self.inner.options;
        let started = Instant::now();
        let mut tries = 0;
        let mut redirects = 0;
        loop {
            tries += 1;
            let spent = started.elapsed();
            let may_repeat = tries <= options.retries;
            match self.send_once(&outgoing).await {
                Ok(response) if is_passing(response.status().as_u16()) && may_repeat => {
                    let wait = retry_after(&response)
                        .unwrap_or_else(|| jitter(FIRST_WAIT * (1 << (tries - 1).min(6))));
                    let used_up = spent + wait > MAX_WAIT;
                    if used_up || !outgoing.repeatable && response.status() != 429 {
                        return Ok(Answer::new(response, outgoing, tries, options));
                    }
                    drop(response);
                    tokio::time::sleep(wait.max(Duration::from_millis(20))).await;
                }
                Ok(response) if is_redirect(response.status().as_u16()) => {
                    if !matches!(outgoing.method, Method::GET | Method::HEAD) {
                        return Ok(Answer::new(response, outgoing, tries, options));
                    }
                    redirects += 1;
                    follow(&mut outgoing, &response, redirects, options)?;
                    tries = 0;
                }
                Ok(response) => return Ok(Answer::new(response, outgoing, tries, options)),
                Err(Error::Connect {
                    cause: ConnectCause::Broken,
                    ..
                }) if outgoing.repeatable && !outgoing.probing && may_repeat => {
                    let wait = jitter(FIRST_WAIT * (1 << (tries - 1).min(6)));
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn send_once(&self, outgoing: &Outgoing) -> Result<reqwest::Response, Error> {
        let options = &self.inner.options;
        let host = authority(&outgoing.url);
        let name = options
            .server_name
            .as_deref()
            .filter(|_| outgoing.registry && outgoing.scheme == Scheme::Https);
        let client =
            self.inner
                .transports
                .client(options, outgoing.scheme, &host, name.is_some())?;
        let mut url = outgoing.url.clone();
        let mut request = {
            if let Some(name) = name {
                url.set_host(Some(name)).map_err(|error| Error::Option {
                    option: "--registry-server-name",
                    reason: format!("{name:?} is not a host name: {error}"),
                })?;
            }
            client.request(outgoing.method.clone(), url)
        };
        if name.is_some() {
            request = request.header(HOST, &host);
        }
        for (name, value) in &outgoing.headers {
            request = request.header(name, value);
        }
        request = match &outgoing.body {
            Body::Empty if matches!(outgoing.method, Method::POST | Method::PUT) => {
                request.header(CONTENT_LENGTH, 0)
            }
            Body::Empty => request,
            Body::Bytes(bytes) => request.body(bytes.clone()),
            Body::File(path, size) => request
                .header(CONTENT_LENGTH, *size)
                .body(file(path).await?),
            Body::Stream(stream) => request
                .header(CONTENT_LENGTH, stream.size())
                .body(Arc::clone(stream).body()),
        };
        let started = Instant::now();
        let allowed = options.timeout + Duration::from_secs(outgoing.body.len() / MIN_RATE);
        let result = tokio::time::timeout(allowed, request.send()).await;
        let status = match &result {
            Ok(Ok(response)) => Some(response.status().as_u16()),
            _ => None,
        };
        if let Some(callback) = &options.on_request {
            callback(&RequestLog {
                method: outgoing.method.to_string(),
                url: printable(&outgoing.url),
                status,
                millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        match result {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure(&outgoing.attempt, options, outgoing.scheme, &error)),
            Err(_) => Err(Error::Timeout {
                attempt: outgoing.attempt.clone(),
                phase: "waiting for the first byte of the answer",
                after: allowed,
            }),
        }
    }
}

fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Points `outgoing` at where the answer says.
fn follow(
    outgoing: &mut Outgoing,
    response: &reqwest::Response,
    redirects: usize,
    options: &Options,
) -> Result<(), Error> {
    let refuse = |reason: &str| Error::Redirect {
        attempt: outgoing.attempt.clone(),
        reason: reason.into(),
    };
    if redirects > MAX_REDIRECTS {
        return Err(refuse("there are more than five of them"));
    }
    let location = response
        .headers()
        .get(reqwest::header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| refuse("it does not say where to"))?;
    let url = given_url(&outgoing.url, location, options).map_err(|reason| refuse(&reason))?;
    let same = url.scheme() == outgoing.url.scheme() && authority(&url) == authority(&outgoing.url);
    if !same {
        outgoing.headers.retain(|(name, _)| name != AUTHORIZATION);
        outgoing.registry = false;
    }
    outgoing.scheme = if url.scheme() == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    outgoing.url = url;
    Ok(())
}

/// A URL that a registry gives in an answer to a request to `base`: absolute or relative.
pub(super) fn given_url(base: &Url, location: &str, options: &Options) -> Result<Url, String> {
    let mut url = base
        .join(location)
        .map_err(|error| format!("to a bad URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("to a URL of scheme {:?}", sanitise(url.scheme())));
    }
    if base.scheme() == "https" && url.scheme() == "http" {
        if url.host_str() == base.host_str() && url.port() == base.port() {
            // Behind a proxy that ends TLS, a registry often does not know its own scheme.
            url.set_scheme("https")
                .map_err(|()| "to a bad URL".to_owned())?;
        } else {
            let local = is_loopback(&authority(base)) && is_loopback(&authority(&url));
            if !local && !options.allow_http {
                return Err(format!(
                    "from HTTPS to plain HTTP at {}",
                    sanitise(&authority(&url))
                ));
            }
        }
    }
    Ok(url)
}

/// `Retry-After` in either form, RFC 9110 section 10.2.3.
pub(super) fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let text = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = jiff::Timestamp::try_from(SystemTime::now()).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Between half and the whole of a time, so that many clients do not come back in step.
pub(super) fn jitter(duration: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(duration);
    let share = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    duration.mul_f64(0.5 + share / 2.0)
}

/// The URL without what a query may keep secret.
fn printable(url: &Url) -> String {
    const HARMLESS: [&str; 9] = [
        "n",
        "last",
        "artifactType",
        "digest",
        "mount",
        "from",
        "scope",
        "service",
        "client_id",
    ];
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let known = HARMLESS.contains(&name.as_ref());
                (
                    name.to_string(),
                    if known {
                        value.to_string()
                    } else {
                        "…".to_owned()
                    },
                )
            })
            .collect();
        shown.query_pairs_mut().clear().extend_pairs(pairs);
    }
    sanitise(&shown.to_string().replace("%E2%80%A6", "…"))
}

async fn file(path: &PathBuf) -> Result<reqwest::Body, Error> {
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| Error::io("reading", path.clone(), error))?;
    let stream = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; 128 << 10];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    Ok(reqwest::Body::wrap_stream(stream))
}
