//! Proofs and roots, built from the nodes of a tree wherever they are kept.
//!
//! A tree is stored as the hashes of its perfect subtrees, which never change once they are full. Everything else
//! (the root, and the one ragged subtree that a proof may need) is folded from these when it is asked for.

use super::{Hash, bit_length, empty_root, node_hash, shift};
use crate::Error;

/// A perfect subtree: its leaves are `index << height .. (index + 1) << height`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId {
    /// The height above the leaves, which have 0; at most 63.
    pub height: u8,
    /// The position among the nodes of this height, from 0.
    pub index: u64,
}

impl NodeId {
    fn new(height: u32, index: u64) -> Self {
        // A u64 has 64 bits, so no caller comes to a height that does not fit.
        let height = height.min(63) as u8;
        Self { height, index }
    }

    /// Whether a tree with `size` leaves has all leaves of this subtree.
    pub fn is_in(self, size: u64) -> bool {
        self.index < shift(size, u32::from(self.height))
    }
}

/// The root of the tree with `size` leaves. `node` is only asked for nodes that are in that tree.
///
/// # Errors
/// What `node` gives.
pub fn root<E>(size: u64, mut node: impl FnMut(NodeId) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(empty_root());
    }
    ragged(0, size, &mut node)
}

/// The proof that leaf `index` is in the tree with `size` leaves: what
/// [`verify_inclusion`](super::verify_inclusion) checks.
///
/// # Errors
/// [`Error::Range`] if `index` is not below `size`; what `node` gives.
pub fn inclusion_proof<E: From<Error>>(
    index: u64,
    size: u64,
    mut node: impl FnMut(NodeId) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(E::from(Error::Range {
            proof: "inclusion",
            reason: format!("there is no leaf {index} in a tree with {size} leaves"),
        }));
    }
    path(index, size, 0, &mut node)
}

/// The proof that the tree with `size1` leaves is the beginning of the one with `size2` leaves: what
/// [`verify_consistency`](super::verify_consistency) checks. It is empty if the sizes are the same.
///
/// # Errors
/// [`Error::Range`] unless `0 < size1 <= size2`; what `node` gives.
pub fn consistency_proof<E: From<Error>>(
    size1: u64,
    size2: u64,
    mut node: impl FnMut(NodeId) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if size1 == 0 || size1 > size2 {
        return Err(E::from(Error::Range {
            proof: "consistency",
            reason: format!(
                "there is none between {size1} and {size2} leaves: the first must be 1 or more, and not the larger"
            ),
        }));
    }
    if size1 == size2 {
        return Ok(Vec::new());
    }
    // The proof is the end of the inclusion proof for the last leaf of the smaller tree, from the level of the largest
    // perfect subtree that ends there; that subtree comes first unless it is the whole tree.
    let base = size1.trailing_zeros();
    let mut proof = Vec::new();
    if !size1.is_power_of_two() {
        proof.push(node(NodeId::new(base, (size1 >> base) - 1))?);
    }
    proof.extend(path(size1 - 1, size2, base, &mut node)?);
    Ok(proof)
}

/// The siblings on the way from leaf `index` to the root, from height `from` on. `index < size`.
fn path<E>(
    index: u64,
    size: u64,
    from: u32,
    node: &mut impl FnMut(NodeId) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    // Below the level where the ways of this leaf and of the last one part, all siblings are perfect; the sibling at
    // that level is all the rest of the tree; above, only siblings to the left exist.
    let inner = bit_length(index ^ (size - 1));
    let mut proof = Vec::new();
    for height in from..inner {
        let sibling = shift(index, height) ^ 1;
        proof.push(if height + 1 == inner {
            ragged(sibling << height, size, node)?
        } else {
            node(NodeId::new(height, sibling))?
        });
    }
    for height in inner.max(from)..u64::BITS {
        let position = shift(index, height);
        if position & 1 == 1 {
            proof.push(node(NodeId::new(height, position ^ 1))?);
        }
    }
    Ok(proof)
}

/// The root of the leaves `start..end`, where `start` is a multiple of a power of two that is not below `end - start`,
/// and `start < end`.
fn ragged<E>(
    start: u64,
    end: u64,
    node: &mut impl FnMut(NodeId) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut rest = end - start;
    let lowest = rest.trailing_zeros();
    let mut hash = node(NodeId::new(lowest, (end >> lowest) - 1))?;
    rest &= rest - 1;
    while rest != 0 {
        let height = rest.trailing_zeros();
        let left = node(NodeId::new(
            height,
            (start >> height) + (rest >> height) - 1,
        ))?;
        hash = node_hash(&left, &hash);
        rest &= rest - 1;
    }
    Ok(hash)
}
