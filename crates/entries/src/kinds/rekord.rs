//! `rekord` 0.0.1: a signature over data that comes with it and is not kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, jcs};
use serde_json::json;

use super::dsse::hash_json;
use crate::field::Field;
use crate::foreign::{ForeignKey, Format};
use crate::{Error, Proposed};

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let signature = spec.get("signature")?;
    let name = signature.get("format")?;
    let format = Format::from_name(name.text()?).ok_or_else(|| name.not_one_of(Format::NAMES))?;
    let data = spec.get("data")?;
    let content = data.get("content")?.bytes()?;
    let digest = Digest::sha256(&content);
    check_hash(&data, &digest)?;
    let public_key = signature.get("publicKey")?.get("content")?;
    let key = ForeignKey::read(format, &public_key.bytes()?)
        .map_err(|reason| public_key.refuse(reason))?;
    let sent = signature.get("content")?;
    let canonical = key
        .verify(&sent.bytes()?, &content)
        .map_err(|reason| sent.refuse(reason))?;
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "rekord",
        "spec": {
            "data": {"hash": hash_json(&digest)},
            "signature": {
                "content": STANDARD.encode(canonical),
                "format": name.text()?,
                "publicKey": {"content": key.base64()},
            },
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = key.keys();
    keys.push(digest.to_string());
    Ok(Proposed::new(leaf, keys))
}

/// A hash that was sent with the content must be its own.
pub(crate) fn check_hash(data: &Field<'_>, digest: &Digest) -> Result<(), Error> {
    let Some(hash) = data.find("hash") else {
        return Ok(());
    };
    let algorithm = hash.get("algorithm")?;
    if algorithm.text()? != "sha256" {
        return Err(algorithm.not_one_of("sha256"));
    }
    let value = hash.get("value")?;
    match value.text()? == digest.hex() {
        true => Ok(()),
        false => Err(value.refuse(format_args!(
            "the content's SHA-256 is {}, in lower case",
            digest.hex()
        ))),
    }
}
