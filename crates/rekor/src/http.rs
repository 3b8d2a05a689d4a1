//! Requests to one log, bounded in size, time and number.
//!
//! Invariants:
//! - It ends: each try, body included, has the time of [`Options::timeout`], and all waiting between tries together is
//!   at most [`MAX_WAIT`].
//! - What passes by itself (429, 502 to 504, a broken connection) is tried again, as `Retry-After` says. Writing is
//!   repeated, too: an entry is the same entry however often it is sent, and a log says that it has it already.
//! - Redirects are followed for reading only, and never from HTTPS to HTTP.
//! - Answers are never decompressed here, and nothing of them gets into an error unsanitised.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, Response};
use sealmark_http::{client, innermost, retry_after, sanitise};
use url::Url;

use crate::Error;

mod answer;

pub(crate) use answer::Answer;

/// How long one request may take. A Rekor v2 answers when its next checkpoint is published, which takes 10 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is repeated that failed for a reason that passes.
pub const DEFAULT_RETRIES: u32 = 3;
/// All waiting between the tries of one request together.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The first wait where the server does not say; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Hops of one request; a content network has one.
const MAX_REDIRECTS: usize = 3;
/// As much of a refusal's body as is read, in bytes.
const MAX_REFUSAL: usize = 16 << 10;

/// One request, as `--verbose` shows it.
#[derive(Clone, Debug)]
pub struct RequestLog {
    /// `GET`.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// Until the answer was there.
    pub millis: u64,
}

/// Called for each request.
pub type RequestCallback = Arc<dyn Fn(&RequestLog) + Send + Sync>;

/// How a log is reached.
#[derive(Clone)]
pub struct Options {
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is repeated that failed for a reason that passes.
    pub retries: u32,
    /// Called for each request.
    pub on_request: Option<RequestCallback>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            on_request: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// A way to one log. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    base: Url,
    client: Client,
    options: Options,
}

impl Http {
    /// A way to the log at `url`: `https://` or `http://`, a host, and a path if need be.
    ///
    /// # Errors
    /// [`Error::Url`]; [`Error::Tls`].
    pub fn new(url: &str, options: Options) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Url {
            url: sanitise(url),
            reason: reason.to_owned(),
        };
        let base = Url::parse(&format!("{}/", url.trim_end_matches('/')))
            .map_err(|_| wrong("give https://HOST, with a port or a path if need be"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("give https://HOST or http://HOST"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong("it must have no user name, password or query"));
        }
        let client = client(&base, options.timeout, &[]).map_err(|error| Error::Tls {
            reason: error.to_string(),
        })?;
        Ok(Self {
            base,
            client,
            options,
        })
    }

    /// The URL, with a slash at its end.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The URL without the slash at its end, as people write it.
    pub fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The host without its port: what a Rekor v2 is called in its checkpoints.
    pub fn host(&self) -> &str {
        let host = self.base.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The host and the port, if the URL has one: who it is in messages.
    pub fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str, limit: usize) -> Result<Answer, Error> {
        self.send(Method::GET, path, None, limit).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        json: Vec<u8>,
        limit: usize,
    ) -> Result<Answer, Error> {
        self.send(Method::POST, path, Some(json), limit).await
    }

    /// Sends, waits, and follows. The answer may have any status that does not pass by itself.
    async fn send(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Answer, Error> {
        // Not joined as a link is, by which `//elsewhere/` would be another server.
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        url.set_path(&format!("{}{path}", self.base.path()));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let (mut waited, mut tries, mut redirects) = (Duration::ZERO, 0, 0);
        loop {
            tries += 1;
            let may_repeat = tries <= self.options.retries;
            let wait = FIRST_WAIT * (1 << (tries - 1).min(6));
            let result = self.once(&method, &url, json.clone(), limit).await;
            let wait = match &result {
                Ok(answer) if matches!(answer.status, 429 | 502..=504) => {
                    retry_after(&answer.headers).unwrap_or(wait)
                }
                Err(Error::Connect { .. }) => wait,
                _ => wait.max(MAX_WAIT * 2),
            };
            if may_repeat && waited + wait <= MAX_WAIT {
                waited += wait;
                tokio::time::sleep(wait).await;
                continue;
            }
            let answer = result?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            redirects += 1;
            url = follow(&method, &url, &answer, redirects)?;
            tries = 0;
        }
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        json: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Answer, Error> {
        let request = format!("{method} {url}");
        let mut builder = self.client.request(method.clone(), url.clone());
        if let Some(json) = json {
            builder = builder.header(CONTENT_TYPE, "application/json").body(json);
        }
        let started = Instant::now();
        let timeout = self.options.timeout;
        let mut status = None;
        let exchange = async {
            let response = builder
                .send()
                .await
                .map_err(|error| self.failed(&request, &error))?;
            status = Some(response.status().as_u16());
            self.read(response, request.clone(), limit).await
        };
        let result = match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                request: request.clone(),
                after: timeout,
            }),
        };
        if let Some(callback) = &self.options.on_request {
            callback(&RequestLog {
                method: method.to_string(),
                url: url.to_string(),
                status,
                millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        result
    }

    async fn read(
        &self,
        mut response: Response,
        request: String,
        limit: usize,
    ) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let good = response.status().is_success();
        let limit = if good { limit } else { MAX_REFUSAL };
        let too_large = |request: &str| Error::TooLarge {
            request: request.to_owned(),
            limit,
        };
        if good
            && response
                .content_length()
                .is_some_and(|length| length > limit as u64)
        {
            return Err(too_large(&request));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&request, &error))?
        {
            if body.len() + chunk.len() > limit {
                if good {
                    return Err(too_large(&request));
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers: response.headers().clone(),
            body,
            request,
        })
    }

    fn failed(&self, request: &str, error: &reqwest::Error) -> Error {
        let request = request.to_owned();
        if error.is_timeout() {
            let after = self.options.timeout;
            return Error::Timeout { request, after };
        }
        let reason = match error.is_connect() {
            true => format!("cannot connect: {}", innermost(error)),
            false => format!("the connection broke off: {}", innermost(error)),
        };
        Error::Connect { request, reason }
    }
}

/// Where the answer leads, if that way may be taken.
fn follow(method: &Method, from: &Url, answer: &Answer, redirects: usize) -> Result<Url, Error> {
    let location = answer.header(LOCATION.as_str()).unwrap_or_default();
    let refuse = |reason: &str| Error::Redirect {
        request: answer.request.clone(),
        reason: format!(
            "the server answered {} and leads to {:?}, {reason}",
            answer.status,
            sanitise(location)
        ),
    };
    if method != Method::GET {
        return Err(refuse(
            "but an entry goes only where the user said; give that URL",
        ));
    }
    if redirects > MAX_REDIRECTS {
        return Err(refuse("and that is one redirect too many"));
    }
    let url = from
        .join(location)
        .map_err(|_| refuse("which is not a URL"))?;
    match (from.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => Ok(url),
        _ => Err(refuse("which is not protected by TLS")),
    }
}
