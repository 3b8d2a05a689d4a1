//! One request, until there is an answer that means something.
//!
//! Invariants, for every request of this crate:
//! - It ends. Connecting, the first byte and each further piece have a time bound, and a body must arrive at
//!   [`MIN_RATE`] after a grace period, so that a slow drip ends too. Sizes are bounded by the caller's limit.
//! - `Authorization` goes to the host that it is for and to no other: redirects are followed by hand, and drop it when
//!   scheme, host or port change. No redirect leads from HTTPS to HTTP, except on this machine.
//! - What passes by itself (429, 502 to 504, a broken connection) is tried again, as `Retry-After` says, within
//!   [`MAX_WAIT`]; nothing else is.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::auth::Scope;
use super::transport::{CONNECTING, Scheme, authority, failure, is_loopback};
use super::{Client, lock};
use crate::error::{Attempt, ConnectCause, Error, sanitise};
use crate::options::{Options, RequestLog};

/// All waiting between the tries of one request together.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The first wait where the registry does not say; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Redirects of one request. Registries use one, to a blob store.
const MAX_REDIRECTS: usize = 5;
/// Bytes per second that a body must arrive at, after four times the step's timeout.
const MIN_RATE: u64 = 8 << 10;
/// As much of an error's body as is read.
const MAX_ERROR_BODY: usize = 16 << 10;

/// What is sent along.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
    /// A file of this size, opened anew for each try.
    File(PathBuf, u64),
}

impl Body {
    fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}

/// A path of the registry's API, or a URL that the registry gave.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Path(String),
    Url(Url),
}

/// A request to a registry.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) registry: &'a str,
    pub(super) to: Target,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
    pub(super) scopes: Vec<Scope>,
    pub(super) operation: &'static str,
    /// What the operation is on, for errors.
    pub(super) target: String,
    /// False where a second try of this very request cannot succeed: an upload's session is used up.
    pub(super) repeatable: bool,
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

/// The head of an answer; the body is still to be read.
pub(super) struct Answer {
    response: reqwest::Response,
    pub(super) attempt: Attempt,
    /// The credential that was sent, by its source.
    pub(super) credential: String,
    pub(super) url: Url,
    /// The start of an error's body, where it was looked at already.
    seen: Vec<u8>,
    tries: u32,
    timeout: Duration,
}

impl Client {
    /// Sends a request to a registry and answers its demands. The answer may have any status.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, Error> {
        let attempt = Attempt {
            host: call.registry.to_owned(),
            operation: call.operation,
            target: call.target.clone(),
        };
        let known = lock(&self.inner.schemes).get(call.registry).copied();
        let candidates: &[Scheme] = match (&known, &call.to) {
            (_, Target::Url(url)) if url.scheme() == "http" => &[Scheme::Http],
            (_, Target::Url(_)) => &[Scheme::Https],
            (Some(Scheme::Http), _) => &[Scheme::Http],
            (Some(Scheme::Https), _) => &[Scheme::Https],
            (None, _) => Scheme::candidates(call.registry, &self.inner.options),
        };
        let mut first_failure = None;
        for (at, scheme) in candidates.iter().enumerate() {
            let last = at + 1 == candidates.len();
            let error = match self
                .call_by(&call, &attempt, *scheme, candidates.len() > 1, last)
                .await
            {
                Ok(Some(answer)) => {
                    lock(&self.inner.schemes)
                        .entry(call.registry.to_owned())
                        .or_insert(*scheme);
                    return Ok(answer);
                }
                // The host expects the other scheme.
                Ok(None) => continue,
                Err(error) => error,
            };
            let other_scheme_may_work = match &error {
                // Where nothing listens, nothing speaks the other scheme; but it may have another port.
                Error::Connect {
                    cause: ConnectCause::Refused,
                    ..
                } => !is_loopback(call.registry),
                Error::Connect { cause, .. } => *cause != ConnectCause::Dns,
                Error::Timeout { phase, .. } => *phase == CONNECTING,
                _ => false,
            };
            first_failure = Some(match first_failure {
                Some(first) => truer(first, error),
                None => error,
            });
            if !other_scheme_may_work {
                break;
            }
        }
        match first_failure {
            // It was not the scheme, so it was the connection.
            Some(Error::Connect {
                cause: ConnectCause::Broken,
                ..
            }) if call.repeatable && candidates.len() > 1 => {
                let answer = self
                    .call_by(&call, &attempt, candidates[0], true, true)
                    .await?;
                answer.ok_or_else(|| neither(attempt))
            }
            Some(error) => Err(error),
            None => Err(neither(attempt)),
        }
    }

    /// `None` if a plain HTTP request shows that the host expects HTTPS. `unknown` says that the host's scheme is not
    /// known yet, `last` that no other is tried after this.
    async fn call_by(
        &self,
        call: &Call<'_>,
        attempt: &Attempt,
        scheme: Scheme,
        unknown: bool,
        last: bool,
    ) -> Result<Option<Answer>, Error> {
        let url = match &call.to {
            Target::Url(url) => url.clone(),
            Target::Path(path) => {
                Url::parse(&format!("{}://{}{path}", scheme.name(), call.registry))
                    .map_err(|error| Error::malformed(format!("URL of {}", call.target), error))?
            }
        };
        // A URL that the registry gave may be elsewhere: a blob store gets no credential of the registry's.
        let own = authority(&url) == authority_of(call.registry, scheme);
        let mut challenged = false;
        let mut renewed = false;
        loop {
            let presented = self
                .authorization(attempt, call.registry, &call.scopes)
                .await?;
            let mut headers = call.headers.clone();
            if let (true, Some(header)) = (own, &presented.header) {
                headers.push((AUTHORIZATION, header.clone()));
            }
            let outgoing = Outgoing {
                method: call.method.clone(),
                scheme,
                url: url.clone(),
                headers,
                body: call.body.clone(),
                attempt: attempt.clone(),
                repeatable: call.repeatable,
                probing: !last,
                registry: own,
            };
            let mut answer = self.send(outgoing).await?;
            answer.credential.clone_from(&presented.source);
            if unknown && scheme == Scheme::Http && answer.status() == 400 {
                let wants_https = if call.method == Method::HEAD {
                    // The hint is in the words, and an answer to HEAD has none.
                    let mut worded = self.send(self.worded(call, attempt, &url)).await?;
                    worded.wants_https().await?
                } else {
                    answer.wants_https().await?
                };
                if wants_https {
                    return Ok(None);
                }
            }
            if answer.status() != 401 || !own {
                return Ok(Some(answer));
            }
            // Once because nothing was known, once more because a token had ended.
            presented.discard().await;
            let again = if presented.header.is_none() && !challenged {
                challenged = true;
                true
            } else if presented.cached && !renewed {
                renewed = true;
                true
            } else {
                false
            };
            let understood =
                self.challenged(call.registry, &call.scopes, answer.response.headers());
            if !again || !understood {
                return Ok(Some(answer));
            }
        }
    }

    /// The same as a GET in plain HTTP, without credentials.
    fn worded(&self, call: &Call<'_>, attempt: &Attempt, url: &Url) -> Outgoing {
        Outgoing {
            method: Method::GET,
            scheme: Scheme::Http,
            url: url.clone(),
            headers: call.headers.clone(),
            body: Body::Empty,
            attempt: attempt.clone(),
            repeatable: true,
            probing: false,
            registry: true,
        }
    }

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

