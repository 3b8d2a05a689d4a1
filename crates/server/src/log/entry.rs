//! Logged entries, as Rekor v1 shows them: the body, the promise, and the proof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::set_payload;
use sealmark_log::SignedCheckpoint;
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;
use serde::Serialize;
use serde_json::{Value, json};

use super::Inner;
use super::refusal::Refusal;
use super::state::Shard;

/// An entry with what proves it.
pub(super) struct Logged<'a> {
    pub(super) leaf: &'a [u8],
    /// In its tree.
    pub(super) index: u64,
    pub(super) integrated_ms: u64,
    pub(super) checkpoint: &'a SignedCheckpoint,
    pub(super) proof: &'a [Hash],
    /// What is kept beside it and may be shown; empty if there is none.
    pub(super) attestation: &'a [u8],
}

/// The leaf hash in an entry id or a UUID, and the tree that it must be of.
pub(super) fn parse_id(id: &str) -> Option<(Option<u64>, Hash)> {
    match id.len() {
        64 => Some((None, id.parse().ok()?)),
        80 => {
            let (tree, hash) = id.split_at_checked(16)?;
            Some((
                Some(u64::from_str_radix(tree, 16).ok()?),
                hash.parse().ok()?,
            ))
        }
        _ => None,
    }
}

impl Inner {
    /// The entry with this index in the log; `None` if there is none.
    pub(super) fn show_index(&self, index: u64) -> Result<Option<Value>, Refusal> {
        match self.state.with_index(index) {
            Some((shard, index)) => self.show_local(shard, index),
            None => Ok(None),
        }
    }

    /// The entries with this leaf, and of this tree if one is given: of the active tree first, at most `most`.
    pub(super) fn show_leaf(
        &self,
        tree_id: Option<u64>,
        leaf: &Hash,
        most: usize,
    ) -> Result<Vec<Value>, Refusal> {
        let mut shown = Vec::new();
        for shard in self.state.active_first() {
            if tree_id.is_some_and(|id| id != shard.tree_id()) {
                continue;
            }
            if shown.len() == most {
                break;
            }
            if let Some(index) = shard.tree.find(leaf)? {
                shown.extend(self.show_local(shard, index)?);
            }
        }
        Ok(shown)
    }

    /// The entry with this index in its tree.
    fn show_local(&self, shard: &Shard, index: u64) -> Result<Option<Value>, Refusal> {
        let tree = &shard.tree;
        let checkpoint = tree.checkpoint();
        let size = checkpoint.checkpoint.size;
        if index >= size {
            return Ok(None);
        }
        let Some(stored) = tree.entry(index)? else {
            return Ok(None);
        };
        let proof = tree.inclusion_proof(index, size)?;
        let shows = self.attestations.is_some();
        let logged = Logged {
            leaf: &stored.entry.leaf,
            index,
            integrated_ms: stored.integrated_ms,
            checkpoint: &checkpoint,
            proof: &proof,
            attestation: if shows { &stored.entry.extra } else { &[] },
        };
        let id = shard.entry_id(&leaf_hash(&stored.entry.leaf));
        show(shard, &id, &logged).map(Some)
    }
}

/// `{ENTRY_ID: LogEntryAnon}`.
fn show(shard: &Shard, id: &str, logged: &Logged<'_>) -> Result<Value, Refusal> {
    Ok(json!({ id: log_entry_anon(shard, logged)? }))
}

/// The promise is signed anew each time: what it says never changes.
///
/// The index of the entry is the one in the log, over all its trees; that of the proof is the one in its tree.
pub(super) fn log_entry_anon<'a>(
    shard: &'a Shard,
    logged: &Logged<'a>,
) -> Result<LogEntryAnon<'a>, Refusal> {
    let body = STANDARD.encode(logged.leaf);
    let time = i64::try_from(logged.integrated_ms / 1000).unwrap_or(i64::MAX);
    let index = shard.first + logged.index;
    let promise = set_payload(&body, time, &shard.log_id, index);
    let promise = shard.key.sign(&promise);
    let promise = promise.map_err(|error| Refusal::fault(&error))?;
    let checkpoint = &logged.checkpoint.checkpoint;
    let attestation = (!logged.attestation.is_empty()).then(|| Attestation {
        data: STANDARD.encode(logged.attestation),
    });
    Ok(LogEntryAnon {
        attestation,
        body,
        integrated_time: time,
        log_id: &shard.log_id,
        log_index: index,
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

/// What Rekor calls an entry, as it is in the map by its id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntryAnon<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Attestation>,
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: &'a str,
    log_index: u64,
    verification: Verification<'a>,
}

#[derive(Serialize)]
struct Attestation {
    data: String,
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
