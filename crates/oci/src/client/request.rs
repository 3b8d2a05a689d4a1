//! One request to a registry, until there is an answer that means something: the scheme is found out, and what the
//! registry asks for is presented.
//!
//! Invariant: `Authorization` goes to the registry that it is for, and to no other host. A host's scheme is found out
//! without credentials, since they are only sent to one that has asked for them.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::Url;

use super::answer::Answer;
use super::challenge::Scope;
use super::send::{Body, Outgoing};
use super::transport::{CONNECTING, Scheme, authority, is_loopback};
use super::{Client, lock};
use crate::error::{Attempt, ConnectCause, Error};

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
            let understood = self.challenged(call.registry, &call.scopes, answer.headers());
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

/// The authority that URLs of a registry have: its own name, without a port that is the scheme's.
fn authority_of(registry: &str, scheme: Scheme) -> String {
    Url::parse(&format!("{}://{registry}/", scheme.name()))
        .map(|url| authority(&url))
        .unwrap_or_default()
}