impl Answer {
    fn new(response: reqwest::Response, outgoing: Outgoing, tries: u32, options: &Options) -> Self {
        Self {
            response,
            attempt: outgoing.attempt,
            credential: "nothing".to_owned(),
            url: outgoing.url,
            seen: Vec::new(),
            tries,
            timeout: options.timeout,
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    pub(super) fn content_type(&self) -> &str {
        let value = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// `Content-Length`, also of an answer to HEAD.
    pub(super) fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH.as_str())
            .and_then(|text| text.parse().ok())
    }

    /// The whole body, if it is not larger than `limit`.
    pub(super) async fn bytes(&mut self, what: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge {
            what: what.to_owned(),
            limit,
        };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut pace = Pace::new(self.timeout);
        while let Some(chunk) = self.chunk(&mut pace).await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The next piece of the body.
    pub(super) async fn chunk(&mut self, pace: &mut Pace) -> Result<Option<Bytes>, Error> {
        let timeout = |phase, after| Error::Timeout {
            attempt: self.attempt.clone(),
            phase,
            after,
        };
        let next = tokio::time::timeout(self.timeout, self.response.chunk())
            .await
            .map_err(|_| timeout("waiting for the rest of the answer", self.timeout))?;
        let chunk = next.map_err(|error| {
            if error.is_timeout() {
                return timeout("waiting for the rest of the answer", self.timeout);
            }
            Error::Connect {
                attempt: self.attempt.clone(),
                cause: ConnectCause::Broken,
                text: "the answer broke off".to_owned(),
            }
        })?;
        if let Some(chunk) = &chunk {
            pace.received += chunk.len() as u64;
            if pace.too_slow() {
                let after = pace.started.elapsed();
                return Err(timeout("reading an answer that comes too slowly", after));
            }
        }
        Ok(chunk)
    }

    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        mut self,
        what: &str,
        limit: u64,
    ) -> Result<T, Error> {
        let bytes = self.bytes(what, limit).await?;
        self.expect_json(&bytes)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::malformed(what, error))
    }

