//! Rekor v1: its REST interface. <https://github.com/sigstore/rekor/blob/main/openapi.yaml>
//!
//! Invariant: an [`Entry`] that comes out of here has a promise (signed entry timestamp) and a proof of inclusion by a
//! key that the caller believes, in the tree that its id names, and is the one that was asked for.

use std::time::Duration;

use sealmark_formats::bundle::LogEntry;
use sealmark_formats::log_entry::MAX_BODY;
use sealmark_keys::{MAX_KEY_FILE, PublicKey};
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::{Checkpoint, Hash, Origin};
use serde_json::{Value, json};

use crate::http::Answer;
use crate::{Entry, EntryId, Error, Http, LogKey, SignedCheckpoint, Uploaded, proof};

mod growth;
mod indices;
mod search;
mod wire;

pub use growth::Growth;
pub use indices::MAX_AT_ONCE;
pub use search::Found;

/// The largest answer with one entry: its body in base64, an attestation of up to 100 KiB, and the proof.
const MAX_ANSWER: usize = 2 * MAX_BODY;
/// The largest answer about the log: each shard takes 600 bytes.
const MAX_INFO: usize = 1 << 20;
/// Keys are asked for so many trees; the public log has two in six years.
const MAX_SHARDS: usize = 64;
/// An entry that the log has just said it has may not be there yet for another of its servers.
const NOT_YET: Duration = Duration::from_millis(500);
/// How often it is looked for again.
const LOOKS: u32 = 3;

/// A client of one log.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    keys: Vec<LogKey>,
}

/// A tree of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shard {
    /// Its id.
    pub tree: u64,
    /// Its checkpoint, signature checked.
    pub signed: SignedCheckpoint,
    /// The index, across shards, of its first entry.
    pub first_index: u64,
}

/// The log with all its trees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// The tree that takes entries.
    pub active: Shard,
    /// Those before it, oldest first.
    pub inactive: Vec<Shard>,
}

impl Info {
    /// All trees, oldest first.
    pub fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.inactive.iter().chain([&self.active])
    }

    /// The tree with this id.
    pub fn shard(&self, tree: u64) -> Option<&Shard> {
        self.shards().find(|shard| shard.tree == tree)
    }

    /// The number of entries in all trees.
    pub fn total(&self) -> u64 {
        let last = &self.active;
        last.first_index.saturating_add(last.signed.checkpoint.size)
    }
}

/// The key that the server says is the log's, believed by nobody yet.
///
/// # Errors
/// Of the network; [`Error::Malformed`] if it is no key.
pub async fn claimed_key(http: &Http, tree: Option<u64>) -> Result<PublicKey, Error> {
    let path = match tree {
        Some(tree) => format!("api/v1/log/publicKey?treeID={tree}"),
        None => "api/v1/log/publicKey".to_owned(),
    };
    let answer = http.get(&path, MAX_KEY_FILE).await?.good()?;
    PublicKey::from_pem(&answer.body).map_err(|error| answer.malformed(error))
}

