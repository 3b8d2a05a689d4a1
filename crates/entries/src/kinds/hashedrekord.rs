//! `hashedrekord` 0.0.1: a signature over data that only its digest stands for.

use sealmark_formats::log_entry::hashedrekord_v1_body;
use sealmark_formats::simple_signing::{MAX_PAYLOAD, SimpleSigning};
use sealmark_formats::{Digest, HashAlgorithm, jcs};
use serde_json::Value;

use crate::Error;
use crate::Proposed;
use crate::field::Field;
use crate::verifier::Verifier;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let signature = spec.get("signature")?;
    let content = signature.get("content")?.bytes()?;
    let pem = signature.get("publicKey")?.get("content")?;
    let verifier = Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason))?;
    let hash = spec.get("data")?.get("hash")?;
    let algorithm = hash.get("algorithm")?;
    let known = HashAlgorithm::from_name(algorithm.text()?)
        .ok_or_else(|| algorithm.not_one_of("sha256 sha384 sha512"))?;
    let value = hash.get("value")?;
    let text = value.text()?;
    let digest = hex::decode(text)
        .ok()
        .and_then(|bytes| Digest::from_bytes(known, &bytes))
        .ok_or_else(|| value.refuse(format_args!("it is not the hex of a {known} digest")))?;
    verifier
        .verify_digest(&digest, &content)
        .map_err(Error::entry)?;
    let mut leaf = hashedrekord_v1_body(&digest, &content, &verifier.pem).map_err(Error::entry)?;
    if text != digest.hex() {
        leaf = with_value(&leaf, text)?;
    }
    let mut keys = verifier.keys();
    keys.push(digest.to_string());
    keys.extend(image(spec, &digest));
    Ok(Proposed::new(leaf, keys))
}

/// The image that was signed, if the client sent the payload and it is one of an image's signature.
///
/// Rekor has no member `data.content` here and ignores it. Without it an entry is not found by the digest of the image,
/// which is all that people have, but by that of a payload that nobody looks for. What does not have the digest that
/// was signed says nothing, and is ignored too.
fn image(spec: &Field<'_>, signed: &Digest) -> Option<String> {
    let content = spec.find("data")?.find("content")?.bytes().ok()?;
    if content.len() > MAX_PAYLOAD || Digest::of(signed.algorithm(), &content) != *signed {
        return None;
    }
    let payload = SimpleSigning::parse(&content).ok()?;
    Some(payload.critical.image.docker_manifest_digest.to_string())
}

/// Rekor keeps the case of the hex digits as it was sent.
fn with_value(leaf: &[u8], text: &str) -> Result<Vec<u8>, Error> {
    let mut body: Value = serde_json::from_slice(leaf).map_err(Error::entry)?;
    if let Some(value) = body.pointer_mut("/spec/data/hash/value") {
        *value = Value::from(text);
    }
    jcs::to_vec(&body).map_err(Error::entry)
}
