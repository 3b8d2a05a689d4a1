//! A Merkle tree in memory, by the definitions of RFC 6962, section 2.1.

use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{empty_root, leaf_hash, node_hash};

/// The leaves of a log. Roots and proofs are computed when they are asked for: trees of tests are small.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    leaves: Vec<Hash>,
}

impl Tree {
    /// Appends an entry; gives its index.
    pub fn append(&mut self, entry: &[u8]) -> u64 {
        let index = self.size();
        self.leaves.push(leaf_hash(entry));
        index
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        root(&self.leaves)
    }

    /// The inclusion proof of a leaf in the whole tree, from the leaf's sibling upwards.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn inclusion_proof(&self, index: u64) -> Vec<Hash> {
        assert!(index < self.size(), "there is no leaf {index}");
        let index = usize::try_from(index).expect("it is below the number of leaves");
        path(index, &self.leaves)
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// `MTH`.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH` (section 2.1.1).
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = match index < middle {
        true => (path(index, left), root(right)),
        false => (path(index - middle, right), root(left)),
    };
    proof.push(sibling);
    proof
}
