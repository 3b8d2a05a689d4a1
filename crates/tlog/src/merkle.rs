//! Merkle trees as of RFC 6962, section 2: hashes, and the check of inclusion and consistency proofs.
//!
//! The algorithms follow <https://github.com/transparency-dev/merkle>, which looks at a proof as two parts: hashes up
//! to the level where the paths to the leaf and to the last leaf part (inner), and the left siblings above (border).
//! Sizes and indices are any `u64`; the number of hashes is checked before any is used.

use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::digest::sha256;
use sealmark_formats::{HashAlgorithm, Hasher};

use crate::Error;

mod edge;
mod memory;
mod proof;
mod subtree;

pub use edge::{CompletedTile, RightEdge, TileNodes};
pub use memory::MemoryTree;
pub use proof::{NodeId, consistency_proof, inclusion_proof, root};
pub use subtree::{root_of_beginning, verify_subtree_consistency, verify_subtree_inclusion};

/// The longest proof: a path in a tree of 2⁶⁴ leaves, and the hash that a consistency proof may start with.
pub const MAX_PROOF: usize = 65;

/// A SHA-256 hash of a leaf or a node. It is displayed in hex.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The raw bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In standard base64, as checkpoints write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// From standard base64 with padding; `None` if it is anything but 32 bytes.
    pub fn from_base64(text: &str) -> Option<Self> {
        Self::try_from(STANDARD.decode(text).ok()?.as_slice()).ok()
    }

    fn of(pieces: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        for piece in pieces {
            hasher.update(piece);
        }
        let digest = hasher.finish();
        Self::try_from(digest.bytes()).expect("a SHA-256 digest has 32 bytes")
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = core::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl FromStr for Hash {
    type Err = hex::FromHexError;

    /// From hex, as Rekor v1 writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The root of the tree without leaves: the hash of nothing.
pub fn empty_root() -> Hash {
    Hash(sha256(&[]))
}

/// The hash of a leaf: SHA-256 of `0x00` and the entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash::of(&[&[0x00], entry])
}

/// The hash of an inner node: SHA-256 of `0x01` and both children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [0x01; 65];
    node[1..33].copy_from_slice(&left.0);
    node[33..].copy_from_slice(&right.0);
    Hash(sha256(&node))
}

/// Checks that the leaf with this hash is at `index` in the tree with `size` leaves and this root.
///
/// # Errors
/// [`Error::Range`] if `index` is not below `size`; [`Error::ProofLength`]; [`Error::RootMismatch`].
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), Error> {
    let calculated = root_of_inclusion("inclusion", index, size, leaf, proof)?;
    same_root("inclusion", calculated, root)
}

/// Checks that the tree with `size1` leaves is the beginning of the tree with `size2` leaves.
///
/// # Errors
/// [`Error::Range`] unless `0 < size1 <= size2`: every tree begins with the empty one, so a proof of that would prove
/// nothing. [`Error::ProofLength`]; [`Error::RootMismatch`] if the proof leads to another root for either tree.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    root1: &Hash,
    root2: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if size1 == 0 {
        return Err(Error::Range {
            proof: "consistency",
            reason: "every tree is consistent with the empty one".to_owned(),
        });
    }
    subtree::verify("consistency", 0, size1, size2, root1, root2, proof)
}

pub(crate) fn root_of_inclusion(
    what: &'static str,
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> Result<Hash, Error> {
    if index >= size {
        return Err(Error::Range {
            proof: what,
            reason: format!("there is no leaf {index} in a tree with {size} leaves"),
        });
    }
    let (inner, border) = decompose(index, size);
    expect_length(what, proof, inner + border)?;
    let hash = chain_inner(*leaf, &proof[..inner], index);
    Ok(chain_border(hash, &proof[inner..]))
}

fn same_root(proof: &'static str, calculated: Hash, expected: &Hash) -> Result<(), Error> {
    if calculated == *expected {
        return Ok(());
    }
    Err(Error::RootMismatch {
        proof,
        calculated,
        expected: *expected,
    })
}

fn expect_length(what: &'static str, proof: &[Hash], expected: usize) -> Result<(), Error> {
    if proof.len() == expected {
        return Ok(());
    }
    Err(Error::ProofLength {
        proof: what,
        found: proof.len(),
        expected,
    })
}

/// The number of binary digits of `number`, 0 for 0.
fn bit_length(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// `number >> by`, also where `by` is the whole width.
fn shift(number: u64, by: u32) -> u64 {
    number.checked_shr(by).unwrap_or(0)
}

/// How many hashes of an inclusion proof are inner and border ones. `index` is below `size`.
fn decompose(index: u64, size: u64) -> (usize, usize) {
    let inner = bit_length(index ^ (size - 1));
    let border = shift(index, inner).count_ones();
    (inner as usize, border as usize)
}

fn chain_inner(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    let chain = |hash: Hash, (level, sibling): (u32, &Hash)| match shift(index, level) & 1 {
        0 => node_hash(&hash, sibling),
        _ => node_hash(sibling, &hash),
    };
    (0..).zip(proof).fold(seed, chain)
}

/// As [`chain_inner`], but only with the siblings to the left: what this node was when the leaf was the last one.
fn chain_inner_right(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    let chain = |hash: Hash, (level, sibling): (u32, &Hash)| match shift(index, level) & 1 {
        0 => hash,
        _ => node_hash(sibling, &hash),
    };
    (0..).zip(proof).fold(seed, chain)
}

fn chain_border(seed: Hash, proof: &[Hash]) -> Hash {
    proof
        .iter()
        .fold(seed, |hash, sibling| node_hash(sibling, &hash))
}
