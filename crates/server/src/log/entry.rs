//! Logged entries, as Rekor v1 shows them: the body, the promise, and the proof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::set_payload;
use sealmark_log::{SignedCheckpoint, TreeView};
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;
use serde::Serialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Inner, state};

/// An entry with what proves it.
pub(super) struct Logged<'a> {
    pub(super) leaf: &'a [u8],
    pub(super) index: u64,
    pub(super) integrated_ms: u64,
    pub(super) checkpoint: &'a SignedCheckpoint,
    pub(super) proof: &'a [Hash],
}

impl Inner {
    /// The v1 tree.
    pub(super) fn tree(&self) -> Result<TreeView, Refusal> {
        Ok(self.state.log.tree(state::V1)?)
    }

    /// Tree id and leaf hash, in hex.
    pub(super) fn entry_id(&self, leaf_hash: &Hash) -> String {
        format!("{:016x}{leaf_hash}", self.state.tree_id)
    }

    /// The leaf hash in an entry id or a UUID; `None` if it is of another tree.
    pub(super) fn leaf_of(&self, id: &str) -> Option<Hash> {
        match id.len() {
            64 => id.parse().ok(),
            80 => {
                let (tree, hash) = id.split_at_checked(16)?;
                let tree = u64::from_str_radix(tree, 16).ok()?;
                (tree == self.state.tree_id).then(|| hash.parse().ok())?
            }
            _ => None,
        }
    }

    /// The entry with this index, as Rekor shows it; `None` if there is none.
    pub(super) fn show_index(&self, tree: &TreeView, index: u64) -> Result<Option<Value>, Refusal> {
        let checkpoint = tree.checkpoint();
        let size = checkpoint.checkpoint.size;
        if index >= size {
            return Ok(None);
        }
        let Some(stored) = tree.entry(index)? else {
            return Ok(None);
        };
        let proof = tree.inclusion_proof(index, size)?;
        let logged = Logged {
            leaf: &stored.entry.leaf,
            index,
            integrated_ms: stored.integrated_ms,
            checkpoint: &checkpoint,
            proof: &proof,
        };
        let id = self.entry_id(&leaf_hash(&stored.entry.leaf));
        self.show(&id, &logged).map(Some)
    }

    /// `{ENTRY_ID: LogEntryAnon}`.
    pub(super) fn show(&self, id: &str, logged: &Logged<'_>) -> Result<Value, Refusal> {
        Ok(json!({ id: self.log_entry_anon(logged)? }))
    }

    /// The promise is signed anew each time: what it says never changes.
    pub(super) fn log_entry_anon<'a>(
        &'a self,
        logged: &Logged<'a>,
    ) -> Result<LogEntryAnon<'a>, Refusal> {
        let body = STANDARD.encode(logged.leaf);
        let time = i64::try_from(logged.integrated_ms / 1000).unwrap_or(i64::MAX);
        let promise = set_payload(&body, time, &self.log_id, logged.index);
        let promise = self.state.v1.sign(&promise);
        let promise = promise.map_err(|error| Refusal::fault(&error))?;
        let checkpoint = &logged.checkpoint.checkpoint;
        Ok(LogEntryAnon {
            body,
            integrated_time: time,
            log_id: &self.log_id,
            log_index: logged.index,
            verification: Verification {
                inclusion_proof: InclusionProof {
                    checkpoint: &logged.checkpoint.note,
                    hashes: logged.proof.iter().map(Hash::to_string).collect(),
                    log_index: logged.index,
                    root_hash: checkpoint.root.to_string(),
                    tree_size: checkpoint.size,
                },
                signed_entry_timestamp: STANDARD.encode(promise),
            },
        })
    }
}

/// What Rekor calls an entry, as it is in the map by its id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntryAnon<'a> {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: &'a str,
    log_index: u64,
    verification: Verification<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verification<'a> {
    inclusion_proof: InclusionProof<'a>,
    signed_entry_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof<'a> {
    checkpoint: &'a str,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}
