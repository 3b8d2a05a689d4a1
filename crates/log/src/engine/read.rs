//! Reading a tree: what is not in memory is in the storage, and the other way round.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use sealmark_tlog::merkle::{self, NodeId, RightEdge, TileNodes, leaf_hash};
use sealmark_tlog::tile::{Bundle, WIDTH, bundle as format};
use sealmark_tlog::{Hash, Tile};

use super::tree::{Tree, postings, read_object, read_tile};
use super::writer::encode_bundle;
use crate::Error;
use crate::entry::{Entry, StoredEntry, decode_sides, identity_key};
use crate::index::{Posting, key_fingerprint, leaf_fingerprint};
use crate::storage::Storage;

/// The nodes of a tree, with the tiles that were read for them. For one proof: it never forgets.
pub(crate) struct Nodes<'a> {
    storage: &'a dyn Storage,
    tree: &'a Tree,
    edge: Arc<RightEdge>,
    read: HashMap<(u8, u64), Arc<TileNodes>>,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, tree: &'a Tree) -> Self {
        let edge = tree.state().edge.clone();
        Self {
            storage,
            tree,
            edge,
            read: HashMap::new(),
        }
    }

    pub(crate) fn node(&mut self, node: NodeId) -> Result<Hash, Error> {
        if let Some(hash) = self.edge.node(node) {
            return Ok(hash);
        }
        let (level, tile, height, index) = Tile::of_node(node);
        let missing = || Error::damaged(&self.tree.name, format!("there is no {node:?}"));
        if !self.read.contains_key(&(level, tile)) {
            let full = Tile::full(level, tile).ok_or_else(missing)?;
            let nodes = full_tile(self.storage, self.tree, full)?;
            self.read.insert((level, tile), nodes);
        }
        let nodes = &self.read[&(level, tile)];
        nodes.node(height, index).ok_or_else(missing)
    }
}

fn full_tile(storage: &dyn Storage, tree: &Tree, tile: Tile) -> Result<Arc<TileNodes>, Error> {
    let position = (tile.level(), tile.index());
    if let Some(nodes) = tree.state().full.get(&position) {
        return Ok(nodes.clone());
    }
    read_tile(storage, &tree.name, tile).map(Arc::new)
}

pub(crate) fn root_at(storage: &dyn Storage, tree: &Tree, size: u64) -> Result<Hash, Error> {
    let mut nodes = Nodes::new(storage, tree);
    merkle::root(size, |node| nodes.node(node))
}

/// The hash of a leaf that is in the tree.
pub(crate) fn leaf(storage: &dyn Storage, tree: &Tree, index: u64) -> Result<Hash, Error> {
    {
        let state = tree.state();
        if let Some(at) = index.checked_sub(state.written) {
            let record = state.tail.get(at as usize);
            return record.map(|record| record.leaf_hash).ok_or_else(|| {
                Error::damaged(
                    &tree.name,
                    format!("its index has entry {index}, the tree not"),
                )
            });
        }
    }
    let hashes = leaves(storage, tree, index / WIDTH as u64)?;
    Ok(hashes[(index % WIDTH as u64) as usize])
}

/// The 256 leaves of a bundle that is full.
fn leaves(storage: &dyn Storage, tree: &Tree, bundle: u64) -> Result<Vec<Hash>, Error> {
    let tile = Tile::full(0, bundle)
        .ok_or_else(|| Error::damaged(&tree.name, format!("bundle {bundle} cannot be")))?;
    if let Some(nodes) = tree.state().full.get(&(0, bundle)) {
        return Ok(nodes.hashes().to_vec());
    }
    let name = tree.tile_name(tile);
    let bytes = read_object(storage, &name)?;
    tile.decode(&bytes)
        .map_err(|error| Error::damaged(storage.place(&name), error))
}

