//! `dsse` 0.0.1: an envelope, of which the log keeps the hashes and the signatures; and what statements are found by.

use sealmark_formats::{Digest, dsse, jcs};
use serde_json::{Value, json};

use crate::Proposed;
use crate::field::Field;
use crate::verifier::{Message, Verifier};
use crate::{Error, Violation};

/// Signatures of one entry, and keys: each is tried with each. Rekor v2 had the same bound, v1 has none; real envelopes
/// have one or two.
pub(crate) const MAX_SIGNATURES: usize = 10;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let proposed = spec.get("proposedContent")?;
    if ["signatures", "envelopeHash", "payloadHash"]
        .iter()
        .any(|name| spec.find(name).is_some())
    {
        let message = "either proposedContent or envelopeHash, payloadHash, and signatures must be present but not both";
        return Err(Error::invalid(Violation::Choice, message));
    }
    let field = proposed.get("envelope")?;
    let text = field.text()?;
    let envelope = dsse::Envelope::parse(text.as_bytes()).map_err(|error| field.refuse(error))?;
    // Bodies repeat the base64 as it was sent.
    let raw: Value = serde_json::from_str(text).map_err(|error| field.refuse(error))?;
    if envelope.signatures.is_empty() {
        return Err(field.refuse("the envelope has no signature"));
    }
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(field.refuse(format_args!(
            "the envelope has more than {MAX_SIGNATURES} signatures"
        )));
    }
    let verifiers: Vec<Verifier> = proposed
        .get("verifiers")?
        .items(1, MAX_SIGNATURES)?
        .iter()
        .map(|pem| Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason)))
        .collect::<Result<_, _>>()?;
    let pae = envelope.pae();
    let message = Message::new(&pae);
    let mut signatures = Vec::with_capacity(envelope.signatures.len());
    for (index, signature) in envelope.signatures.iter().enumerate() {
        let verifier = verifiers
            .iter()
            .find(|verifier| message.is_signed_by(verifier, &signature.sig))
            .ok_or_else(|| field.refuse("all signatures must have a key that verifies it"))?;
        let sent = raw.pointer(&format!("/signatures/{index}/sig"));
        let sent = sent.and_then(Value::as_str).unwrap_or_default();
        signatures.push((sent.to_owned(), verifier.base64()));
    }
    signatures.sort();
    let signatures: Vec<Value> = signatures
        .iter()
        .map(|(signature, verifier)| json!({"signature": signature, "verifier": verifier}))
        .collect();
    let (whole, payload) = (
        Digest::sha256(text.as_bytes()),
        Digest::sha256(&envelope.payload),
    );
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": hash_json(&whole),
            "payloadHash": hash_json(&payload),
            "signatures": signatures,
        },
    }))
    .map_err(Error::entry)?;
    let mut keys: Vec<String> = verifiers.iter().flat_map(Verifier::keys).collect();
    keys.extend([whole.to_string(), payload.to_string()]);
    keys.extend(statement_keys(&envelope.payload_type, &envelope.payload));
    Ok(Proposed::new(leaf, keys))
}

/// `{"algorithm", "value"}` of Rekor v1.
pub(crate) fn hash_json(digest: &Digest) -> Value {
    json!({"algorithm": digest.algorithm().name(), "value": digest.hex()})
}

/// The digests of an in-toto statement's subjects and of its predicate's materials, `sha256:…`. A payload that is no
/// statement has none: Rekor takes it, too.
pub(crate) fn statement_keys(payload_type: &str, payload: &[u8]) -> Vec<String> {
    let statement: Value = match payload_type {
        "application/vnd.in-toto+json" => serde_json::from_slice(payload).unwrap_or_default(),
        _ => return Vec::new(),
    };
    let lists = [
        statement.get("subject"),
        statement.pointer("/predicate/materials"),
    ];
    let artifacts = lists.into_iter().flatten().filter_map(Value::as_array);
    let digests = artifacts
        .flatten()
        .filter_map(|one| one.get("digest")?.as_object());
    digests
        .flatten()
        .filter_map(|(algorithm, value)| {
            let text = format!("{algorithm}:{}", value.as_str()?);
            Some(text.to_lowercase())
        })
        .collect()
}
