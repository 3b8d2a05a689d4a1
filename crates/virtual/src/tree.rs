//! The Merkle tree of a log in memory.

use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{MemoryTree, leaf_hash};

/// The leaves of a log.
#[derive(Clone, Debug, Default)]
pub struct Tree(MemoryTree);

impl Tree {
    /// Appends an entry; gives its index.
    pub fn append(&mut self, entry: &[u8]) -> u64 {
        let index = self.size();
        self.0.push(leaf_hash(entry));
        index
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        self.0.root()
    }

    /// The inclusion proof of a leaf in the whole tree, from the leaf's sibling upwards.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn inclusion_proof(&self, index: u64) -> Vec<Hash> {
        self.0
            .inclusion_proof(index, self.size())
            .unwrap_or_else(|error| panic!("there is no leaf {index}: {error}"))
    }
}
