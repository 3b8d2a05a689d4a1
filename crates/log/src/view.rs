//! A tree, as its readers see it.

use std::sync::Arc;

use sealmark_tlog::merkle::{self, verify_consistency, verify_inclusion};
use sealmark_tlog::tile::{Bundle, LengthPrefix, WIDTH};
use sealmark_tlog::{Hash, Tile};

use crate::engine::Engine;
use crate::engine::read::{self, Nodes};
use crate::engine::tree::{SignedCheckpoint, Tree};
use crate::index::{key_fingerprint, leaf_fingerprint};
use crate::{Error, StoredEntry};

/// Entries that a search gives at once, at most.
pub const MAX_PAGE: usize = 10_000;

/// A tree of a log. All of it may read files, and so block for as long as the disk needs; nothing waits for a commit.
#[derive(Clone)]
pub struct TreeView {
    engine: Arc<Engine>,
    tree: Arc<Tree>,
}

/// Some of the entries that have a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// Their indices, ascending.
    pub entries: Vec<u64>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<u64>,
    /// The answer is complete for the entries before this index.
    pub through: u64,
}

impl TreeView {
    pub(crate) fn new(engine: Arc<Engine>, tree: Arc<Tree>) -> Self {
        Self { engine, tree }
    }

    /// The tree's name.
    pub fn name(&self) -> &str {
        &self.tree.name
    }

    /// The origin line of its checkpoints.
    pub fn origin(&self) -> &str {
        &self.tree.origin
    }

    /// How its bundles are written; those with [`LengthPrefix::Four`] are not public.
    pub fn length_prefix(&self) -> LengthPrefix {
        self.tree.prefix
    }

    /// The newest checkpoint. It is durable.
    pub fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        self.tree.state().checkpoint.clone()
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.tree.state().size()
    }

    /// Waits until it has this many entries, and gives how many it has then. A tree that does not grow to that size is
    /// waited for until the future is dropped.
    pub async fn wait_for_size(&self, size: u64) -> u64 {
        let mut current = self.tree.size.subscribe();
        let reached = current.wait_for(|current| *current >= size).await;
        // The tree has the sender, and is held by this view.
        reached.map_or_else(|_| self.size(), |reached| *reached)
    }

    /// Whether it takes no entries any more.
    pub fn is_frozen(&self) -> bool {
        self.tree.state().frozen
    }

    /// An entry, checked against the tree; `None` if there is none with this index.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored is not what was logged; [`Error::Io`].
    pub fn entry(&self, index: u64) -> Result<Option<StoredEntry>, Error> {
        Ok(self.entries(index, 1)?.pop())
    }

    /// Entries from `start` on, at most `count`: as many as one bundle has, so possibly fewer; none at the end.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn entries(&self, start: u64, count: usize) -> Result<Vec<StoredEntry>, Error> {
        if start >= self.size() {
            return Ok(Vec::new());
        }
        read::entries(&*self.engine.storage, &self.tree, start, count.min(WIDTH))
    }

    /// The index of the leaf with this hash, if the tree has it.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn find(&self, leaf: &Hash) -> Result<Option<u64>, Error> {
        let candidates = self
            .tree
            .index
            .find(leaf_fingerprint(leaf), 0, usize::MAX)?;
        for index in candidates {
            if read::leaf(&*self.engine.storage, &self.tree, index)? == *leaf {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The entries that have this key, from entry `from` on, at most `limit` (and at most [`MAX_PAGE`]).
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn search(&self, key: &str, from: u64, limit: usize) -> Result<Page, Error> {
        let through = self.tree.index.through();
        let limit = limit.clamp(1, MAX_PAGE);
        let mut page = Page {
            entries: Vec::new(),
            next: Some(from),
            through,
        };
        // Candidates that are none, because another key has the same fingerprint, hardly exist.
        while let Some(from) = page.next {
            let missing = limit - page.entries.len();
            if missing == 0 {
                break;
            }
            let fingerprint = key_fingerprint(key);
            let mut candidates = self.tree.index.find(fingerprint, from, missing + 1)?;
            candidates.retain(|index| *index < through);
            page.next = (candidates.len() > missing)
                .then(|| candidates.pop())
                .flatten();
            let storage = &*self.engine.storage;
            page.entries
                .extend(read::with_key(storage, &self.tree, key, candidates)?);
        }
        Ok(page)
    }

    /// The bytes of a tile; `None` if the tree has not all its hashes. Also of partial tiles of any size it ever had.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Error> {
        read::tile(&*self.engine.storage, &self.tree, tile)
    }

    /// The bytes of an entry bundle; `None` if the tree has not all its entries. Also of partial ones.
    ///
    /// # Errors
    /// As [`tile`](Self::tile).
    pub fn bundle(&self, bundle: Bundle) -> Result<Option<Vec<u8>>, Error> {
        read::bundle(&*self.engine.storage, &self.tree, bundle)
    }

    /// The root of the tree when it had `size` leaves.
    ///
    /// # Errors
    /// [`Error::Tree`] if it never had so many; as [`tile`](Self::tile).
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        self.has(size)?;
        read::root_at(&*self.engine.storage, &self.tree, size)
    }

    /// The proof that leaf `index` is in the tree with `size` leaves. It was checked.
    ///
    /// # Errors
    /// [`Error::Tree`] unless `index < size`, and `size` at most [`size`](Self::size); as [`tile`](Self::tile).
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        self.has(size)?;
        let mut nodes = Nodes::new(&*self.engine.storage, &self.tree);
        let proof = merkle::inclusion_proof(index, size, |node| nodes.node(node))?;
        let root = merkle::root(size, |node| nodes.node(node))?;
        let leaf = read::leaf(&*self.engine.storage, &self.tree, index)?;
        verify_inclusion(index, size, &leaf, &proof, &root)
            .map_err(|error| self.damaged(&error))?;
        Ok(proof)
    }

    /// The proof that the tree with `size1` leaves is the beginning of the one with `size2`. It was checked.
    ///
    /// # Errors
    /// [`Error::Tree`] unless `0 < size1 <= size2`, and `size2` at most [`size`](Self::size); as [`tile`](Self::tile).
    pub fn consistency_proof(&self, size1: u64, size2: u64) -> Result<Vec<Hash>, Error> {
        self.has(size2)?;
        let mut nodes = Nodes::new(&*self.engine.storage, &self.tree);
        let proof = merkle::consistency_proof(size1, size2, |node| nodes.node(node))?;
        let root1 = merkle::root(size1, |node| nodes.node(node))?;
        let root2 = merkle::root(size2, |node| nodes.node(node))?;
        verify_consistency(size1, size2, &root1, &root2, &proof)
            .map_err(|error| self.damaged(&error))?;
        Ok(proof)
    }

    fn has(&self, size: u64) -> Result<(), Error> {
        let current = self.size();
        if size <= current {
            return Ok(());
        }
        Err(Error::Tree(sealmark_tlog::Error::Range {
            proof: "requested",
            reason: format!("the tree has {current} leaves, not {size}"),
        }))
    }

    fn damaged(&self, error: &sealmark_tlog::Error) -> Error {
        let place = self
            .engine
            .storage
            .place(&format!("public/{}/tile", self.tree.name));
        Error::damaged(place, error)
    }
}
