//! Transparency logs: is this very signature, by this signer, over this content, in a log that is trusted, and when was
//! it put there?

use std::collections::BTreeSet;

use base64::Engine as _;
use sealmark_formats::bundle::{InclusionProof, LogEntry};
use sealmark_formats::log_entry::{self, EntryBody, EntryClaims, Verifier};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::PublicKey;
use sealmark_tlog::{Checkpoint, Hash, Note, Origin, cosignature, merkle};

use crate::artifact::Artifact;
use crate::checks::{Context, Failure};
use crate::policy::Witnesses;
use crate::report::Sighting;
use crate::signed::{By, EntryProof, Payload, Signed};
use crate::trust::Log;

/// What the good entries of an attachment prove.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    /// For people: which log, which index.
    pub(crate) evidence: Vec<String>,
    /// The same for programs.
    pub(crate) seen: Vec<Sighting>,
    /// The keys of the logs that have it: a log is one, under whatever ids it is listed.
    pub(crate) logs: BTreeSet<Vec<u8>>,
    /// The times, in seconds since 1970, at which a log promised to have included the entry.
    pub(crate) times: Vec<i64>,
    /// Why other entries do not count.
    pub(crate) rejected: Vec<String>,
    /// One of these is in a log that is not trusted.
    pub(crate) in_foreign_log: bool,
}

/// Checks every entry. `stamped` are the times that timestamps prove. Some may be of logs that are not trusted: these do not count, and do not hurt.
pub(crate) fn check(
    signed: &Signed<'_>,
    signer: &PublicKey,
    context: &Context<'_>,
    stamped: &[i64],
) -> Result<Proven, Failure> {
    let mut seen = BTreeSet::new();
    let mut proven = Proven::default();
    for entry in &signed.log_entries {
        if !seen.insert((&entry.log_id, entry.log_index)) {
            return Err(Failure::new(
                "different log entries",
                "the same log entry twice",
            ));
        }
        let is_trusted = |log: &Log| log.id == entry.log_id;
        proven.in_foreign_log |= !context.trust.logs.iter().any(is_trusted);
        match one(entry, signed, signer, context, stamped) {
            Ok((log, time)) => {
                proven.logs.insert(log.key.spki_der().to_vec());
                let at = time.map_or_else(String::new, |time| format!(" at {}", time_text(time)));
                proven
                    .evidence
                    .push(format!("entry {} of {}{at}", entry.log_index, log.url));
                proven.seen.push(Sighting {
                    by: log.url.clone(),
                    log_index: Some(entry.log_index),
                    time: time.map(time_text),
                    log_id: Some(hex(&entry.log_id)),
                    seconds: time,
                });
                proven.times.extend(time);
            }
            Err(reason) => proven
                .rejected
                .push(format!("entry {}: {reason}", entry.log_index)),
        }
    }
    Ok(proven)
}

fn one<'a>(
    entry: &LogEntry,
    signed: &Signed<'_>,
    signer: &PublicKey,
    context: &Context<'a>,
    stamped: &[i64],
) -> Result<(&'a Log, Option<i64>), String> {
    let mut logs = context
        .trust
        .logs
        .iter()
        .filter(|log| log.id == entry.log_id)
        .peekable();
    if logs.peek().is_none() {
        return Err(format!("no trusted log has the id {}", hex(&entry.log_id)));
    }
    bound(entry, signed, signer, context.artifact)?;
    let witnesses = context.demand.witnesses.as_ref();
    // One log can be listed with several times of validity.
    let mut reason = String::new();
    for log in logs {
        match in_log(entry, signed.entries_need, log, stamped, witnesses) {
            // No allowance for clocks that differ: it may be the verifier's, and then nothing else is in time.
            Ok(Some(time)) if time > context.now => {
                return Err(format!("its time {} is in the future", time_text(time)));
            }
            Ok(time) => return Ok((log, time)),
            Err(error) => reason = format!("{}: {error}", log.url),
        }
    }
    Err(reason)
}

