//! Rekor v2: entries are written over HTTP, and read from tiles.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::{RequestV2, SentVerifier};
use sealmark_formats::bundle::{InclusionProof, LogEntry};
use sealmark_formats::log_entry::EntryBody;
use sealmark_keys::PublicKey;
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::{Checkpoint, Origin};
use serde_json::{Value, json};

use crate::tiles::{Reader, Tree};
use crate::{Entry, EntryId, Error, Http, SignedCheckpoint, Uploaded, proof};

mod search;

pub use search::FoundIndices;

/// The largest answer to a new entry: an entry that a bundle can hold, in base64, and its proof.
const MAX_ANSWER: usize = 1 << 20;

/// A client of one log.
#[derive(Clone, Debug)]
pub struct Client {
    reader: Reader,
}

impl Client {
    /// The log at `http`, called `origin` (most are called as the host of their URL) with this key.
    pub fn new(http: Http, origin: impl Into<String>, key: PublicKey) -> Self {
        Self {
            reader: Reader::rekor_v2(http, origin, key),
        }
    }

    /// Reads the log's tiles.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Sends an entry, whose signature is checked first, and proves that exactly this is in the log. An entry that is in
    /// it already is found there.
    ///
    /// # Errors
    /// [`Error::Entry`] if the log would not take it; of the network; [`Error::Unproven`].
    pub async fn upload(&self, request: RequestV2) -> Result<Uploaded, Error> {
        let leaf = request.clone().check()?.leaf;
        let body = request_json(&request).to_string().into_bytes();
        let http = self.reader.http();
        let answer = http.post("api/v2/log/entries", body, MAX_ANSWER).await?;
        if answer.status == 409 {
            let index = answer
                .header("x-log-index")
                .and_then(|text| text.parse().ok());
            let index: u64 = match index {
                Some(index) => index,
                None => return Err(answer.refused()),
            };
            let what = format!("the entry that it has already, with the index {index}");
            let entry = self
                .get(index)
                .await?
                .ok_or_else(|| self.unproven(&what, "there is no such entry"))?;
            self.expect_leaf(&entry.log_entry, &leaf)?;
            return Ok(Uploaded {
                entry,
                is_duplicate: true,
            });
        }
        let answer = answer.good()?;
        // Some logs answer with the entry that they have.
        let is_duplicate = answer.header("x-log-index").is_some();
        // A page for people is told apart from what is merely malformed.
        answer.json::<Value>()?;
        let log_entry =
            LogEntry::parse(&answer.body).map_err(|error| answer.malformed(error.reason))?;
        self.expect_leaf(&log_entry, &leaf)?;
        let entry = self.prove(log_entry)?;
        Ok(Uploaded {
            entry,
            is_duplicate,
        })
    }

    /// The entry with this index, with a proof built here from the log's tiles; `None` if the log has none.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`].
    pub async fn get(&self, index: u64) -> Result<Option<Entry>, Error> {
        let checkpoint = self.reader.checkpoint().await?;
        if index >= checkpoint.checkpoint.size {
            return Ok(None);
        }
        let mut tree = self.reader.tree(&checkpoint.checkpoint).await?;
        self.get_from(&mut tree, &checkpoint, index).await
    }

    /// As [`get`](Self::get), from a tree that is open: that of `checkpoint`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_from(
        &self,
        tree: &mut Tree,
        checkpoint: &SignedCheckpoint,
        index: u64,
    ) -> Result<Option<Entry>, Error> {
        let Some(body) = tree.entry(index).await? else {
            return Ok(None);
        };
        let path = tree.inclusion_proof(index).await?;
        let parsed = EntryBody::parse(&body)
            .map_err(|error| self.unproven(&format!("entry {index}"), error))?;
        let log_entry = LogEntry {
            log_index: index,
            log_id: self.log_id(),
            kind: parsed.kind().to_owned(),
            kind_version: parsed.version().to_owned(),
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Some(InclusionProof {
                log_index: index,
                root_hash: checkpoint.checkpoint.root.bytes().to_vec(),
                tree_size: checkpoint.checkpoint.size,
                hashes: path.iter().map(|hash| hash.bytes().to_vec()).collect(),
                checkpoint: checkpoint.note.clone(),
            }),
            canonicalized_body: body,
        };
        self.prove(log_entry).map(Some)
    }

    /// Checks an entry that claims to be of this log.
    ///
    /// # Errors
    /// [`Error::Unproven`].
    pub fn prove(&self, log_entry: LogEntry) -> Result<Entry, Error> {
        let checkpoint = self
            .check(&log_entry)
            .map_err(|reason| self.unproven(&format!("entry {}", log_entry.log_index), reason))?;
        Ok(Entry {
            id: EntryId {
                tree: None,
                leaf: leaf_hash(&log_entry.canonicalized_body),
            },
            log_entry,
            checkpoint,
            attestation: None,
        })
    }

    fn check(&self, entry: &LogEntry) -> Result<Checkpoint, String> {
        let (origin, key) = (self.reader.origin(), self.reader.key());
        if entry.log_id != self.log_id() {
            return Err("it names another log".to_owned());
        }
        let proven = entry.inclusion_proof.as_ref().map(|proof| proof.log_index);
        if proven.is_some_and(|index| index != entry.log_index) {
            return Err("its index is not that of its proof".to_owned());
        }
        let body =
            EntryBody::parse(&entry.canonicalized_body).map_err(|error| error.to_string())?;
        if (body.kind(), body.version()) != (&*entry.kind, &*entry.kind_version) {
            return Err("it is of another kind than it is said to be".to_owned());
        }
        proof::included(entry, Origin::Named(origin), key)
    }

    /// What entries name the log by: the whole hash of which checkpoints have four bytes.
    fn log_id(&self) -> Vec<u8> {
        let key = self.reader.key();
        let kind = KeyKind::of(key).first().copied().unwrap_or(KeyKind::Spki);
        kind.key_hash(self.reader.origin(), key).bytes().to_vec()
    }

    fn expect_leaf(&self, entry: &LogEntry, leaf: &[u8]) -> Result<(), Error> {
        if entry.canonicalized_body == leaf {
            return Ok(());
        }
        let what = format!("entry {}", entry.log_index);
        Err(self.unproven(&what, "it is not the entry that was sent"))
    }

    fn unproven(&self, what: &str, reason: impl std::fmt::Display) -> Error {
        Error::unproven(&self.reader.http().authority(), what, reason)
    }
}

/// `CreateEntryRequest` in protobuf JSON.
fn request_json(request: &RequestV2) -> Value {
    let details = request.key_details_name();
    let (kind, der) = match &request.verifier {
        Some(SentVerifier::Certificate(der)) => ("x509Certificate", der.as_slice()),
        Some(SentVerifier::PublicKey(der)) => ("publicKey", der.as_slice()),
        None => ("publicKey", &[][..]),
    };
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(&request.digest),
        "signature": {
            "content": STANDARD.encode(&request.signature),
            "verifier": { kind: {"rawBytes": STANDARD.encode(der)}, "keyDetails": details },
        },
    }})
}
