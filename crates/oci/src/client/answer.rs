//! What a registry answers, read within bounds.
//!
//! Invariant: reading ends. Each piece has a time bound, and all must arrive at [`MIN_RATE`] after a grace period, so
//! that a slow drip ends too. Sizes are bounded by the caller's limit. Nothing of an answer gets into an error
//! unsanitised.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use url::Url;

use super::send::{Outgoing, retry_after};
use crate::error::{Attempt, ConnectCause, Error, sanitise};
use crate::options::Options;

/// Bytes per second that a body must arrive at, after four times the step's timeout.
pub(super) const MIN_RATE: u64 = 8 << 10;
/// As much of an error's body as is read.
const MAX_ERROR_BODY: usize = 16 << 10;

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

impl Answer {
    pub(super) fn new(
        response: reqwest::Response,
        outgoing: Outgoing,
        tries: u32,
        options: &Options,
    ) -> Self {
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

    pub(super) fn headers(&self) -> &reqwest::header::HeaderMap {
        self.response.headers()
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
    pub(super) async fn wants_https(&mut self) -> Result<bool, Error> {
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
pub(super) fn registry_words(body: &[u8]) -> (Vec<String>, String) {
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