/// The keys that the server says are those of the log's trees, believed by nobody yet.
///
/// # Errors
/// As [`claimed_key`].
pub async fn claimed_keys(http: &Http) -> Result<Vec<PublicKey>, Error> {
    let answer = http.get("api/v1/log", MAX_INFO).await?.good()?;
    let info: wire::LogInfo = answer.json()?;
    let mut keys = vec![claimed_key(http, None).await?];
    let inactive = info.inactive_shards.unwrap_or_default();
    for shard in inactive.iter().take(MAX_SHARDS) {
        let tree = shard.tree_id.parse();
        let tree = tree.map_err(|_| answer.malformed("treeID is not a number"))?;
        let key = claimed_key(http, Some(tree)).await?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

impl Client {
    /// The log at `http`, with the keys that are believed: of all its shards.
    pub fn new(http: Http, keys: Vec<LogKey>) -> Self {
        Self { http, keys }
    }

    /// The keys that are believed, in PEM.
    pub fn keys_pem(&self) -> String {
        self.keys.iter().map(|key| key.key.to_pem()).collect()
    }

    /// The way to the log.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The log's trees, with checkpoints whose signatures were checked.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if a checkpoint is not by a key of the log, or of another tree.
    pub async fn info(&self) -> Result<Info, Error> {
        let answer = self.http.get("api/v1/log", MAX_INFO).await?.good()?;
        let raw: wire::LogInfo = answer.json()?;
        let mut first_index = 0;
        let mut inactive = Vec::new();
        for shard in raw.inactive_shards.unwrap_or_default() {
            let shard = self.shard(&answer, shard, first_index)?;
            first_index = shard
                .first_index
                .checked_add(shard.signed.checkpoint.size)
                .ok_or_else(|| {
                    answer.malformed("its trees have more entries than can be counted")
                })?;
            inactive.push(shard);
        }
        let active = self.shard(&answer, raw.active, first_index)?;
        Ok(Info { active, inactive })
    }

    fn shard(&self, answer: &Answer, raw: wire::Shard, first_index: u64) -> Result<Shard, Error> {
        let tree: u64 = raw
            .tree_id
            .parse()
            .map_err(|_| answer.malformed("treeID is not a number"))?;
        let what = format!("the checkpoint of tree {tree}");
        let signed = self
            .open(&raw.signed_tree_head)
            .map_err(|error| self.unproven(&what, error))?;
        let checkpoint = &signed.checkpoint;
        if checkpoint.rekor_v1_tree().map(|(_, tree)| tree) != Some(tree) {
            let reason = format!("it is of {:?}", checkpoint.origin);
            return Err(self.unproven(&what, reason));
        }
        let root = hex::decode(&raw.root_hash).unwrap_or_default();
        checkpoint
            .expect_tree(raw.tree_size, &root)
            .map_err(|error| self.unproven(&what, error))?;
        Ok(Shard {
            tree,
            signed,
            first_index,
        })
    }

    /// Checks a checkpoint with every key that is believed.
    ///
    /// # Errors
    /// The reason why the last of them did not sign it.
    pub fn open(&self, note: &str) -> Result<SignedCheckpoint, String> {
        let mut reason = "no key of the log is known".to_owned();
        for key in &self.keys {
            match Checkpoint::open(note, Origin::RekorV1, &key.key) {
                Ok(checkpoint) => {
                    return Ok(SignedCheckpoint {
                        note: note.to_owned(),
                        checkpoint,
                    });
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    /// The entry with this id; `None` if the log has none.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`], also if it is another entry.
    pub async fn get(&self, id: &EntryId) -> Result<Option<Entry>, Error> {
        let path = format!("api/v1/log/entries/{id}");
        let Some(entry) = self.get_one(&path).await? else {
            return Ok(None);
        };
        self.expect_id(&entry, id)?;
        Ok(Some(entry))
    }

    /// The entry with this index, which counts across shards; `None` if the log has none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_by_index(&self, index: u64) -> Result<Option<Entry>, Error> {
        let path = format!("api/v1/log/entries?logIndex={index}");
        let Some(entry) = self.get_one(&path).await? else {
            return Ok(None);
        };
        if entry.log_entry.log_index != index {
            let found = entry.log_entry.log_index;
            let reason = format!("the server gave entry {found} instead");
            return Err(self.unproven(&format!("entry {index}"), reason));
        }
        Ok(Some(entry))
    }

    async fn get_one(&self, path: &str) -> Result<Option<Entry>, Error> {
        let answer = self.http.get(path, MAX_ANSWER).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.good()?;
        self.only_entry(&answer, answer.json()?).map(Some)
    }

    /// Sends a proposed entry, and proves that it is in the log now. An entry that is in it already is found there.
    ///
    /// `leaf` is the canonical form that the entry must have in the log, as `sealmark-entries` computes it. Without it,
    /// that the log has this entry and not another one is its word alone.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`].
    pub async fn upload(&self, proposed: &Value, leaf: Option<&[u8]>) -> Result<Uploaded, Error> {
        let body = proposed.to_string().into_bytes();
        let answer = self
            .http
            .post("api/v1/log/entries", body, MAX_ANSWER)
            .await?;
        let is_duplicate = answer.status == 409;
        let entry = if is_duplicate {
            let location = answer.header("location").unwrap_or_default();
            let id: Option<EntryId> = location
                .rsplit('/')
                .next()
                .and_then(|name| name.parse().ok());
            let Some(id) = id else {
                return Err(answer.refused());
            };
            self.get_soon(&id).await?
        } else {
            let answer = answer.good()?;
            self.only_entry(&answer, answer.json()?)?
        };
        if leaf.is_some_and(|leaf| entry.log_entry.canonicalized_body != leaf) {
            let what = format!("entry {}", entry.log_entry.log_index);
            return Err(self.unproven(&what, "it is not the entry that was sent"));
        }
        if proposed["kind"].as_str() != Some(&entry.log_entry.kind) {
            let what = format!("entry {}", entry.log_entry.log_index);
            let reason = format!(
                "it is of kind {}, and another was sent",
                entry.log_entry.kind
            );
            return Err(self.unproven(&what, reason));
        }
        Ok(Uploaded {
            entry,
            is_duplicate,
        })
    }

    /// An entry of which the log says that it has it.
    async fn get_soon(&self, id: &EntryId) -> Result<Entry, Error> {
        for look in 0..=LOOKS {
            if let Some(entry) = self.get(id).await? {
                return Ok(entry);
            }
            if look < LOOKS {
                tokio::time::sleep(NOT_YET * (1 << look)).await;
            }
        }
        Err(self.unproven(
            &format!("entry {id}, which it says that it has already"),
            "there is no such entry",
        ))
    }

    /// The entries that were proposed like this, in any shard: for kinds whose canonical form is not known here.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn find(&self, proposed: &Value) -> Result<Vec<Entry>, Error> {
        self.retrieve(&json!({ "entries": [proposed] })).await
    }

    async fn retrieve(&self, query: &Value) -> Result<Vec<Entry>, Error> {
        let body = query.to_string().into_bytes();
        let path = "api/v1/log/entries/retrieve";
        let limit = 10 * MAX_ANSWER;
        let answer = self.http.post(path, body, limit).await?.good()?;
        let found: Vec<wire::Entries> = answer.json()?;
        let entries = found
            .into_iter()
            .map(|entries| self.only_entry(&answer, entries));
        entries.collect()
    }

    /// Reads and checks `{ID: ENTRY}`.
    fn only_entry(&self, answer: &Answer, entries: wire::Entries) -> Result<Entry, Error> {
        let count = entries.len();
        let mut entries = entries.into_iter();
        let (Some((name, raw)), None) = (entries.next(), entries.next()) else {
            return Err(answer.malformed(format_args!("it has {count} entries, not one")));
        };
        let id: EntryId = name.parse().map_err(|reason| answer.malformed(reason))?;
        let (log_entry, attestation) = raw.read().map_err(|reason| answer.malformed(reason))?;
        self.proven(&id, log_entry, attestation)
    }

    /// Checks an entry that the server calls by this id.
    fn proven(
        &self,
        id: &EntryId,
        log_entry: LogEntry,
        attestation: Option<Vec<u8>>,
    ) -> Result<Entry, Error> {
        let what = format!("entry {}", log_entry.log_index);
        let wrong = |reason: String| self.unproven(&what, reason);
        let known: Vec<&LogKey> = self
            .keys
            .iter()
            .filter(|key| key.key.id().bytes() == log_entry.log_id)
            .collect();
        let Some(key) = known.first().map(|key| &key.key) else {
            return Err(wrong(format!(
                "it is of the log with the id {}, whose key is not known",
                hex::encode(&log_entry.log_id)
            )));
        };
        let checkpoint = proof::included(&log_entry, Origin::RekorV1, key).map_err(wrong)?;
        // One key can be listed with several times.
        let mut promised = Ok(());
        for key in known {
            promised = proof::promised(&log_entry, key);
            if promised.is_ok() {
                break;
            }
        }
        promised.map_err(wrong)?;
        let tree = checkpoint.rekor_v1_tree().map(|(_, tree)| tree);
        let leaf = leaf_hash(&log_entry.canonicalized_body);
        let entry = Entry {
            id: EntryId { tree, leaf },
            log_entry,
            checkpoint,
            attestation,
        };
        self.expect_id(&entry, id)?;
        Ok(entry)
    }

    fn expect_id(&self, entry: &Entry, wanted: &EntryId) -> Result<(), Error> {
        let found = entry.id;
        let same_tree = wanted.tree.is_none() || wanted.tree == found.tree;
        if found.leaf == wanted.leaf && same_tree {
            return Ok(());
        }
        let reason = format!("the server gave entry {found} instead");
        Err(self.unproven(&format!("entry {wanted}"), reason))
    }

    fn unproven(&self, what: &str, reason: impl std::fmt::Display) -> Error {
        Error::unproven(&self.http.authority(), what, reason)
    }

    /// The proof that a tree grew from one size to another, unchecked.
    async fn claimed_growth(&self, tree: u64, first: u64, last: u64) -> Result<Vec<Hash>, Error> {
        let path = format!("api/v1/log/proof?firstSize={first}&lastSize={last}&treeID={tree}");
        let answer = self.http.get(&path, MAX_INFO).await?.good()?;
        let raw: wire::LogProof = answer.json()?;
        let hashes = raw
            .hashes
            .iter()
            .map(|hash| hash.parse())
            .collect::<Result<_, _>>();
        hashes.map_err(|error: hex::FromHexError| {
            answer.malformed(format_args!("a hash is not 32 bytes in hex: {error}"))
        })
    }
}
