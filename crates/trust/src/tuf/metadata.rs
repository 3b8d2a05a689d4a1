//! Metadata of any role, well formed or refused. Signatures are checked by [`Signers`](super::keys::Signers).
//!
//! Format: <https://theupdateframework.github.io/specification/latest/#file-formats>. What is interpreted is the same
//! parsed value whose canonical form is signed, so that a reader cannot be shown something else.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use jiff::Timestamp;
use sealmark_formats::{Digest, HashAlgorithm, canonical_json, excerpt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// More signatures than this are refused unread; the public root has had ten at most.
const MAX_SIGNATURES: usize = 128;

/// What one role says.
pub(super) trait Role: DeserializeOwned {
    /// `_type` in the document.
    const NAME: &'static str;

    /// What its form does not say yet.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Signed metadata whose signatures nobody has checked.
pub(super) struct Unverified {
    pub(super) signatures: Vec<SignatureJson>,
    signed: Value,
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
    version: NonZeroU64,
    expires: String,
}

/// Metadata of a role.
#[derive(Clone, Debug)]
pub(super) struct Metadata<T> {
    pub(super) version: u64,
    pub(super) expires: Timestamp,
    pub(super) body: T,
}

/// Another role's metadata, described.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MetaFile {
    pub(super) version: NonZeroU64,
    pub(super) length: Option<u64>,
    pub(super) hashes: Option<Hashes>,
}

/// Hashes of a file in hex, by the names of their algorithms; one at least.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub(super) struct Hashes(BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Hashes {
    type Error = &'static str;

    fn try_from(hashes: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        match hashes.is_empty() {
            true => Err("hashes are given, but none is"),
            false => Ok(Self(hashes)),
        }
    }
}

impl Hashes {
    /// One of them: the prefix of a target's file name.
    pub(super) fn first(&self) -> &str {
        let known = self.0.get("sha256").or_else(|| self.0.get("sha512"));
        known
            .or_else(|| self.0.values().next())
            .map_or("", String::as_str)
    }

    /// Whether `content` has every hash. One that cannot be computed does not match.
    fn check(&self, content: &[u8]) -> Result<(), String> {
        for (name, expected) in &self.0 {
            let algorithm = [
                HashAlgorithm::Sha256,
                HashAlgorithm::Sha384,
                HashAlgorithm::Sha512,
            ]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| {
                format!(
                    "its hash {} is none of sha256, sha384 and sha512",
                    shown(name)
                )
            })?;
            let found = Digest::of(algorithm, content).hex();
            if !found.eq_ignore_ascii_case(expected) {
                let expected: String = expected.chars().take(128).collect();
                return Err(format!("its {algorithm} is {found} instead of {expected}"));
            }
        }
        Ok(())
    }
}

impl MetaFile {
    /// Whether `content` has the length and the hashes, where they are given.
    pub(super) fn check(&self, content: &[u8]) -> Result<(), String> {
        if let Some(length) = self.length {
            check_length(length, content)?;
        }
        self.hashes
            .as_ref()
            .map_or(Ok(()), |hashes| hashes.check(content))
    }
}

impl super::targets::TargetFile {
    /// Whether `content` has the length and the hashes.
    pub(super) fn check(&self, content: &[u8]) -> Result<(), String> {
        check_length(self.length, content)?;
        self.hashes.check(content)
    }
}

fn check_length(length: u64, content: &[u8]) -> Result<(), String> {
    match content.len() as u64 == length {
        true => Ok(()),
        false => Err(format!("{} bytes instead of {length}", content.len())),
    }
}

/// No version goes back.
pub(super) fn not_older(what: &str, trusted: u64, offered: u64) -> Result<(), Error> {
    if offered >= trusted {
        return Ok(());
    }
    Err(Error::Rollback {
        what: what.to_owned(),
        trusted,
        offered,
    })
}

/// A name of the repository's as a message has it: no longer than a line, and without what moves a terminal's cursor.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 100;
    match name.char_indices().nth(LONGEST) {
        None => format!("{name:?}"),
        Some((end, _)) => format!("{:?}…", &name[..end]),
    }
}

/// The parser's reasons quote the document, of whatever length.
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
        let signatures = envelope.signatures;
        if signatures.len() > MAX_SIGNATURES {
            let found = signatures.len();
            let reason = format!("{found} signatures, at most {MAX_SIGNATURES} are read");
            return Err(malformed(role, reason));
        }
        let ids: BTreeSet<&String> = signatures.iter().map(|one| &one.keyid).collect();
        if ids.len() < signatures.len() {
            return Err(malformed(role, "two signatures have the same key id"));
        }
        let message =
            canonical_json::to_vec(&envelope.signed).map_err(|reason| malformed(role, reason))?;
        Ok(Self {
            signatures,
            signed: envelope.signed,
            message,
        })
    }

    /// What is said, by whomever.
    pub(super) fn claims<T: Role>(&self, name: &str) -> Result<Metadata<T>, Error> {
        let json = |e: serde_json::Error| malformed(name, e.to_string());
        let head = Head::deserialize(&self.signed).map_err(json)?;
        if head.kind != T::NAME {
            let reason = format!("its _type is {} instead of {}", shown(&head.kind), T::NAME);
            return Err(malformed(name, reason));
        }
        if !is_known_version(&head.spec_version) {
            let reason = format!(
                "its spec_version is {}; only 1.x is known",
                shown(&head.spec_version)
            );
            return Err(malformed(name, reason));
        }
        let expires = head
            .expires
            .parse()
            .map_err(|e| malformed(name, format!("expires {}: {e}", shown(&head.expires))))?;
        let body = T::deserialize(&self.signed).map_err(json)?;
        body.check().map_err(|reason| malformed(name, reason))?;
        Ok(Metadata {
            version: head.version.get(),
            expires,
            body,
        })
    }
}

/// The specification's versions are semantic: 1.x is one format. Old metadata says `1.0`.
fn is_known_version(version: &str) -> bool {
    let parts: Vec<&str> = version.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (2..=3).contains(&parts.len()) && parts.iter().all(digits) && parts[0] == "1"
}