/// Checks the proofs, and gives the time that the log promised, if it did.
fn in_log(
    entry: &LogEntry,
    need: EntryProof,
    log: &Log,
    stamped: &[i64],
    witnesses: Option<&Witnesses>,
) -> Result<Option<i64>, String> {
    match need {
        EntryProof::Promise if entry.inclusion_promise.is_none() => {
            return Err("the log's promise (signed entry timestamp) is missing".to_owned());
        }
        EntryProof::InclusionProof if entry.inclusion_proof.is_none() => {
            return Err("the inclusion proof is missing".to_owned());
        }
        _ => {}
    }
    if let Some(proof) = &entry.inclusion_proof {
        included(entry, proof, log)?;
    }
    if let Some(wanted) = witnesses {
        let proof = entry
            .inclusion_proof
            .as_ref()
            .ok_or("witnesses were asked for, and there is no checkpoint")?;
        witnessed(&proof.checkpoint, wanted)?;
    }
    let Some(promise) = &entry.inclusion_promise else {
        // Only the proof speaks for the index then.
        let proven = entry.inclusion_proof.as_ref().map(|proof| proof.log_index);
        if proven != Some(entry.log_index) {
            return Err("its index is not that of its proof".to_owned());
        }
        // Such a log gives no time; what timestamps prove is the time at which its key must have been trusted.
        if let Some(time) = stamped
            .iter()
            .find(|time| !log.valid_for.contains_seconds(**time))
        {
            return Err(format!(
                "the signature's time {} is outside of the time for which the log's key is trusted",
                time_text(*time)
            ));
        }
        return Ok(None);
    };
    let body = base64::engine::general_purpose::STANDARD.encode(&entry.canonicalized_body);
    let payload = log_entry::set_payload(
        &body,
        entry.integrated_time,
        &hex(&entry.log_id),
        entry.log_index,
    );
    log.key
        .verify(&payload, promise)
        .map_err(|_| "the log's promise (signed entry timestamp) is not by its key".to_owned())?;
    if !log.valid_for.contains_seconds(entry.integrated_time) {
        return Err(format!(
            "its time {} is outside of the time for which the log's key is trusted",
            time_text(entry.integrated_time)
        ));
    }
    Ok(Some(entry.integrated_time))
}

fn included(entry: &LogEntry, proof: &InclusionProof, log: &Log) -> Result<(), String> {
    let hash = |bytes: &Vec<u8>| {
        Hash::try_from(bytes.as_slice())
            .map_err(|_| "a hash of the proof is not 32 bytes".to_owned())
    };
    let root = hash(&proof.root_hash)?;
    let path = proof
        .hashes
        .iter()
        .map(hash)
        .collect::<Result<Vec<_>, _>>()?;
    let leaf = merkle::leaf_hash(&entry.canonicalized_body);
    merkle::verify_inclusion(proof.log_index, proof.tree_size, &leaf, &path, &root)
        .map_err(|error| format!("the inclusion proof: {error}"))?;
    let host = host(&log.url);
    // A Rekor v1 names its shard; whichever form it is, the log's key must have signed it.
    let first_line = proof.checkpoint.lines().next().unwrap_or_default();
    let is_shard = |tree: &str| !tree.is_empty() && tree.bytes().all(|b| b.is_ascii_digit());
    let origin = match first_line.rsplit_once(" - ") {
        Some((_, tree)) if is_shard(tree) => Origin::RekorV1,
        _ => Origin::Named(host),
    };
    let checkpoint = Checkpoint::open(&proof.checkpoint, origin, &log.key)
        .map_err(|error| format!("the checkpoint: {error}"))?;
    if checkpoint.size != proof.tree_size || checkpoint.root != root {
        return Err("the checkpoint is of another tree than the inclusion proof".to_owned());
    }
    Ok(())
}

/// So many witnesses must have cosigned the checkpoint. Cosignatures of others neither help nor hurt.
fn witnessed(checkpoint: &str, wanted: &Witnesses) -> Result<(), String> {
    let note = Note::parse(checkpoint).map_err(|error| format!("the checkpoint: {error}"))?;
    let mut keys = BTreeSet::new();
    for (name, key) in &wanted.witnesses {
        if cosignature::verify(&note, name, key).is_ok() {
            keys.insert(key.spki_der());
        }
    }
    let needed = wanted.threshold.max(1);
    match keys.len() {
        enough if enough >= needed => Ok(()),
        have => Err(format!(
            "{have} of the {needed} witnesses that are needed have cosigned the checkpoint"
        )),
    }
}