/// The bytes of a tile's file; `None` if the tree has not all its hashes.
pub(crate) fn tile(
    storage: &dyn Storage,
    tree: &Tree,
    tile: Tile,
) -> Result<Option<Vec<u8>>, Error> {
    let edge = tree.state().edge.clone();
    if !tile.is_in(edge.size()) {
        return Ok(None);
    }
    if tile.index() == Tile::full_tiles(tile.level(), edge.size()) {
        let hashes = edge.tile(tile.level()).map_or(&[][..], TileNodes::hashes);
        return Ok(Some(Tile::encode(&hashes[..tile.width()])));
    }
    let full = Tile::full(tile.level(), tile.index());
    let full = full.ok_or_else(|| Error::damaged(&tree.name, format!("{tile} cannot be")))?;
    let nodes = full_tile(storage, tree, full)?;
    Ok(Some(Tile::encode(&nodes.hashes()[..tile.width()])))
}

/// The bytes of a bundle's file; `None` if the tree has not all its entries.
pub(crate) fn bundle(
    storage: &dyn Storage,
    tree: &Tree,
    bundle: Bundle,
) -> Result<Option<Vec<u8>>, Error> {
    let start = bundle.index() * WIDTH as u64;
    {
        let state = tree.state();
        if !bundle.is_in(state.size()) {
            return Ok(None);
        }
        if let Some(at) = start.checked_sub(state.written) {
            let at = at as usize;
            let records: Vec<_> = state.tail.range(at..at + bundle.width()).cloned().collect();
            drop(state);
            return encode_bundle(tree, &records).map(Some);
        }
    }
    let Some(full) = Bundle::new(bundle.index(), WIDTH) else {
        return Ok(None);
    };
    let name = tree.bundle_name(full);
    let bytes = read_object(storage, &name)?;
    if bundle == full {
        return Ok(Some(bytes));
    }
    let damaged = |error| Error::damaged(storage.place(&name), error);
    let entries = full.decode(&bytes, tree.prefix).map_err(damaged)?;
    let mut part = Vec::new();
    for entry in &entries[..bundle.width()] {
        format::encode(&mut part, entry, tree.prefix)?;
    }
    Ok(Some(part))
}

/// The entries of a range that lies in one bundle, checked against the tree's leaves.
pub(crate) fn entries(
    storage: &dyn Storage,
    tree: &Tree,
    start: u64,
    count: usize,
) -> Result<Vec<StoredEntry>, Error> {
    {
        let state = tree.state();
        if let Some(at) = start.checked_sub(state.written) {
            let at = (at as usize).min(state.tail.len());
            let end = at.saturating_add(count).min(state.tail.len());
            let records = (start..).zip(state.tail.range(at..end));
            let entries = records.map(|(index, record)| StoredEntry {
                index,
                integrated_ms: record.time,
                entry: record.entry.clone(),
            });
            return Ok(entries.collect());
        }
    }
    let missing = || Error::damaged(&tree.name, format!("entry {start} cannot be"));
    let full = Bundle::new(start / WIDTH as u64, WIDTH).ok_or_else(missing)?;
    let name = tree.bundle_name(full);
    let bytes = read_object(storage, &name)?;
    let leaves = full
        .decode(&bytes, tree.prefix)
        .map_err(|error| Error::damaged(storage.place(&name), error))?;
    let first = (start % WIDTH as u64) as usize;
    let end = first.saturating_add(count).min(WIDTH);
    let sides = sides(storage, tree, full, first..end)?;
    let hashes = self::leaves(storage, tree, full.index())?;
    let mut entries = Vec::with_capacity(end - first);
    for (at, (integrated_ms, keys, extra)) in (first..end).zip(sides) {
        let index = full.index() * WIDTH as u64 + at as u64;
        if leaf_hash(leaves[at]) != hashes[at] {
            let reason = format!("entry {index} is not the one that was logged");
            return Err(Error::damaged(storage.place(&name), reason));
        }
        let leaf = leaves[at].to_vec();
        entries.push(StoredEntry {
            index,
            integrated_ms,
            entry: Entry { leaf, keys, extra },
        });
    }
    Ok(entries)
}

