//! `intoto`: an envelope, of whose payload the log keeps the hash.
//!
//! In 0.0.1 there is one key, and nothing of the envelope is kept but its hash. In 0.0.2 each signature has its key, and
//! `content.hash` is what the client says it is: nobody but the client has the JSON that it is of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm, dsse, jcs};
use serde_json::{Map, Value, json};

use super::dsse::{MAX_SIGNATURES, hash_json, statement_keys};
use crate::Error;
use crate::Proposed;
use crate::field::Field;
use crate::verifier::{Message, Verifier};

/// 0.0.1, which cosign 2 sends if it is told to use `intoto`.
pub(crate) fn read_v1(spec: &Field<'_>) -> Result<Proposed, Error> {
    let field = spec.get("content")?.get("envelope")?;
    let text = field.text()?;
    let envelope = dsse::Envelope::parse(text.as_bytes()).map_err(|error| field.refuse(error))?;
    let pem = spec.get("publicKey")?;
    let verifier = Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason))?;
    let pae = envelope.pae();
    let message = Message::new(&pae);
    let mut signatures = envelope.signatures.iter();
    if !signatures.any(|signature| message.is_signed_by(&verifier, &signature.sig)) {
        return Err(field.refuse("no signature of the envelope is by publicKey"));
    }
    let (whole, payload) = (
        Digest::sha256(text.as_bytes()),
        Digest::sha256(&envelope.payload),
    );
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "intoto",
        "spec": {
            "content": {"hash": hash_json(&whole), "payloadHash": hash_json(&payload)},
            "publicKey": verifier.base64(),
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = verifier.keys();
    keys.extend([whole.to_string(), payload.to_string()]);
    keys.extend(statement_keys(&envelope.payload_type, &envelope.payload));
    Ok(Proposed::new(leaf, keys).with_attestation(envelope.payload))
}

pub(crate) fn read_v2(spec: &Field<'_>) -> Result<Proposed, Error> {
    let content = spec.get("content")?;
    let envelope = content.get("envelope")?;
    let payload_type = envelope.get("payloadType")?.text()?;
    let payload = twice(&envelope.get("payload")?)?;
    let pae = dsse::pae(payload_type, &payload);
    let message = Message::new(&pae);
    let (mut keys, mut signatures) = (Vec::new(), Vec::new());
    for signature in envelope.get("signatures")?.items(1, MAX_SIGNATURES)? {
        let (sig, pem) = (signature.get("sig")?, signature.get("publicKey")?);
        let verifier = Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason))?;
        if !message.is_signed_by(&verifier, &twice(&sig)?) {
            return Err(sig.refuse("publicKey did not make this signature"));
        }
        keys.extend(verifier.keys());
        let mut kept = Map::new();
        if let Some(keyid) = signature.find("keyid") {
            let keyid = keyid
                .value
                .as_str()
                .ok_or_else(|| keyid.of_type("string"))?;
            if !keyid.is_empty() {
                kept.insert("keyid".to_owned(), Value::from(keyid));
            }
        }
        kept.insert("publicKey".to_owned(), Value::from(pem.text()?));
        kept.insert("sig".to_owned(), Value::from(sig.text()?));
        signatures.push(Value::Object(kept));
    }
    let digest = Digest::sha256(&payload);
    let mut kept = json!({
        "envelope": {"payloadType": payload_type, "signatures": signatures},
        "payloadHash": hash_json(&digest),
    });
    if let Some(hash) = content.find("hash") {
        let hash = claimed(&hash)?;
        kept["hash"] = hash_json(&hash);
        keys.push(hash.to_string());
    }
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {"content": kept},
    }))
    .map_err(Error::entry)?;
    keys.push(digest.to_string());
    keys.extend(statement_keys(payload_type, &payload));
    Ok(Proposed::new(leaf, keys).with_attestation(payload))
}

/// Base64 of base64: the fields have the format "byte", and clients put the envelope's own text there.
fn twice(field: &Field<'_>) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(field.bytes()?)
        .map_err(|_| field.refuse("it is not base64 of base64"))
}

/// The hash of the envelope's JSON, as the client says.
fn claimed(hash: &Field<'_>) -> Result<Digest, Error> {
    let algorithm = hash.get("algorithm")?;
    if algorithm.text()? != "sha256" {
        return Err(algorithm.not_one_of("sha256"));
    }
    let value = hash.get("value")?;
    hex::decode(value.text()?)
        .ok()
        .and_then(|bytes| Digest::from_bytes(HashAlgorithm::Sha256, &bytes))
        .ok_or_else(|| value.refuse("it is not the hex of a SHA-256 digest"))
}
