//! The right edge of a growing tree: all that is needed to add leaves, and to prove them, without reading any tile.
//!
//! Invariant: the edge holds, for every tile level, the one tile that is not full (which may be empty), and the nodes
//! above its hashes as far as they are perfect. Everything to the left of it is in full tiles, which were given away
//! when they were completed.

use super::proof::{self, NodeId};
use super::{Hash, node_hash, shift};
use crate::Error;
use crate::tile::{HEIGHT, Tile, WIDTH};

/// All nodes of one tile of height 8: up to 256 hashes, and the perfect subtrees above them, but for the tile's own
/// root, which is a hash of the level above.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TileNodes {
    width: usize,
    /// Height 0 at 0..256, height 1 at 256..384, and so on. What is not there yet is zero.
    nodes: Box<[Hash]>,
}

/// Where the nodes of this height start in [`TileNodes::nodes`].
fn offset(height: usize) -> usize {
    2 * WIDTH - ((2 * WIDTH) >> height)
}

impl TileNodes {
    /// An empty tile.
    pub fn new() -> Self {
        let nodes = vec![Hash::from([0; 32]); offset(HEIGHT)].into_boxed_slice();
        Self { width: 0, nodes }
    }

    /// A tile of these hashes, and its root if they are 256. Hashes after the 256th are ignored.
    pub fn from_hashes(hashes: &[Hash]) -> (Self, Option<Hash>) {
        let mut tile = Self::new();
        let root = hashes.iter().find_map(|hash| tile.push(*hash));
        (tile, root)
    }

    /// Adds a hash; gives the tile's root if it is full now. A full tile stays as it is.
    pub fn push(&mut self, hash: Hash) -> Option<Hash> {
        if self.width == WIDTH {
            return None;
        }
        let (mut hash, mut index) = (hash, self.width);
        self.width += 1;
        for height in 0..HEIGHT {
            let start = offset(height);
            self.nodes[start + index] = hash;
            if index % 2 == 0 {
                return None;
            }
            hash = node_hash(&self.nodes[start + index - 1], &hash);
            index /= 2;
        }
        Some(hash)
    }

    /// The number of hashes, at most 256.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The hashes, which are what the tile's file consists of.
    pub fn hashes(&self) -> &[Hash] {
        &self.nodes[..self.width]
    }

    /// The node at this height (below 8) and position inside of the tile, if it is perfect.
    pub fn node(&self, height: usize, index: usize) -> Option<Hash> {
        let exists = height < HEIGHT && index < self.width >> height;
        exists.then(|| self.nodes[offset(height) + index])
    }
}

impl Default for TileNodes {
    fn default() -> Self {
        Self::new()
    }
}

/// A tile that became full.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompletedTile {
    /// Which tile; its width is 256.
    pub tile: Tile,
    /// What is in it.
    pub nodes: TileNodes,
}

/// The right edge of a tree.
///
/// ```
/// use sealmark_tlog::merkle::{RightEdge, leaf_hash, verify_inclusion};
///
/// let mut edge = RightEdge::new();
/// let full_tiles: Vec<_> = (0..300u64)
///     .flat_map(|n| edge.push(leaf_hash(&n.to_be_bytes())))
///     .collect();
/// assert_eq!((edge.size(), full_tiles.len()), (300, 1));
///
/// let proof = edge.inclusion_proof(299, &full_tiles)?;
/// verify_inclusion(299, 300, &leaf_hash(&299u64.to_be_bytes()), &proof, &edge.root())?;
/// # Ok::<(), sealmark_tlog::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RightEdge {
    size: u64,
    /// By tile level; as many as the size needs.
    tiles: Vec<TileNodes>,
}

impl RightEdge {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of the tree with `size` leaves; `hashes` gives what is in the tile of each level that is not full. The
    /// caller checks that [`root`](Self::root) is the expected one.
    ///
    /// # Errors
    /// [`Error::Tile`] if a tile has another number of hashes than asked for; what `hashes` gives.
    pub fn load<E: From<Error>>(
        size: u64,
        mut hashes: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut tiles = Vec::new();
        for level in 0..Tile::levels(size) {
            let Some(tile) = Tile::partial(level, size) else {
                tiles.push(TileNodes::new());
                continue;
            };
            let found = hashes(tile)?;
            if found.len() != tile.width() {
                return Err(E::from(Error::Tile(format!(
                    "{tile} has {} hashes, not {}",
                    found.len(),
                    tile.width()
                ))));
            }
            tiles.push(TileNodes::from_hashes(&found).0);
        }
        Ok(Self { size, tiles })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives the tiles that are full now, lowest level first. At most 2⁶⁴ − 1 leaves can be added.
    pub fn push(&mut self, leaf: Hash) -> Vec<CompletedTile> {
        let (mut hash, mut level) = (leaf, 0);
        let mut completed = Vec::new();
        loop {
            if self.tiles.len() == level {
                self.tiles.push(TileNodes::new());
            }
            let Some(root) = self.tiles[level].push(hash) else {
                break;
            };
            let nodes = core::mem::take(&mut self.tiles[level]);
            let tile = Tile::full(
                level as u8,
                shift(self.size, HEIGHT as u32 * (level as u32 + 1)),
            );
            completed.extend(tile.map(|tile| CompletedTile { tile, nodes }));
            (hash, level) = (root, level + 1);
        }
        self.size += 1;
        completed
    }

    /// The tile at the edge on this level, which is not full.
    pub fn tile(&self, level: u8) -> Option<&TileNodes> {
        self.tiles.get(usize::from(level))
    }

    /// The hash of a node, if it is in a tile of the edge.
    pub fn node(&self, node: NodeId) -> Option<Hash> {
        let (level, tile, height, index) = Tile::of_node(node);
        let at_edge = shift(self.size, HEIGHT as u32 * (u32::from(level) + 1));
        (tile == at_edge).then(|| self.tile(level)?.node(height, index))?
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        // The perfect subtrees that a size falls into are all at the edge: had one been in a full tile, its root would
        // have gone to the level above, and that one would be the larger subtree.
        let node = |node| self.node(node).ok_or(());
        proof::root(self.size, node).unwrap_or_else(|()| Hash::from([0; 32]))
    }

    /// The proof that leaf `index` is in this tree, as far as it can be built from the edge and the tiles given, which
    /// are those that were completed since the leaf was added.
    ///
    /// # Errors
    /// [`Error::Range`] if there is no such leaf; [`Error::Tile`] if a full tile is needed that is not given.
    pub fn inclusion_proof(
        &self,
        index: u64,
        completed: &[CompletedTile],
    ) -> Result<Vec<Hash>, Error> {
        proof::inclusion_proof(index, self.size, |node| {
            let (level, tile, height, index) = Tile::of_node(node);
            self.node(node)
                .or_else(|| {
                    let of_tile = |full: &&CompletedTile| {
                        full.tile.level() == level && full.tile.index() == tile
                    };
                    completed.iter().find(of_tile)?.nodes.node(height, index)
                })
                .ok_or_else(|| Error::Tile(format!("tile {tile} of level {level} is not here")))
        })
    }
}