/// What the index has of the entries from `start` on, and where they end: those of one bundle, or all in memory.
pub(crate) fn postings_from(
    storage: &dyn Storage,
    tree: &Tree,
    start: u64,
) -> Result<(Vec<Posting>, u64), Error> {
    {
        let state = tree.state();
        if let Some(at) = start.checked_sub(state.written) {
            let records = state.tail.range((at as usize).min(state.tail.len())..);
            let found = (start..).zip(records);
            let found = found
                .flat_map(|(index, record)| postings(index, &record.leaf_hash, &record.entry.keys));
            return Ok((found.collect(), state.size()));
        }
    }
    let bundle = start / WIDTH as u64;
    let cannot_be = || Error::damaged(&tree.name, format!("entry {start} cannot be"));
    let full = Bundle::new(bundle, WIDTH).ok_or_else(cannot_be)?;
    let sides = sides(storage, tree, full, 0..WIDTH)?;
    let hashes = leaves(storage, tree, bundle)?;
    let first = bundle * WIDTH as u64;
    let entries = (first..).zip(hashes.iter().zip(&sides));
    let found = entries
        .filter(|(index, _)| *index >= start)
        .flat_map(|(index, (hash, (_, keys, _)))| postings(index, hash, keys));
    Ok((found.collect(), first + WIDTH as u64))
}

type Sides = Vec<(u64, Vec<String>, Vec<u8>)>;

fn sides(
    storage: &dyn Storage,
    tree: &Tree,
    full: Bundle,
    wanted: Range<usize>,
) -> Result<Sides, Error> {
    let name = tree.side_name(full);
    let bytes = read_object(storage, &name)?;
    decode_sides(&bytes, WIDTH, wanted)
        .ok_or_else(|| Error::damaged(storage.place(&name), "it is not what was written"))
}

/// The entry that the tree has already for what tells entries apart: the hash of the leaf, or, if leaves say where they
/// are, the key that stands for it.
pub(crate) fn duplicate(
    storage: &dyn Storage,
    tree: &Tree,
    identity: &Hash,
    late: bool,
    candidates: impl FnOnce(u64) -> Result<Vec<u64>, Error>,
) -> Result<Option<u64>, Error> {
    if late {
        let key = identity_key(identity);
        let candidates = candidates(key_fingerprint(&key))?;
        return Ok(with_key(storage, tree, &key, candidates)?.first().copied());
    }
    for index in candidates(leaf_fingerprint(identity))? {
        if leaf(storage, tree, index)? == *identity {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Which of these entries, in their order, have this key.
pub(crate) fn with_key(
    storage: &dyn Storage,
    tree: &Tree,
    key: &str,
    candidates: Vec<u64>,
) -> Result<Vec<u64>, Error> {
    let mut read: Option<(u64, Sides)> = None;
    let mut found = Vec::with_capacity(candidates.len());
    for index in candidates {
        {
            let state = tree.state();
            if let Some(at) = index.checked_sub(state.written) {
                let record = state.tail.get(at as usize);
                if record.is_some_and(|record| record.entry.keys.iter().any(|k| k == key)) {
                    found.push(index);
                }
                continue;
            }
        }
        let bundle = index / WIDTH as u64;
        if read.as_ref().is_none_or(|(of, _)| *of != bundle) {
            let full = Bundle::new(bundle, WIDTH)
                .ok_or_else(|| Error::damaged(&tree.name, format!("entry {index} cannot be")))?;
            read = Some((bundle, sides(storage, tree, full, 0..WIDTH)?));
        }
        let (_, sides) = read.as_ref().expect("it was just read");
        let (_, keys, _) = &sides[(index % WIDTH as u64) as usize];
        if keys.iter().any(|k| k == key) {
            found.push(index);
        }
    }
    Ok(found)
}
