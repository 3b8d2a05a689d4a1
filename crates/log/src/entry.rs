//! Entries, and how they are kept: the leaf in a bundle, everything else in a side file beside it.
//!
//! The side file has what is not in the leaf and so could not be found out from it again: when the entry was
//! integrated, the keys it is found by (Rekor's index has digests from payloads that the leaf leaves out), and bytes
//! that the service wants to keep with it.

mod keys;

use std::ops::Range;
use std::sync::Arc;

use sealmark_formats::digest::sha256;
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;

use crate::Error;
use crate::codec::{Put, Take};

/// Keys of one entry, at most. An in-toto statement may have many subjects, each with several digests.
pub const MAX_KEYS: usize = 4096;
/// The longest key, in bytes: the longest e-mail address has 254, a URI of a workflow some hundred.
pub const MAX_KEY: usize = 1024;
/// The most extra data of one entry, in bytes. Rekor keeps attestations of up to 100 KiB.
pub const MAX_EXTRA: usize = 4 << 20;

/// What is to be logged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// The bytes of the leaf, in their canonical form. They alone decide whether two entries are the same.
    pub leaf: Vec<u8>,
    /// What the entry is found by, exactly as written here: `sha256:…`, `email:…`, whatever the service decides.
    pub keys: Vec<String>,
    /// Bytes that are kept with the entry and are no part of the tree: an attestation, for example.
    pub extra: Vec<u8>,
}

/// Makes the leaf of an entry from its index and its time in milliseconds since 1970. It runs on the one thread that all
/// trees share, so it does nothing but write bytes.
pub(crate) type MakeLeaf = Box<dyn FnOnce(u64, u64) -> Vec<u8> + Send>;

/// An entry whose leaf says where and when it is in the log, as those of static CT logs do.
pub struct LateEntry {
    /// What tells it from others, as its leaf does not: two with the same bytes are the same entry.
    pub identity: Vec<u8>,
    /// Makes the leaf from its index and its time in milliseconds since 1970. It runs on the one thread that all trees
    /// share, so it does nothing but write bytes.
    pub make: Box<dyn FnOnce(u64, u64) -> Vec<u8> + Send>,
    /// The length of the leaf.
    pub length: usize,
    /// As [`Entry::keys`].
    pub keys: Vec<String>,
    /// As [`Entry::extra`].
    pub extra: Vec<u8>,
}

/// The key by which an entry is found whose leaf was made late.
pub(crate) fn identity_key(identity: &Hash) -> String {
    format!("identity:{identity}")
}

/// An entry that is in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredEntry {
    /// Its index in its tree, from 0.
    pub index: u64,
    /// When it was integrated, in milliseconds since 1970. Never less than that of the entry before.
    pub integrated_ms: u64,
    /// What was logged.
    pub entry: Entry,
}

impl Entry {
    pub(crate) fn check(&self, max_leaf: usize) -> Result<(), Error> {
        let long = |what: String| Err(Error::Refused(what));
        if self.leaf.len() > max_leaf {
            let length = self.leaf.len();
            return long(format!(
                "its leaf has {length} bytes, this tree takes at most {max_leaf}"
            ));
        }
        if self.keys.len() > MAX_KEYS {
            let count = self.keys.len();
            return long(format!("it has {count} keys, at most {MAX_KEYS} are kept"));
        }
        if let Some(key) = self.keys.iter().find(|key| key.len() > MAX_KEY) {
            let length = key.len();
            return long(format!(
                "one of its keys has {length} bytes, at most {MAX_KEY} are allowed"
            ));
        }
        if self.extra.len() > MAX_EXTRA {
            let length = self.extra.len();
            return long(format!(
                "its extra data has {length} bytes, at most {MAX_EXTRA} are kept"
            ));
        }
        Ok(())
    }

    /// About how many bytes it takes in memory and in the write-ahead log.
    pub(crate) fn weight(&self) -> usize {
        let keys: usize = self.keys.iter().map(|key| key.len() + 24).sum();
        self.leaf.len() + self.extra.len() + keys + 128
    }
}

/// An entry with its hash and time, as trees share it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) entry: Entry,
    pub(crate) leaf_hash: Hash,
    pub(crate) time: u64,
}

impl Record {
    /// In the write-ahead log and in snapshots: leaf and side together.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_bytes(&self.entry.leaf);
        self.encode_side(out);
    }

    pub(crate) fn decode(from: &mut Take<'_>) -> Option<Arc<Self>> {
        let leaf = from.bytes()?.to_vec();
        let (time, keys, extra) = decode_side(from)?;
        let leaf_hash = leaf_hash(&leaf);
        let entry = Entry { leaf, keys, extra };
        Some(Arc::new(Self {
            entry,
            leaf_hash,
            time,
        }))
    }

    fn encode_side(&self, out: &mut Vec<u8>) {
        out.put_u64(self.time);
        keys::encode(&self.entry.keys, out);
        out.put_bytes(&self.entry.extra);
    }
}

type Side = (u64, Vec<String>, Vec<u8>);

fn decode_side(from: &mut Take<'_>) -> Option<Side> {
    let time = from.u64()?;
    let keys = keys::decode(from)?;
    Some((time, keys, from.bytes()?.to_vec()))
}

/// The bytes of the side file for a bundle: its entries' sides, and a digest of them all.
pub(crate) fn encode_sides(records: &[Arc<Record>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        record.encode_side(&mut bytes);
    }
    let digest = sha256(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// The sides of some of the `width` entries; `None` if the bytes are not what was written.
pub(crate) fn decode_sides(bytes: &[u8], width: usize, wanted: Range<usize>) -> Option<Vec<Side>> {
    let (sides, digest) = bytes.split_last_chunk::<32>()?;
    if sha256(sides) != *digest {
        return None;
    }
    let mut from = Take(sides);
    let mut found = Vec::with_capacity(wanted.len());
    for at in 0..width {
        match wanted.contains(&at) {
            true => found.push(decode_side(&mut from)?),
            false => skip_side(&mut from)?,
        }
    }
    from.end(found)
}

fn skip_side(from: &mut Take<'_>) -> Option<()> {
    from.u64()?;
    keys::skip(from)?;
    from.bytes().map(|_| ())
}
