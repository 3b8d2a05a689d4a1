//! A whole tree in memory, for tests, monitors and small logs.

use super::proof::{self, NodeId};
use super::{Hash, node_hash, shift};
use crate::Error;

/// A tree with all its nodes: 64 bytes per leaf. It gives roots and proofs of every size it ever had.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemoryTree {
    /// By height: all nodes that are perfect.
    nodes: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.nodes.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for height in 0.. {
            if self.nodes.len() == height {
                self.nodes.push(Vec::new());
            }
            let nodes = &mut self.nodes[height];
            nodes.push(hash);
            if nodes.len() % 2 == 1 {
                return;
            }
            hash = node_hash(&nodes[nodes.len() - 2], &nodes[nodes.len() - 1]);
        }
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let root = self.root_at(self.size());
        root.unwrap_or_else(|_| super::empty_root())
    }

    /// The root that the tree had when it had `size` leaves.
    ///
    /// # Errors
    /// [`Error::Range`] if it never had so many.
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        proof::root(size, |node| self.node(node))
    }

    /// The proof that leaf `index` was in the tree when it had `size` leaves.
    ///
    /// # Errors
    /// [`Error::Range`] unless `index < size`, and `size` at most [`size`](Self::size).
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        self.has(size)?;
        proof::inclusion_proof(index, size, |node| self.node(node))
    }

    /// The proof that the tree with `size1` leaves is the beginning of the one with `size2`.
    ///
    /// # Errors
    /// [`Error::Range`] unless `0 < size1 <= size2`, and `size2` at most [`size`](Self::size).
    pub fn consistency_proof(&self, size1: u64, size2: u64) -> Result<Vec<Hash>, Error> {
        self.has(size2)?;
        proof::consistency_proof(size1, size2, |node| self.node(node))
    }

    fn has(&self, size: u64) -> Result<(), Error> {
        if size <= self.size() {
            return Ok(());
        }
        Err(Error::Range {
            proof: "requested",
            reason: format!("the tree has {} leaves, not {size}", self.size()),
        })
    }

    fn node(&self, node: NodeId) -> Result<Hash, Error> {
        let nodes = self.nodes.get(usize::from(node.height));
        let found = nodes.and_then(|nodes| nodes.get(usize::try_from(node.index).ok()?));
        found.copied().ok_or_else(|| Error::Range {
            proof: "requested",
            reason: format!(
                "it needs leaf {}, the tree has {}",
                shift(node.index, 0) << node.height,
                self.size()
            ),
        })
    }
}