/// The keys that log entries name as the signer's, believed or not.
pub(crate) fn named_keys(signed: &Signed<'_>) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    for entry in &signed.log_entries {
        let Ok(EntryBody::Claims(claims)) = EntryBody::parse(&entry.canonicalized_body) else {
            continue;
        };
        for recorded in claims.signatures {
            if let Verifier::PublicKey(spki) = &recorded.verifier
                && let Ok(key) = PublicKey::from_spki_der(spki)
            {
                keys.push(key);
            }
        }
    }
    keys
}

/// The host of a log's URL, which is the origin of a Rekor v2.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}

/// The entry must be about this signature, by this signer, over this content.
fn bound(
    entry: &LogEntry,
    signed: &Signed<'_>,
    signer: &PublicKey,
    artifact: &Artifact<'_>,
) -> Result<(), String> {
    let body = EntryBody::parse(&entry.canonicalized_body).map_err(|error| error.to_string())?;
    if body.kind() != entry.kind || body.version() != entry.kind_version {
        return Err(format!(
            "it is said to be of kind {} {}, and is {} {}",
            entry.kind,
            entry.kind_version,
            body.kind(),
            body.version()
        ));
    }
    let claims = match body {
        EntryBody::Claims(claims) if claims.signed.is_of_bundles() => claims,
        EntryBody::Claims(EntryClaims { kind, signed, .. }) => {
            return Err(format!(
                "it is of kind {kind}, about {signed}, and says nothing about such a signature"
            ));
        }
        EntryBody::Other { kind, version } => {
            return Err(format!(
                "entries of kind {kind} {version} are not supported"
            ));
        }
    };
    let by_signer = |verifier: &Verifier| match (verifier, &signed.by) {
        (Verifier::Certificate(der), By::Certificate { leaf, .. }) => der == leaf.der(),
        (Verifier::PublicKey(spki), By::Key(_)) => spki == signer.spki_der(),
        // An entry by the bare key would not be found by whoever watches the log for the identity.
        _ => false,
    };
    let of_this = claims.signatures.iter().any(|recorded| {
        recorded
            .signature
            .as_ref()
            .is_none_or(|bytes| *bytes == signed.signature)
            && by_signer(&recorded.verifier)
    });
    if !of_this {
        let foreign = claims.signatures.iter().find_map(|s| match s.verifier {
            Verifier::Other { format, .. } => Some(format),
            _ => None,
        });
        return Err(match foreign {
            Some(format) => format!(
                "it is of a signature by {format}, which is neither a certificate nor a public key in PKIX form"
            ),
            None => "it is of another signature or signer".to_owned(),
        });
    }
    over_content(&claims, &signed.payload, artifact)
}

fn over_content(
    claims: &EntryClaims,
    payload: &Payload<'_>,
    artifact: &Artifact<'_>,
) -> Result<(), String> {
    let other =
        |what: &str, digest: &Digest| format!("it is of other content: its {what} is {digest}");
    let mut compared = false;
    if let Some(claimed) = &claims.artifact_digest {
        let same = match payload {
            Payload::Claims { signed, .. } => signed.digest(claimed.algorithm()) == *claimed,
            Payload::Artifact { .. } => artifact.digests().any(|digest| digest == claimed),
        };
        if !same {
            return Err(other("digest", claimed));
        }
        compared = true;
    }
    if let Some(claimed) = &claims.payload_digest {
        let Some(statement) = payload.statement() else {
            return Err("it is of an envelope, and the signature has none".to_owned());
        };
        if Digest::of(claimed.algorithm(), statement) != *claimed {
            return Err(other("payload digest", claimed));
        }
        compared = true;
    }
    if compared {
        Ok(())
    } else {
        Err("it names no content that can be compared".to_owned())
    }
}

fn hex(bytes: &[u8]) -> String {
    Digest::from_bytes(HashAlgorithm::Sha256, bytes)
        .map_or_else(|| format!("{bytes:02x?}"), |digest| digest.hex())
}

/// A time for people.
pub(crate) fn time_text(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map_or_else(|_| unix_seconds.to_string(), |time| time.to_string())
}