    /// Whether `bytes` could come from a registry: a login page or a proxy's message could not.
    pub(super) fn expect_json(&self, bytes: &[u8]) -> Result<(), Error> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if self.content_type() != "text/html" && matches!(first, Some(b'{' | b'[')) {
            return Ok(());
        }
        Err(self.not_registry(bytes))
    }

    fn not_registry(&self, bytes: &[u8]) -> Error {
        let start: String = String::from_utf8_lossy(bytes).chars().take(80).collect();
        Error::NotRegistry {
            attempt: self.attempt.clone(),
            content_type: sanitise(self.content_type()),
            start: sanitise(&start),
        }
    }

    /// The start of the body of an error.
    async fn start(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut pace = Pace::new(self.timeout);
        let mut bytes = std::mem::take(&mut self.seen);
        while bytes.len() < limit {
            let Some(chunk) = self.chunk(&mut pace).await? else {
                break;
            };
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(limit);
        Ok(bytes)
    }

    /// Whether this code is among the errors.
    pub(super) async fn says(&mut self, code: &str) -> Result<bool, Error> {
        self.seen = self.start(MAX_ERROR_BODY).await?;
        Ok(registry_words(&self.seen).0.iter().any(|have| have == code))
    }

    /// Whether a 400 is how a TLS server answers plain HTTP.
    async fn wants_https(&mut self) -> Result<bool, Error> {
        self.seen = self.start(MAX_ERROR_BODY).await?;
        Ok(String::from_utf8_lossy(&self.seen).contains("HTTPS"))
    }

    /// The registry's error codes and messages.
    pub(super) async fn words(mut self) -> (Vec<String>, String) {
        registry_words(&self.start(MAX_ERROR_BODY).await.unwrap_or_default())
    }

    /// The error that this answer is, with the registry's own words.
    pub(super) async fn refused(mut self) -> Error {
        // That the words are missing does not change what the answer is.
        let body = self.start(MAX_ERROR_BODY).await.unwrap_or_default();
        let (codes, detail) = registry_words(&body);
        let attempt = self.attempt.clone();
        let credential = self.credential.clone();
        match self.status() {
            401 => Error::Unauthorized {
                attempt,
                credential,
                detail,
            },
            403 => Error::Forbidden {
                attempt,
                credential,
                detail,
            },
            404 if self.content_type() == "text/html"
                && self.header("docker-distribution-api-version").is_none() =>
            {
                self.not_registry(&body)
            }
            404 => Error::NotFound {
                attempt,
                repository_unknown: codes.iter().any(|code| code == "NAME_UNKNOWN"),
                detail,
            },
            429 => Error::RateLimited {
                attempt,
                tries: self.tries,
                retry_after: retry_after(&self.response),
                detail,
            },
            status @ 300..=399 => Error::Redirect {
                attempt,
                reason: format!("status {status} is not expected for this operation"),
            },
            200..=299 => self.not_registry(&body),
            status @ 500..=599 => Error::Server {
                attempt,
                status,
                detail,
            },
            status => Error::Rejected {
                attempt,
                status,
                detail,
            },
        }
    }
}

/// How fast a body comes.
pub(super) struct Pace {
    started: Instant,
    grace: Duration,
    received: u64,
}

impl Pace {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            started: Instant::now(),
            grace: timeout * 4,
            received: 0,
        }
    }

    fn too_slow(&self) -> bool {
        let late = self.started.elapsed().saturating_sub(self.grace);
        u128::from(self.received) < late.as_millis() * u128::from(MIN_RATE) / 1000
    }
}

/// The codes and messages of an error document:
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>. Text that is none is given as
/// it is, since a proxy's own message helps, too.
fn registry_words(body: &[u8]) -> (Vec<String>, String) {
    #[derive(serde::Deserialize)]
    struct Document {
        #[serde(default)]
        errors: Vec<Entry>,
        #[serde(default)]
        details: serde_json::Value,
        #[serde(default)]
        message: serde_json::Value,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: serde_json::Value,
    }
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        let text = String::from_utf8_lossy(body);
        let html = text.trim_start().starts_with('<');
        return (
            Vec::new(),
            if html { String::new() } else { sanitise(&text) },
        );
    };
    let mut codes = Vec::new();
    let mut words = Vec::new();
    for entry in document.errors.iter().take(3) {
        let code = sanitise(entry.code.as_str().unwrap_or_default());
        let message = sanitise(entry.message.as_str().unwrap_or_default());
        let parts: Vec<&str> = [code.as_str(), message.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        words.push(parts.join(": "));
        codes.push(code);
    }
    if words.is_empty() {
        words.extend(
            [&document.message, &document.details]
                .iter()
                .filter_map(|v| v.as_str())
                .map(sanitise),
        );
    }
    (codes, words.join("; "))
}

/// Which of two failures, by one scheme and then by the other, is about what the host really speaks.
fn truer(first: Error, second: Error) -> Error {
    match &second {
        Error::Option { .. } => second,
        // A handshake that got as far as a certificate, and did not choke on plain text.
        Error::Connect {
            cause: ConnectCause::Tls,
            text,
            ..
        } if !text.contains("corrupt") => second,
        _ => first,
    }
}

fn neither(attempt: Attempt) -> Error {
    Error::Connect {
        attempt,
        cause: ConnectCause::Other,
        text: "it speaks neither HTTP nor HTTPS".to_owned(),
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

/// The authority that URLs of a registry have: its own name, without a port that is the scheme's.
fn authority_of(registry: &str, scheme: Scheme) -> String {
    Url::parse(&format!("{}://{registry}/", scheme.name()))
        .map(|url| authority(&url))
        .unwrap_or_default()
}

/// `Retry-After` in either form, RFC 9110 section 10.2.3.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
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
