//! `rpm` 0.0.1: a package, of which the log keeps the hash and what its headers call it.
//! <https://rpm-software-management.github.io/rpm/manual/format_v4.html>

mod package;

use sealmark_formats::{Digest, jcs};
use serde_json::json;

use super::dsse::hash_json;
use super::rekord::check_hash;
use crate::field::Field;
use crate::foreign::{ForeignKey, Format};
use crate::{Error, Proposed};
use package::Package;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let public_key = spec.get("publicKey")?.get("content")?;
    let package = spec.get("package")?;
    let sent = package.get("content")?;
    let content = sent.bytes()?;
    let digest = Digest::sha256(&content);
    check_hash(&package, &digest)?;
    let key = ForeignKey::read(Format::Pgp, &public_key.bytes()?)
        .map_err(|reason| public_key.refuse(reason))?;
    let package = Package::parse(&content).map_err(|reason| sent.refuse(reason))?;
    key.verify(package.signature, package.signed)
        .map_err(|reason| sent.refuse(reason))?;
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "rpm",
        "spec": {
            "package": {"hash": hash_json(&digest), "headers": package.headers},
            "publicKey": {"content": key.base64()},
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = key.keys();
    keys.push(digest.to_string());
    Ok(Proposed::new(leaf, keys))
}
