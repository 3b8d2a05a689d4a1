//! Checkpoints: the size and root of a log at one moment, signed by the log.
//!
//! Format: <https://c2sp.org/tlog-checkpoint>. [`Checkpoint::parse`] reads what a text says; only
//! [`Checkpoint::open`] also checks who says it.

use core::fmt;

use sealmark_keys::PublicKey;

use crate::note::Note;
use crate::{Error, Hash, merkle};

/// A checkpoint. It is displayed as the text that is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The name of the log: host and path without scheme for most, `HOST - TREE` in Rekor v1.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root hash.
    pub root: Hash,
    /// Further lines, none empty. Rekor v1 wrote `Timestamp: NANOSECONDS` until 2023.
    pub extensions: Vec<String>,
}

/// What the origin of a log's checkpoints must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin<'a> {
    /// A Rekor v1: `HOST - TREE`, whatever host and tree. Its shards share one key, and signature lines are named by
    /// the key alone.
    RekorV1,
    /// Exactly this, which is also the name that the log signs with: for a Rekor v2 the host of its base URL, without
    /// port and path.
    Named(&'a str),
}

impl Checkpoint {
    /// Parses the text of a note.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it is not a line with the origin, one with the size in decimal digits without leading
    /// zeros, one with the root in base64, and then no empty lines.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |reason: &str| Error::Checkpoint(reason.to_owned());
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| error("its last line does not end"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or_else(|| error("the first line, the origin, is empty"))?;
        let size = lines
            .next()
            .ok_or_else(|| error("it has one line only, not origin, size and root"))?;
        let size = parse_size(size).ok_or_else(|| {
            let size: String = size.chars().take(60).collect();
            Error::Checkpoint(format!(
                "the second line must be the size in decimal digits, but is {size:?}"
            ))
        })?;
        let root = lines
            .next()
            .ok_or_else(|| error("the third line, the root hash, is missing"))?;
        let root = Hash::from_base64(root)
            .ok_or_else(|| error("the third line, the root hash, is not base64 of 32 bytes"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(error("an extension line is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// Parses a signed checkpoint and checks that it is of the log with this origin and key.
    ///
    /// # Errors
    /// [`Error::Note`] and [`Error::Checkpoint`] if it is malformed, [`Error::Origin`] if it is of another log,
    /// [`Error::NotSigned`], [`Error::Signature`] and [`Error::SignatureForm`] if the key did not sign it.
    pub fn open(signed: &str, origin: Origin<'_>, key: &PublicKey) -> Result<Self, Error> {
        let note = Note::parse(signed)?;
        let checkpoint = Self::parse(&note.text)?;
        let name = match origin {
            Origin::RekorV1 => {
                if checkpoint.rekor_v1_tree().is_none() {
                    return Err(checkpoint.wrong_origin("the form \"HOST - TREE\" of Rekor v1"));
                }
                None
            }
            Origin::Named(name) => {
                if checkpoint.origin != name {
                    return Err(checkpoint.wrong_origin(&format!("{name:?}")));
                }
                Some(name)
            }
        };
        note.verify_by(name, key)?;
        Ok(checkpoint)
    }

    /// Checks that the leaf with this hash is at `index` of the tree that this checkpoint is of.
    ///
    /// # Errors
    /// As [`merkle::verify_inclusion`].
    pub fn verify_inclusion(&self, index: u64, leaf: &Hash, proof: &[Hash]) -> Result<(), Error> {
        merkle::verify_inclusion(index, self.size, leaf, proof, &self.root)
    }

    /// Checks that this checkpoint is of the tree with this size and root, which stand beside it in a bundle's
    /// inclusion proof or a log's answer.
    ///
    /// # Errors
    /// [`Error::OtherTree`].
    pub fn expect_tree(&self, size: u64, root: &[u8]) -> Result<(), Error> {
        if self.size == size && self.root.bytes() == root {
            return Ok(());
        }
        Err(Error::OtherTree {
            size: self.size,
            root: self.root,
            claimed_size: size,
            claimed_root: hex::encode(&root[..root.len().min(64)]),
        })
    }

    /// The host and the id of the tree (shard), if the origin has the form that Rekor v1 gives it.
    pub fn rekor_v1_tree(&self) -> Option<(&str, u64)> {
        let (host, tree) = self.origin.rsplit_once(" - ")?;
        let digits = !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit());
        Some((host, tree.parse().ok().filter(|_| digits)?))
    }

    fn wrong_origin(&self, expected: &str) -> Error {
        Error::Origin {
            found: self.origin.chars().take(120).collect(),
            expected: expected.to_owned(),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            self.root.to_base64()
        )?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Decimal digits, no sign, no leading zero, below 2⁶⁴.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}
