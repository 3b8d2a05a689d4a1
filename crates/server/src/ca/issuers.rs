//! The keys of issuers: found by OpenID Connect Discovery, kept, and fetched again when a token has a new one.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>
//!
//! Invariants: nothing is fetched but from issuers of the configuration, over the very URL that the token's issuer has;
//! redirects are not followed; every answer is bounded in size and time. An issuer that does not answer stops nobody
//! else's certificate, and is asked again no more often than [`RETRY`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Client;
use sealmark_identity::{Changes, Issuer, KeySet, SigningAlgorithm};
use serde::Deserialize;
use url::Url;

use crate::locks::lock;

/// Time for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one answer. Azure's key sets have 50 KB.
const MAX_ANSWER: usize = 1 << 20;
/// How long keys are good without asking again.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// How long keys are used when their issuer does not answer.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two questions to one issuer.
const RETRY: Duration = Duration::from_secs(10);
/// Issuers whose keys are kept. Wildcards may stand for very many.
const MAX_KEPT: usize = 256;

/// What an issuer publishes of itself.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) keys: KeySet,
    pub(super) algorithms: Vec<SigningAlgorithm>,
}

/// Why an issuer's keys are not known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys of the issuer {issuer} are not known: {reason}")]
pub(super) struct Unknown {
    issuer: String,
    reason: String,
}

struct Kept {
    published: Result<Arc<Published>, Unknown>,
    /// The last good answer.
    good: Option<Instant>,
    asked: Instant,
}

/// The issuers that were asked.
pub(super) struct Issuers {
    kept: Mutex<HashMap<String, Kept>>,
    /// Issuers in this process, which are not asked over the network.
    local: Mutex<HashMap<String, Arc<Published>>>,
    /// One question at a time for each issuer: many callers with a new key must not ask many times.
    asking: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    client: Client,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
}

