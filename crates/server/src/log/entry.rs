//! Logged entries, as Rekor v1 shows them: the body, the promise, and the proof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::set_payload;
use sealmark_log::SignedCheckpoint;
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;
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

/// `{ENTRY_ID: LogEntryAnon}`. The promise is signed anew each time: what it says never changes.
///
/// The index of the entry is the one in the log, over all its trees; that of the proof is the one in its tree.
pub(super) fn show(shard: &Shard, id: &str, logged: &Logged<'_>) -> Result<Value, Refusal> {
    let body = STANDARD.encode(logged.leaf);
    let time = i64::try_from(logged.integrated_ms / 1000).unwrap_or(i64::MAX);
    let index = shard.first + logged.index;
    let promise = set_payload(&body, time, &shard.log_id, index);
    let promise = shard.key.sign(&promise);
    let promise = promise.map_err(|error| Refusal::fault(&error))?;
    let checkpoint = &logged.checkpoint.checkpoint;
    let hashes: Vec<String> = logged.proof.iter().map(Hash::to_string).collect();
    let mut entry = json!({
        "body": body,
        "integratedTime": time,
        "logID": shard.log_id,
        "logIndex": index,
        "verification": {
            "inclusionProof": {
                "checkpoint": logged.checkpoint.note,
                "hashes": hashes,
                "logIndex": logged.index,
                "rootHash": checkpoint.root.to_string(),
                "treeSize": checkpoint.size,
            },
            "signedEntryTimestamp": STANDARD.encode(promise),
        },
    });
    if !logged.attestation.is_empty() {
        entry["attestation"] = json!({"data": STANDARD.encode(logged.attestation)});
    }
    Ok(json!({id: entry}))
}
