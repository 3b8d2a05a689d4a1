//! What a Rekor v1 answers, field by field.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::bundle::{InclusionProof, LogEntry, MAX_HASHES};
use sealmark_formats::log_entry::EntryBody;
use serde::Deserialize;

/// `{ID: ENTRY}`
pub(super) type Entries = BTreeMap<String, LogEntryAnon>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntryAnon {
    attestation: Option<Attestation>,
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Attestation {
    data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: Option<Proof>,
    signed_entry_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    checkpoint: String,
    hashes: Option<Vec<String>>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogInfo {
    #[serde(flatten)]
    pub(super) active: Shard,
    pub(super) inactive_shards: Option<Vec<Shard>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shard {
    pub(super) root_hash: String,
    pub(super) tree_size: u64,
    pub(super) signed_tree_head: String,
    #[serde(rename = "treeID")]
    pub(super) tree_id: String,
}

#[derive(Deserialize)]
pub(super) struct LogProof {
    #[serde(default, deserialize_with = "sealmark_formats::null_as_default")]
    pub(super) hashes: Vec<String>,
}

impl LogEntryAnon {
    /// The entry as bundles carry it, and the attestation.
    pub(super) fn read(self) -> Result<(LogEntry, Option<Vec<u8>>), String> {
        let (mut log_entry, attestation) = self.read_unparsed()?;
        let parsed = EntryBody::parse(&log_entry.canonicalized_body)
            .map_err(|error| format!("body: {error}"))?;
        log_entry.kind = parsed.kind().to_owned();
        log_entry.kind_version = parsed.version().to_owned();
        Ok((log_entry, attestation))
    }

    /// The same without kind and version, whatever the body is.
    pub(super) fn read_unparsed(self) -> Result<(LogEntry, Option<Vec<u8>>), String> {
        let base64 = |what: &str, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| format!("{what} is not base64: {error}"))
        };
        let hex = |what: &str, text: &str| {
            hex::decode(text).map_err(|error| format!("{what} is not hex: {error}"))
        };
        let body = base64("body", &self.body)?;
        let verification = self.verification.ok_or("verification is missing")?;
        let promise = verification
            .signed_entry_timestamp
            .map(|text| base64("signedEntryTimestamp", &text))
            .transpose()?;
        let proof = verification
            .inclusion_proof
            .ok_or("inclusionProof is missing")?;
        let hashes = proof.hashes.unwrap_or_default();
        if hashes.len() > MAX_HASHES {
            return Err(format!("the inclusion proof has {} hashes", hashes.len()));
        }
        let hashes = hashes.iter().map(|text| hex("a hash", text));
        let inclusion_proof = InclusionProof {
            log_index: proof.log_index,
            root_hash: hex("rootHash", &proof.root_hash)?,
            tree_size: proof.tree_size,
            hashes: hashes.collect::<Result<_, _>>()?,
            checkpoint: proof.checkpoint,
        };
        let attestation = self
            .attestation
            .and_then(|attestation| attestation.data)
            .map(|text| base64("attestation.data", &text))
            .transpose()?;
        let log_entry = LogEntry {
            log_index: self.log_index,
            log_id: hex("logID", &self.log_id)?,
            kind: String::new(),
            kind_version: String::new(),
            integrated_time: self.integrated_time,
            inclusion_promise: promise,
            inclusion_proof: Some(inclusion_proof),
            canonicalized_body: body,
        };
        Ok((log_entry, attestation))
    }
}
