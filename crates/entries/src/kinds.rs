//! The kinds of entries that clients of Rekor v1 propose.
//!
//! Invariant: what comes out was signed by the key or certificate in it. URLs and contents that Rekor's schemas do not
//! keep are not in the leaf; what they are found by is taken from them first, as afterwards nobody could.

mod alpine;
mod cose;
mod dsse;
mod hashedrekord;
mod helm;
mod intoto;
mod jar;
mod rekord;
mod rfc3161;
mod rpm;
mod tuf;

use sealmark_formats::Digest;
use serde_json::Value;

use crate::field::Field;
use crate::{Error, Violation};

/// What is taken, in the words of a refusal.
const TAKEN: &str =
    "this log takes intoto 0.0.1 and 0.0.2, and 0.0.1 of every other kind that Rekor has";
/// Kinds that a Rekor knows.
const KINDS: [&str; 11] = [
    "alpine",
    "cose",
    "dsse",
    "hashedrekord",
    "helm",
    "intoto",
    "jar",
    "rekord",
    "rfc3161",
    "rpm",
    "tuf",
];

/// Checks a `ProposedEntry`.
pub(crate) fn read(entry: &Value) -> Result<crate::Proposed, Error> {
    let root = Field::root(entry);
    if !entry.is_object() {
        return Err(root.of_type("object"));
    }
    let kind = root.get("kind")?.text()?;
    if !KINDS.contains(&kind) {
        let kind: String = kind.chars().take(100).collect();
        let message = format!("invalid kind value: {kind:?}");
        return Err(Error::invalid(Violation::Choice, message));
    }
    let version = root.get("apiVersion")?.text()?;
    let spec = root.get("spec")?;
    match (kind, version) {
        ("hashedrekord", "0.0.1") => hashedrekord::read(&spec),
        ("alpine", "0.0.1") => alpine::read(&spec),
        ("cose", "0.0.1") => cose::read(&spec),
        ("jar", "0.0.1") => jar::read(&spec),
        ("rfc3161", "0.0.1") => rfc3161::read(&spec),
        ("tuf", "0.0.1") => tuf::read(&spec),
        ("dsse", "0.0.1") => dsse::read(&spec),
        ("helm", "0.0.1") => helm::read(&spec),
        ("rekord", "0.0.1") => rekord::read(&spec),
        ("rpm", "0.0.1") => rpm::read(&spec),
        ("intoto", "0.0.1") => intoto::read_v1(&spec),
        ("intoto", "0.0.2") => intoto::read_v2(&spec),
        _ => {
            let version: String = version.chars().take(100).collect();
            Err(Error::entry(format_args!(
                "{kind} of the version {version:?} is not supported: {TAKEN}"
            )))
        }
    }
}

/// What an archive or a package is sent as: its field, its content, and its hash, which must be the one that was sent
/// with it, if one was.
fn checked_hash<'a>(archive: &Field<'a>) -> Result<(Field<'a>, Vec<u8>, Digest), Error> {
    let sent = match archive.find("hash") {
        None => None,
        Some(hash) => {
            let algorithm = hash.get("algorithm")?;
            if algorithm.text()? != "sha256" {
                return Err(algorithm.not_one_of("sha256"));
            }
            let value = hash.get("value")?;
            Some((value.text()?, value))
        }
    };
    let field = archive.get("content")?;
    let content = field.bytes()?;
    let digest = Digest::sha256(&content);
    match sent {
        Some((text, value)) if text != digest.hex() => {
            let text: String = text.chars().take(2 * 64).collect();
            Err(value.refuse(format_args!("SHA mismatch: {digest} != {text:?}")))
        }
        _ => Ok((field, content, digest)),
    }
}
