//! The checks that every answer of a log goes through.
//!
//! Each says in one sentence what is wrong; the caller adds whose answer it is and what it is about.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::bundle::{InclusionProof, LogEntry};
use sealmark_formats::log_entry::set_payload;
use sealmark_formats::trusted_root::TimeRange;
use sealmark_keys::PublicKey;
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::{Checkpoint, Hash, Origin};

/// A key that a log signs with, and when it may be believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogKey {
    /// The key.
    pub key: PublicKey,
    /// When.
    pub valid_for: TimeRange,
}

impl From<PublicKey> for LogKey {
    fn from(key: PublicKey) -> Self {
        Self {
            key,
            valid_for: TimeRange::ALWAYS,
        }
    }
}

/// Checks that the entry is in the tree that its proof's checkpoint is of, and that the key signed this.
pub(crate) fn included(
    entry: &LogEntry,
    origin: Origin<'_>,
    key: &PublicKey,
) -> Result<Checkpoint, String> {
    let proof = entry
        .inclusion_proof
        .as_ref()
        .ok_or("it has no inclusion proof")?;
    let checkpoint = Checkpoint::open(&proof.checkpoint, origin, key)
        .map_err(|error| format!("its checkpoint: {error}"))?;
    checkpoint
        .expect_tree(proof.tree_size, &proof.root_hash)
        .map_err(|error| error.to_string())?;
    let path = hashes(proof)?;
    checkpoint
        .verify_inclusion(
            proof.log_index,
            &leaf_hash(&entry.canonicalized_body),
            &path,
        )
        .map_err(|error| error.to_string())?;
    Ok(checkpoint)
}

fn hashes(proof: &InclusionProof) -> Result<Vec<Hash>, String> {
    let hash = |bytes: &Vec<u8>| {
        Hash::try_from(bytes.as_slice())
            .map_err(|_| "a hash of its inclusion proof is not 32 bytes".to_owned())
    };
    proof.hashes.iter().map(hash).collect()
}

/// Checks the promise of a Rekor v1 (signed entry timestamp), which alone speaks for index and time.
pub(crate) fn promised(entry: &LogEntry, key: &LogKey) -> Result<(), String> {
    let promise = entry
        .inclusion_promise
        .as_ref()
        .ok_or("it has no signed entry timestamp")?;
    let payload = set_payload(
        &STANDARD.encode(&entry.canonicalized_body),
        entry.integrated_time,
        &hex::encode(&entry.log_id),
        entry.log_index,
    );
    key.key
        .verify(&payload, promise)
        .map_err(|error| format!("its signed entry timestamp is not by the log's key: {error}"))?;
    if key.valid_for.contains_seconds(entry.integrated_time) {
        return Ok(());
    }
    let time = jiff::Timestamp::from_second(entry.integrated_time)
        .map_or_else(|_| entry.integrated_time.to_string(), |t| t.to_string());
    Err(format!(
        "its time {time} is outside of that for which the log's key is trusted"
    ))
}
