//! The kinds of entries that clients of Rekor v1 propose.
//!
//! Invariant: what comes out was signed by the key or certificate in it. URLs and contents that Rekor's schemas do not
//! keep are not in the leaf; what they are found by is taken from them first, as afterwards nobody could.

mod dsse;
mod hashedrekord;
mod intoto;

use serde_json::Value;

use crate::field::Field;
use crate::{Error, Violation};

/// What is taken, in the words of a refusal.
const TAKEN: &str = "this log takes hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2";
/// Kinds that a Rekor knows.
const FOREIGN: [&str; 8] = [
    "alpine", "cose", "helm", "jar", "rekord", "rfc3161", "rpm", "tuf",
];

/// Checks a `ProposedEntry`.
pub(crate) fn read(entry: &Value) -> Result<crate::Proposed, Error> {
    let root = Field::root(entry);
    if !entry.is_object() {
        return Err(root.of_type("object"));
    }
    let kind = root.get("kind")?.text()?;
    let known = matches!(kind, "hashedrekord" | "dsse" | "intoto");
    if !known && !FOREIGN.contains(&kind) {
        let kind: String = kind.chars().take(100).collect();
        let message = format!("invalid kind value: {kind:?}");
        return Err(Error::invalid(Violation::Choice, message));
    }
    if !known {
        return Err(Error::entry(format_args!(
            "entry kind '{kind}' cannot be inserted into log: {TAKEN}"
        )));
    }
    let version = root.get("apiVersion")?.text()?;
    let spec = root.get("spec")?;
    match (kind, version) {
        ("hashedrekord", "0.0.1") => hashedrekord::read(&spec),
        ("dsse", "0.0.1") => dsse::read(&spec),
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
