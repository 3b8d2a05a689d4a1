//! Tiles from a source that is not trusted, each checked against a checkpoint before it is used.
//!
//! The tiles that are not full lead to the checkpoint's root together; every full tile is a hash in the tile above it.
//! So whatever a node is asked for, all tiles on its way to the root are read and checked, and kept.

use std::collections::HashMap;

use super::{Tile, WIDTH};
use crate::merkle::{self, NodeId, RightEdge, TileNodes};
use crate::{Error, Hash};

/// Full tiles that are kept, at most; each takes 16 KiB. When there are more, all are forgotten.
const MAX_KEPT: usize = 1024;

/// The nodes and proofs of the tree with a known size and root, from tiles that anybody may serve.
#[derive(Debug)]
pub struct VerifiedTiles<R> {
    edge: RightEdge,
    read: R,
    full: HashMap<(u8, u64), TileNodes>,
}

impl<R, E> VerifiedTiles<R>
where
    R: FnMut(Tile) -> Result<Vec<u8>, E>,
    E: From<Error>,
{
    /// Reads the tiles that are not full, and checks that they lead to `root`. `read` gives the bytes of a tile's file.
    ///
    /// # Errors
    /// [`Error::RootMismatch`]; [`Error::Tile`] if a tile has not the length it must have; what `read` gives.
    pub fn open(size: u64, root: &Hash, mut read: R) -> Result<Self, E> {
        let edge = RightEdge::load(size, |tile| {
            read(tile).and_then(|bytes| tile.decode(&bytes).map_err(E::from))
        })?;
        let calculated = edge.root();
        if calculated != *root {
            return Err(E::from(Error::RootMismatch {
                proof: "tiles'",
                calculated,
                expected: *root,
            }));
        }
        Ok(Self {
            edge,
            read,
            full: HashMap::new(),
        })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The hash of a node of the tree.
    ///
    /// # Errors
    /// [`Error::Range`] if it is not in the tree; [`Error::TileMismatch`] if a tile on the way to the root is not the
    /// one the tree has; what `read` gives.
    pub fn node(&mut self, node: NodeId) -> Result<Hash, E> {
        if !node.is_in(self.size()) {
            return Err(E::from(Error::Range {
                proof: "requested",
                reason: format!("the tree with {} leaves has no {node:?}", self.size()),
            }));
        }
        if let Some(hash) = self.edge.node(node) {
            return Ok(hash);
        }
        let (level, tile, height, index) = Tile::of_node(node);
        let nodes = self.full_tile(level, tile)?;
        let missing = || Error::Tile(format!("tile {tile} of level {level} has no {node:?}"));
        nodes.node(height, index).ok_or_else(|| E::from(missing()))
    }

    /// The hashes of the leaves of a full tile of level 0.
    ///
    /// # Errors
    /// As [`node`](Self::node).
    pub fn leaves(&mut self, tile: u64) -> Result<&[Hash], E> {
        if tile == self.size() / WIDTH as u64 {
            return Ok(self.edge.tile(0).map_or(&[], TileNodes::hashes));
        }
        Ok(self.full_tile(0, tile)?.hashes())
    }

    /// The proof that leaf `index` is in the tree, checked to lead to its root.
    ///
    /// # Errors
    /// [`Error::Range`] if there is no such leaf; as [`node`](Self::node).
    pub fn inclusion_proof(&mut self, index: u64) -> Result<Vec<Hash>, E> {
        merkle::inclusion_proof(index, self.size(), |node| self.node(node))
    }

    /// The proof that the tree with `size1` leaves is the beginning of the one with `size2`, neither larger than this.
    ///
    /// # Errors
    /// [`Error::Range`] unless `0 < size1 <= size2`, and `size2` at most [`size`](Self::size); as [`node`](Self::node).
    pub fn consistency_proof(&mut self, size1: u64, size2: u64) -> Result<Vec<Hash>, E> {
        merkle::consistency_proof(size1, size2, |node| self.node(node))
    }

    /// The root that the tree had when it had `size` leaves.
    ///
    /// # Errors
    /// [`Error::Range`] if it never had so many; as [`node`](Self::node).
    pub fn root_at(&mut self, size: u64) -> Result<Hash, E> {
        merkle::root(size, |node| self.node(node))
    }

    fn full_tile(&mut self, level: u8, index: u64) -> Result<&TileNodes, E> {
        if !self.full.contains_key(&(level, index)) {
            let tile = Tile::full(level, index).filter(|tile| tile.is_in(self.edge.size()));
            let tile = tile.ok_or_else(|| {
                E::from(Error::Tile(format!(
                    "the tree has no full tile {index} of level {level}"
                )))
            })?;
            // Its parent first, so that nothing is kept that was not checked.
            let expected = self.node(NodeId {
                height: 8 * (level + 1),
                index,
            })?;
            let hashes = tile.decode(&(self.read)(tile)?)?;
            let (nodes, calculated) = TileNodes::from_hashes(&hashes);
            if calculated != Some(expected) {
                return Err(E::from(Error::TileMismatch { tile, expected }));
            }
            if self.full.len() >= MAX_KEPT {
                self.full.clear();
            }
            self.full.insert((level, index), nodes);
        }
        Ok(&self.full[&(level, index)])
    }
}
