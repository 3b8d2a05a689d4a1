//! The four roles' metadata, well formed or refused. Signatures are checked by a root: see [`super::root`].
//!
//! Format: <https://theupdateframework.github.io/specification/latest/#file-formats>. What is interpreted is the same
//! parsed value whose canonical form is signed, so that a reader cannot be shown something else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealmark_formats::{Digest, HashAlgorithm, excerpt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::canonical::canonical;
use crate::Error;

/// More signatures than this are refused unread; the public root has had ten at most.
const MAX_SIGNATURES: usize = 128;

/// What one role says.
pub(super) trait Role: DeserializeOwned {
    /// `_type` in the document.
    const NAME: &'static str;
}

/// Signed metadata whose signatures nobody has checked.
pub(super) struct Unverified {
    pub(super) signatures: Vec<SignatureJson>,
    pub(super) signed: Value,
    /// What the signatures are over.
    pub(super) message: Vec<u8>,
}

#[derive(Deserialize)]
struct EnvelopeJson {
    signatures: Vec<SignatureJson>,
    signed: Value,
}

#[derive(Deserialize)]
pub(super) struct SignatureJson {
    pub(super) keyid: String,
    pub(super) sig: String,
}

/// What every role's metadata begins with.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: u64,
    expires: String,
}

/// Metadata of a role.
#[derive(Clone, Debug)]
pub(super) struct Metadata<T> {
    pub(super) version: u64,
    pub(super) expires: Timestamp,
    pub(super) body: T,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct RootBody {
    #[serde(default)]
    pub(super) consistent_snapshot: bool,
    pub(super) keys: BTreeMap<String, KeyJson>,
    pub(super) roles: BTreeMap<String, RoleKeys>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct KeyJson {
    pub(super) scheme: String,
    pub(super) keyval: KeyValue,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct KeyValue {
    #[serde(default)]
    pub(super) public: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct RoleKeys {
    pub(super) keyids: Vec<String>,
    pub(super) threshold: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TimestampBody {
    pub(super) meta: BTreeMap<String, MetaFile>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SnapshotBody {
    pub(super) meta: BTreeMap<String, MetaFile>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetsBody {
    #[serde(default)]
    pub(super) targets: BTreeMap<String, TargetFile>,
}

/// Another role's metadata, described.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MetaFile {
    pub(super) version: u64,
    pub(super) length: Option<u64>,
    #[serde(default)]
    pub(super) hashes: BTreeMap<String, String>,
}

/// A target, described.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetFile {
    pub(super) length: u64,
    pub(super) hashes: BTreeMap<String, String>,
}

impl Role for RootBody {
    const NAME: &'static str = "root";
}
impl Role for TimestampBody {
    const NAME: &'static str = "timestamp";
}
impl Role for SnapshotBody {
    const NAME: &'static str = "snapshot";
}
impl Role for TargetsBody {
    const NAME: &'static str = "targets";
}

fn malformed(role: &str, reason: impl Into<String>) -> Error {
    Error::Malformed {
        role: role.to_owned(),
        reason: excerpt(reason.into()),
    }
}

impl Unverified {
    /// Parses the envelope.
    pub(super) fn parse(role: &str, json: &[u8]) -> Result<Self, Error> {
        let envelope: EnvelopeJson =
            serde_json::from_slice(json).map_err(|e| malformed(role, e.to_string()))?;
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(malformed(
                role,
                format!(
                    "{} signatures, at most {MAX_SIGNATURES} are read",
                    envelope.signatures.len()
                ),
            ));
        }
        let message = canonical(&envelope.signed).map_err(|reason| malformed(role, reason))?;
        Ok(Self {
            signatures: envelope.signatures,
            signed: envelope.signed,
            message,
        })
    }

    /// What is said, by whomever.
    pub(super) fn claims<T: Role>(&self) -> Result<Metadata<T>, Error> {
        let role = T::NAME;
        let json = |e: serde_json::Error| malformed(role, e.to_string());
        let head = Head::deserialize(&self.signed).map_err(json)?;
        if head.kind != role {
            return Err(malformed(role, format!("its _type is {:?}", head.kind)));
        }
        // The specification's versions are semantic; 1.x is one format.
        if head.spec_version != "1" && !head.spec_version.starts_with("1.") {
            return Err(malformed(
                role,
                format!(
                    "its spec_version is {:?}; only 1.x is known",
                    head.spec_version
                ),
            ));
        }
        if head.version == 0 {
            return Err(malformed(role, "its version is 0"));
        }
        let expires = head
            .expires
            .parse()
            .map_err(|e| malformed(role, format!("expires {:?}: {e}", head.expires)))?;
        Ok(Metadata {
            version: head.version,
            expires,
            body: T::deserialize(&self.signed).map_err(json)?,
        })
    }
}

/// Whether `content` has the length, if one is given, and every hash that is known; `demand` that there is one.
pub(super) fn describes(
    length: Option<u64>,
    hashes: &BTreeMap<String, String>,
    demand: bool,
    content: &[u8],
) -> Result<(), String> {
    if let Some(length) = length
        && length != content.len() as u64
    {
        return Err(format!("{} bytes instead of {length}", content.len()));
    }
    let mut checked = 0;
    for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
        let Some(expected) = hashes.get(algorithm.name()) else {
            continue;
        };
        let found = Digest::of(algorithm, content).hex();
        if !found.eq_ignore_ascii_case(expected) {
            let expected: String = expected.chars().take(128).collect();
            return Err(format!("its {algorithm} is {found} instead of {expected}"));
        }
        checked += 1;
    }
    if demand && checked == 0 {
        return Err("neither a sha256 nor a sha512 hash is given for it".to_owned());
    }
    Ok(())
}
