//! Signatures with what belongs to them: Sigstore bundles, envelopes, statements, and cosign's older files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Bundle;
use sealmark_formats::bundle::{Content, LogEntry, Material};
use sealmark_formats::dsse::{self, Envelope};
use sealmark_formats::legacy::{BlobBundle, RekorBundle};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::Statement;

use super::certificate::{self, hex};
use super::facts::Facts;

/// What a bundle says.
pub(in crate::commands) fn facts(bundle: &Bundle) -> Facts {
    let mut facts = Facts::new();
    facts.text("mediaType", &bundle.media_type);
    match &bundle.material {
        Material::PublicKey { hint } => facts.text("publicKeyHint", hint),
        Material::Certificate(der) => facts.facts("certificate", certificate::embedded(der)),
        Material::CertificateChain(chain) => facts.each(
            "certificates",
            chain.iter().map(|der| certificate::embedded(der)).collect(),
        ),
    }
    match &bundle.content {
        Content::MessageSignature(message) => {
            let mut signature = Facts::new();
            signature.maybe("digest", message.digest.as_ref().map(ToString::to_string));
            signature.text("signature", STANDARD.encode(&message.signature));
            facts.facts("messageSignature", signature);
        }
        Content::Dsse(envelope) => facts.facts("dsseEnvelope", envelope_facts(envelope)),
    }
    facts.each(
        "logEntries",
        bundle.log_entries.iter().map(log_entry).collect(),
    );
    facts.count("logEntryCount", bundle.log_entries.len());
    // The tokens are CMS, and not decoded here.
    facts.count("timestampCount", bundle.timestamps.len());
    facts
}

fn log_entry(entry: &LogEntry) -> Facts {
    let mut facts = Facts::new();
    facts.number("logIndex", entry.log_index);
    facts.text("logId", hex(&entry.log_id));
    facts.text("kind", format!("{} {}", entry.kind, entry.kind_version));
    if entry.integrated_time != 0 {
        facts.text("integratedTime", time(entry.integrated_time));
    }
    facts.flag("inclusionPromise", entry.inclusion_promise.is_some());
    match &entry.inclusion_proof {
        None => facts.flag("inclusionProof", false),
        Some(proof) => {
            let mut inner = Facts::new();
            inner.number("logIndex", proof.log_index);
            inner.number("treeSize", proof.tree_size);
            inner.text("rootHash", hex(&proof.root_hash));
            inner.maybe("checkpointOrigin", proof.checkpoint.lines().next());
            facts.facts("inclusionProof", inner);
        }
    }
    facts
}

/// Seconds since 1970 in RFC 3339.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| format!("{seconds} s since 1970"),
        |time| time.to_string(),
    )
}

/// What a DSSE envelope holds.
pub(super) fn envelope_facts(envelope: &Envelope) -> Facts {
    let mut facts = Facts::new();
    facts.text("payloadType", &envelope.payload_type);
    facts.count("payloadSize", envelope.payload.len());
    if envelope.payload_type == dsse::IN_TOTO_PAYLOAD_TYPE {
        match Statement::parse(&envelope.payload) {
            Ok(statement) => facts.facts("statement", statement_facts(&statement)),
            Err(error) => facts.text("statement", error.to_string()),
        }
    }
    let signatures = envelope.signatures.iter().map(|signature| {
        let mut facts = Facts::new();
        facts.text("signature", STANDARD.encode(&signature.sig));
        facts.maybe(
            "keyId",
            signature.keyid.as_deref().filter(|id| !id.is_empty()),
        );
        facts
    });
    facts.each("signatures", signatures.collect());
    facts
}

/// What an in-toto statement says.
pub(super) fn statement_facts(statement: &Statement) -> Facts {
    let mut facts = Facts::new();
    facts.text("statementType", &statement.statement_type);
    facts.text("predicateType", &statement.predicate_type);
    let subjects = statement.subject.iter().map(|subject| {
        let mut facts = Facts::new();
        facts.maybe(
            "name",
            Some(subject.name.as_str()).filter(|name| !name.is_empty()),
        );
        let digests: Vec<String> = subject
            .digest
            .iter()
            .map(|(name, hex)| format!("{name}:{hex}"))
            .collect();
        facts.list("digests", digests);
        let annotations: Vec<(String, String)> = subject
            .annotations
            .iter()
            .map(|(key, value)| {
                (
                    key.clone(),
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            })
            .collect();
        facts.map("annotations", annotations.iter().map(|(k, v)| (k, v)));
        facts
    });
    facts.each("subjects", subjects.collect());
    match &statement.predicate {
        Some(predicate) => facts.count("predicateSize", predicate.get().len()),
        None => facts.text("predicate", "none"),
    }
    facts
}

/// What a legacy payload claims.
pub(super) fn simple_signing_facts(payload: &SimpleSigning) -> Facts {
    let mut facts = Facts::new();
    facts.text(
        "image",
        payload.critical.image.docker_manifest_digest.to_string(),
    );
    facts.text(
        "dockerReference",
        &payload.critical.identity.docker_reference,
    );
    facts.text("type", &payload.critical.kind);
    let annotations: Vec<(String, String)> = payload
        .optional
        .iter()
        .flatten()
        .map(|(key, value)| {
            (
                key.clone(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect();
    facts.map("annotations", annotations.iter().map(|(k, v)| (k, v)));
    facts
}

/// What `cosign sign-blob --bundle` wrote before Sigstore bundles.
pub(in crate::commands) fn blob_bundle_facts(bundle: &BlobBundle) -> Facts {
    let mut facts = Facts::new();
    facts.text("signature", STANDARD.encode(&bundle.signature));
    if bundle.certificate.is_empty() {
        facts.text("certificate", "none");
    } else {
        match super::key::from_pem(&bundle.certificate) {
            Ok(Some((_, key))) => facts.facts("publicKey", key),
            _ => facts.each(
                "certificates",
                certificate::embedded_pem(&bundle.certificate),
            ),
        }
    }
    match &bundle.rekor_bundle {
        Some(promise) => facts.facts("logPromise", promise_facts(promise)),
        None => facts.text("logPromise", "none"),
    }
    facts
}

/// A log's promise as cosign 1 and 2 keep it.
pub(super) fn promise_facts(promise: &RekorBundle) -> Facts {
    let mut facts = Facts::new();
    match u64::try_from(promise.payload.log_index) {
        Ok(index) => facts.number("logIndex", index),
        Err(_) => facts.text("logIndex", promise.payload.log_index.to_string()),
    }
    facts.text("logId", &promise.payload.log_id);
    facts.text("integratedTime", time(promise.payload.integrated_time));
    facts.count(
        "signedEntryTimestampSize",
        promise.signed_entry_timestamp.len(),
    );
    facts
}
