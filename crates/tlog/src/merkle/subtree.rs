//! Proofs about a part of a tree: the subtree of the leaves from `start` up to, but not including, `end`.
//!
//! A consistency proof is the case `start = 0`. Subtrees are those of draft-ietf-plants-merkle-tree-certs, section 4:
//! `start` is a multiple of the smallest power of two that is not below `end - start`.

use super::{
    Hash, bit_length, chain_border, chain_inner, chain_inner_right, decompose, empty_root,
    expect_length, root_of_inclusion, same_root, shift,
};
use crate::Error;

/// Checks that the leaf with this hash is at `index` of the log, in the subtree `start..end` with this root.
///
/// # Errors
/// [`Error::Range`] if there is no such subtree or `index` is outside; [`Error::ProofLength`];
/// [`Error::RootMismatch`].
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), Error> {
    const WHAT: &str = "subtree inclusion";
    check_subtree(WHAT, start, end)?;
    if index < start || index >= end {
        return Err(Error::Range {
            proof: WHAT,
            reason: format!("leaf {index} is outside of the subtree from {start} to {end}"),
        });
    }
    let calculated = root_of_inclusion(WHAT, index - start, end - start, leaf, proof)?;
    same_root(WHAT, calculated, root)
}

/// Checks that the subtree `start..end` with the root `subtree_root` is part of the tree with `size` leaves and the
/// root `root`. The empty subtree has the [empty root](empty_root) and no proof; it says nothing about `root`.
///
/// # Errors
/// [`Error::Range`] if there is no such subtree in a tree of that size; [`Error::ProofLength`];
/// [`Error::RootMismatch`] if the proof leads to another root for either.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    subtree_root: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    const WHAT: &str = "subtree consistency";
    check_subtree(WHAT, start, end)?;
    if start == end {
        check_end(WHAT, end, size)?;
        expect_length(WHAT, proof, 0)?;
        return same_root(WHAT, empty_root(), subtree_root);
    }
    verify(WHAT, start, end, size, subtree_root, root, proof)
}

/// The subtree `start..end` exists and is not empty.
pub(super) fn verify(
    what: &'static str,
    start: u64,
    end: u64,
    size: u64,
    subtree_root: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    check_end(what, end, size)?;
    // Both end at the same leaf: what is missing to the root are left siblings of the subtree and its ancestors.
    if end == size {
        let height = bit_length((end - 1) ^ start);
        expect_length(what, proof, shift(start, height).count_ones() as usize)?;
        return same_root(what, chain_border(*subtree_root, proof), root);
    }
    // Otherwise the proof is the end of the inclusion proof for the subtree's last leaf, from the level of the largest
    // perfect subtree that ends there. Its root comes first, unless it is the whole subtree.
    let (to_fork, border) = decompose(end - 1, size);
    let base = (end - start).trailing_zeros();
    let inner = to_fork.saturating_sub(base as usize);
    let is_perfect = (end - start).is_power_of_two();
    expect_length(what, proof, inner + border + usize::from(!is_perfect))?;
    let (seed, proof) = match proof.split_first() {
        Some((first, rest)) if !is_perfect => (*first, rest),
        _ => (*subtree_root, proof),
    };
    let path = shift(end - 1, base);
    if !is_perfect {
        // Those hashes of the proof that are inside of the subtree lead to its root.
        let height = bit_length((end - 1) ^ start);
        let inner_inside = (height as usize).min(to_fork).saturating_sub(base as usize);
        let border_outside = shift(end - 1, height).count_ones() as usize;
        let border_inside = border.saturating_sub(border_outside);
        let hash = chain_inner_right(seed, &proof[..inner_inside], path);
        let hash = chain_border(hash, &proof[inner..inner + border_inside]);
        same_root(what, hash, subtree_root)?;
    }
    let hash = chain_inner(seed, &proof[..inner], path);
    same_root(what, chain_border(hash, &proof[inner..]), root)
}

/// The root of the tree with `size1` leaves, by the proof that it is the beginning of the tree with `size2` leaves and
/// the root `root2`: what [`verify_consistency`](super::verify_consistency) would take for `root1`.
///
/// # Errors
/// [`Error::Range`] unless `0 < size1 <= size2`, and if `size1` is a power of two and smaller than `size2`: such a root
/// is not part of the proof. [`Error::ProofLength`]; [`Error::RootMismatch`] if the proof does not lead to `root2`.
pub fn root_of_beginning(
    size1: u64,
    size2: u64,
    root2: &Hash,
    proof: &[Hash],
) -> Result<Hash, Error> {
    const WHAT: &str = "consistency";
    if size1 == size2 && size1 > 0 {
        verify(WHAT, 0, size1, size2, root2, root2, proof)?;
        return Ok(*root2);
    }
    if size1.count_ones() < 2 {
        return Err(Error::Range {
            proof: WHAT,
            reason: format!("it does not have the root of the tree with {size1} leaves"),
        });
    }
    // A wrong guess is answered with the root that the proof has; what comes of it is checked as any other.
    let guess = empty_root();
    match verify(WHAT, 0, size1, size2, &guess, root2, proof) {
        Err(Error::RootMismatch { calculated, .. }) => {
            verify(WHAT, 0, size1, size2, &calculated, root2, proof)?;
            Ok(calculated)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(guess),
    }
}

fn check_end(proof: &'static str, end: u64, size: u64) -> Result<(), Error> {
    if end <= size {
        return Ok(());
    }
    Err(Error::Range {
        proof,
        reason: format!("{end} leaves are no part of a tree with {size} leaves"),
    })
}

fn check_subtree(proof: &'static str, start: u64, end: u64) -> Result<(), Error> {
    let exists = match end.checked_sub(start) {
        None => false,
        Some(_) if start == 0 => true,
        Some(0) => true,
        // `None`: the subtree is larger than 2⁶³ and would have to start at 0.
        Some(length) => length
            .checked_next_power_of_two()
            .is_some_and(|width| start.is_multiple_of(width)),
    };
    if exists {
        return Ok(());
    }
    Err(Error::Range {
        proof,
        reason: format!("the leaves from {start} to {end} are no subtree"),
    })
}
