//! Entries as clients of Rekor v1 propose them: checked, and brought into the canonical form that is the leaf.
//!
//! Invariant: what comes out was signed by the key or certificate in it. URLs and contents that Rekor's schemas do not
//! keep are not in the leaf; what they are found by is taken from them first, as afterwards nobody could.

mod dsse;
mod hashedrekord;
mod intoto;

use axum::http::StatusCode;
use serde_json::Value;

use super::field::Field;
use super::refusal::{Refusal, invalid};

/// What this server takes, in the words of a refusal.
const TAKEN: &str = "this log takes hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2";
/// Kinds that a Rekor knows.
const FOREIGN: [&str; 8] = [
    "alpine", "cose", "helm", "jar", "rekord", "rfc3161", "rpm", "tuf",
];

/// An entry that may be logged.
#[derive(Debug)]
pub(super) struct Proposed {
    /// The canonical body.
    pub(super) leaf: Vec<u8>,
    /// What it is found by, in lower case.
    pub(super) keys: Vec<String>,
}

impl Proposed {
    fn new(leaf: Vec<u8>, mut keys: Vec<String>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { leaf, keys }
    }
}

/// Reads the body of a request.
pub(super) fn parse(json: &[u8]) -> Result<Value, Refusal> {
    // Rekor answers 500 to what is no JSON; but it is the client's error, and should not be sent again.
    serde_json::from_slice(json).map_err(|error| {
        let reason = sealmark_formats::excerpt(error.to_string());
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not JSON: {reason}"),
        )
    })
}

/// Checks a `ProposedEntry`.
pub(super) fn read(entry: &Value) -> Result<Proposed, Refusal> {
    let root = Field::root(entry);
    if !entry.is_object() {
        return Err(root.of_type("object"));
    }
    let kind = root.get("kind")?.text()?;
    let known = matches!(kind, "hashedrekord" | "dsse" | "intoto");
    if !known && !FOREIGN.contains(&kind) {
        let kind: String = kind.chars().take(100).collect();
        let message = format!("invalid kind value: {kind:?}");
        return Err(Refusal::invalid(invalid::CHOICE, message));
    }
    if !known {
        return Err(Refusal::entry(format_args!(
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
            Err(Refusal::entry(format_args!(
                "{kind} of the version {version:?} is not supported: {TAKEN}"
            )))
        }
    }
}
