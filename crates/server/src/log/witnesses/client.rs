//! One witness, as its client sees it. <https://c2sp.org/tlog-witness#add-checkpoint>
//!
//! Nothing that it answers is believed: a size is a number to prove from, and a line counts if it verifies.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{StatusCode, Url, redirect};
use sealmark_log::{SignedCheckpoint, TreeView};
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::policy::Witness;
use sealmark_tlog::witness::AddCheckpoint;
use sealmark_tlog::{Note, NoteSignature, cosignature};

use crate::Error;

/// For a request and its answer. A round waits for it, and writers for the round.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of an answer: a few lines, of which one with ML-DSA has some 3.3 KiB.
const MAX_ANSWER: usize = 64 * 1024;
/// Letters of an answer that a message shows.
const MAX_SHOWN: usize = 120;

/// A witness that can be asked.
pub(super) struct Client {
    http: reqwest::Client,
    /// Of `add-checkpoint`.
    url: Url,
    name: String,
    key: VerifierKey,
    /// What the operator was told last: whether it cosigns.
    told: Mutex<Option<bool>>,
}

enum Reply {
    Lines(String),
    /// The size that it has.
    Conflict(u64),
}

impl Client {
    /// `None` if the policy has no URL for it.
    pub(super) fn new(witness: &Witness) -> Result<Option<Self>, Error> {
        let Some(prefix) = &witness.url else {
            return Ok(None);
        };
        let wrong = |reason: String| Error::WitnessUrl {
            name: witness.name.clone(),
            reason,
        };
        let parsed = Url::parse(prefix).map_err(|error| wrong(format!("{prefix:?}: {error}")))?;
        let plain = parsed.scheme() == "http";
        let path = parsed.path().trim_end_matches('/');
        let mut url = parsed.clone();
        url.set_path(&format!("{path}/add-checkpoint"));
        // Whoever logs the URL must not log a password.
        let more = parsed.query().is_some()
            || parsed.fragment().is_some()
            || !parsed.username().is_empty()
            || parsed.password().is_some();
        if more || (!plain && parsed.scheme() != "https") {
            return Err(wrong(
                "its URL must be http:// or https://, a host, and perhaps a path".to_owned(),
            ));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sealmark/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(TIMEOUT);
        if plain {
            // Without a single certificate authority, so that none is read.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let http = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Self {
            http,
            url,
            name: witness.name.clone(),
            key: witness.key.clone(),
            told: Mutex::default(),
        }))
    }

    /// The witness' cosignature of a checkpoint of this tree, if it gives one. `known` is the size that it has, which
    /// is corrected if it says so.
    pub(super) async fn ask(
        &self,
        tree: &TreeView,
        newest: &SignedCheckpoint,
        known: &mut u64,
    ) -> Option<NoteSignature> {
        let result = self.cosign(tree, newest, known).await;
        self.tell(result.as_ref().err());
        result.ok()
    }

    async fn cosign(
        &self,
        tree: &TreeView,
        newest: &SignedCheckpoint,
        known: &mut u64,
    ) -> Result<NoteSignature, String> {
        let lines = match self.send(tree, newest, *known).await? {
            Reply::Lines(lines) => lines,
            Reply::Conflict(size) => {
                *known = size;
                match self.send(tree, newest, size).await? {
                    Reply::Lines(lines) => lines,
                    Reply::Conflict(other) => {
                        return Err(format!(
                            "it says that it has the size {size}, and then {other}"
                        ));
                    }
                }
            }
        };
        let line = self.verify(&lines, newest)?;
        *known = newest.checkpoint.size;
        Ok(line)
    }

    async fn send(
        &self,
        tree: &TreeView,
        newest: &SignedCheckpoint,
        old_size: u64,
    ) -> Result<Reply, String> {
        let size = newest.checkpoint.size;
        if old_size > size {
            return Err(format!(
                "it has seen this log with {old_size} entries, and the log has {size}: was the log restored from an old copy?"
            ));
        }
        let proof = match old_size {
            0 => Vec::new(),
            _ => {
                let tree = tree.clone();
                let proof = move || tree.consistency_proof(old_size, size);
                let proof = tokio::task::spawn_blocking(proof).await;
                let proof = proof.map_err(|error| error.to_string())?;
                proof.map_err(|error| error.to_string())?
            }
        };
        let request = AddCheckpoint {
            old_size,
            proof,
            checkpoint: newest.note.clone(),
        };
        let request = self.http.post(self.url.clone()).body(request.to_string());
        let mut response = request.send().await.map_err(explain)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body);
        let size = || body.strip_suffix('\n').unwrap_or(&body).parse().ok();
        match (status, size()) {
            (StatusCode::OK, _) => Ok(Reply::Lines(body.into_owned())),
            (StatusCode::CONFLICT, Some(size)) => Ok(Reply::Conflict(size)),
            _ => {
                let shown: String = body.trim_end().chars().take(MAX_SHOWN).collect();
                Err(format!("it answered {status}: {}", shown.escape_debug()))
            }
        }
    }

    /// The line by the witness' key, which must be right.
    fn verify(&self, lines: &str, newest: &SignedCheckpoint) -> Result<NoteSignature, String> {
        let name = self.key.name();
        let hash = KeyKind::CosignatureV1.key_hash(name, self.key.public_key());
        let line = lines
            .lines()
            .filter_map(|line| NoteSignature::parse(line).ok())
            .find(|line| line.name == name && line.key_hash == hash.bytes()[..4])
            .ok_or("its answer has no cosignature by its key")?;
        let text = newest.checkpoint.to_string();
        let signatures = vec![line.clone()];
        let seen = cosignature::verify(&Note { text, signatures }, name, self.key.public_key());
        match seen.map_err(|error| error.to_string())?.timestamp {
            0 => Err("its cosignature has no time".to_owned()),
            _ => Ok(line),
        }
    }

    /// Tells the operator when it begins to fail, and when it is there again.
    fn tell(&self, trouble: Option<&String>) {
        let mut told = self
            .told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let works = trouble.is_none();
        let before = told.replace(works);
        if before == Some(works) {
            return;
        }
        match trouble {
            None if before.is_none() => {
                tracing::info!("the witness {:?} at {} cosigns", self.name, self.url);
            }
            Some(reason) => tracing::warn!(
                "the witness {:?} at {} does not cosign: {reason}; it is asked again with each checkpoint",
                self.name,
                self.url
            ),
            None => tracing::warn!("the witness {:?} at {} cosigns again", self.name, self.url),
        }
    }
}

/// The innermost cause: the outer ones only repeat the URL.
fn explain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