impl Issuers {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            kept: Mutex::default(),
            local: Mutex::default(),
            asking: Mutex::default(),
            client: client(None)?,
        })
    }

    /// Drops what is known of issuers that are believed no more, or otherwise than before.
    pub(super) fn forget(&self, changes: &Changes) {
        let gone = [changes.removed.as_slice(), &changes.changed].concat();
        let mut kept = lock(&self.kept);
        kept.retain(|url, _| !gone.iter().any(|issuer| issuer.is(url)));
    }

    /// An issuer in this process.
    pub(super) fn insert_local(&self, url: &str, published: Published) {
        let mut local = lock(&self.local);
        local.insert(url.to_owned(), Arc::new(published));
    }

    /// What the issuer publishes; asked anew if it has no key with this id.
    pub(super) async fn published(
        &self,
        issuer: &Issuer,
        url: &str,
        needs: impl Fn(&Published) -> bool,
    ) -> Result<Arc<Published>, Unknown> {
        {
            let local = lock(&self.local);
            if let Some(published) = local.get(url) {
                return Ok(published.clone());
            }
        }
        if let Some(known) = self.known(url, &needs) {
            return known;
        }
        let turn = {
            let mut asking = lock(&self.asking);
            // Those that nobody waits for are not needed any more.
            asking.retain(|_, turn| Arc::strong_count(turn) > 1);
            asking.entry(url.to_owned()).or_default().clone()
        };
        let _turn = turn.lock().await;
        // Somebody else may have asked in the meantime.
        if let Some(known) = self.known(url, &needs) {
            return known;
        }
        let answer = self.ask(issuer, url).await.map(Arc::new);
        let answer = answer.map_err(|reason| Unknown {
            issuer: url.chars().take(200).collect(),
            reason,
        });
        self.keep(url, answer)
    }

    /// What is known and good enough, or known to be in vain.
    fn known(
        &self,
        url: &str,
        needs: &impl Fn(&Published) -> bool,
    ) -> Option<Result<Arc<Published>, Unknown>> {
        let kept = lock(&self.kept);
        let kept = kept.get(url)?;
        let fresh = kept.good.is_some_and(|at| at.elapsed() < FRESH);
        let enough = kept.published.as_ref().is_ok_and(|it| needs(it));
        let just_asked = kept.asked.elapsed() < RETRY;
        ((fresh && enough) || just_asked).then(|| kept.published.clone())
    }

    fn keep(
        &self,
        url: &str,
        answer: Result<Arc<Published>, Unknown>,
    ) -> Result<Arc<Published>, Unknown> {
        let mut kept = lock(&self.kept);
        let now = Instant::now();
        let before = kept.remove(url);
        let next = match (answer, before) {
            (Ok(published), _) => Kept {
                published: Ok(published),
                good: Some(now),
                asked: now,
            },
            (Err(unknown), Some(before)) if before.good.is_some_and(|at| at.elapsed() < STALE) => {
                tracing::warn!("{unknown}; its last ones are used");
                Kept {
                    asked: now,
                    ..before
                }
            }
            (Err(unknown), _) => Kept {
                published: Err(unknown),
                good: None,
                asked: now,
            },
        };
        let result = next.published.clone();
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.asked);
            let oldest = oldest.map(|(url, _)| url.clone());
            oldest.and_then(|url| kept.remove(&url));
        }
        kept.insert(url.to_owned(), next);
        result
    }

    async fn ask(&self, issuer: &Issuer, url: &str) -> Result<Published, String> {
        let own = match &issuer.ca_cert {
            Some(pem) => Some(client(Some(pem))?),
            None => None,
        };
        let client = own.as_ref().unwrap_or(&self.client);
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            url.trim_end_matches('/')
        );
        let document = get(client, &discovery).await?;
        let document: Document = serde_json::from_slice(&document)
            .map_err(|_| format!("{discovery} is not a discovery document"))?;
        if document.issuer != url {
            let found: String = document.issuer.chars().take(200).collect();
            return Err(format!("{discovery} is of another issuer, {found:?}"));
        }
        let keys_at = Url::parse(&document.jwks_uri).ok();
        let keys_at = keys_at.filter(|it| it.scheme() == "https" || url.starts_with("http://"));
        let keys_at = keys_at.ok_or_else(|| format!("{discovery} has no https jwks_uri"))?;
        let keys = get(client, keys_at.as_str()).await?;
        let keys = KeySet::parse(&keys).map_err(|error| format!("{keys_at}: {error}"))?;
        let mut algorithms: Vec<_> = document
            .id_token_signing_alg_values_supported
            .iter()
            .filter_map(|name| SigningAlgorithm::from_name(name))
            .collect();
        if document.id_token_signing_alg_values_supported.is_empty() {
            algorithms.push(SigningAlgorithm::Rs256);
        }
        Ok(Published { keys, algorithms })
    }
}

/// Asks an issuer as a CA does that has a token of it: how many keys it has, and what it signs with.
///
/// # Errors
/// Why a CA would not know its keys; also for one that stands for many, which cannot be asked.
pub async fn probe(issuer: &Issuer) -> Result<(usize, Vec<SigningAlgorithm>), String> {
    if issuer.is_wildcard() {
        return Err("it stands for many issuers, which cannot be asked".to_owned());
    }
    let issuers = Issuers::new()?;
    let published = issuers.ask(issuer, &issuer.url).await?;
    Ok((published.keys.len(), published.algorithms))
}

pub(super) fn client(ca_cert: Option<&str>) -> Result<Client, String> {
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sealmark/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = ca_cert {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let certificates =
            certificates.map_err(|error| format!("its ca-cert cannot be used: {error}"))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder
        .build()
        .map_err(|error| format!("a client cannot be made: {error}"))
}

/// The innermost cause says what happened; those around it say that something did.
pub(super) fn cause(url: &str, error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    match timed_out {
        true => format!("{url} did not answer within {} s", TIMEOUT.as_secs()),
        false => format!("{url} did not answer: {reason}"),
    }
}

async fn get(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    let cause = |error| cause(url, error);
    let answer = client.get(url).send().await.map_err(cause)?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(format!(
            "{url} answered {status}; redirects are not followed"
        ));
    }
    if !status.is_success() {
        return Err(format!("{url} answered {status}"));
    }
    let mut body = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(piece) = stream.next().await {
        body.extend_from_slice(&piece.map_err(cause)?);
        if body.len() > MAX_ANSWER {
            return Err(format!("{url} answered more than {MAX_ANSWER} bytes"));
        }
    }
    Ok(body)
}
