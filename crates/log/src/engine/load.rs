//! Reading a log back: snapshot, then journal, each step checked against the checkpoint that was signed for it.
//!
//! A log whose files contradict each other is not opened. What is read here is all that the log will build on: the
//! right edge of every tree, the journal after the snapshot, and the checkpoints. Older tiles and bundles are looked at
//! by `fsck`, and by whoever reads them.

use std::collections::HashMap;
use std::sync::Arc;

use sealmark_tlog::merkle::{CompletedTile, RightEdge, TileNodes, leaf_hash};
use sealmark_tlog::tile::{Bundle, LengthPrefix, WIDTH};
use sealmark_tlog::{Checkpoint, Note, Tile};

use super::change::{self, Change, Snapshot, TreeSnapshot};
use super::tree::{
    SignedCheckpoint, State, bundle_name, check_name, read_object, read_tile, side_name,
};
use crate::entry::{Record, decode_sides};
use crate::storage::Storage;
use crate::{CheckpointSigner, Error, SNAPSHOT};

/// A log as it was read.
pub(crate) struct Loaded {
    pub(crate) trees: Vec<LoadedTree>,
    /// The number of the last record of the journal.
    pub(crate) record: u64,
    /// Bytes of the records after the snapshot.
    pub(crate) since_snapshot: usize,
}

/// A tree as it was read.
pub(crate) struct LoadedTree {
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) prefix: LengthPrefix,
    pub(crate) state: State,
}

/// Reads a log.
pub(crate) fn load(storage: &dyn Storage) -> Result<Loaded, Error> {
    let (mut trees, snapshot) = match storage.get(SNAPSHOT)? {
        None => (Vec::new(), 0),
        Some(bytes) => {
            let broken = || Error::damaged(storage.place(SNAPSHOT), "it is not what was written");
            let snapshot = Snapshot::decode(&bytes).ok_or_else(broken)?;
            let trees = snapshot.trees.into_iter();
            let trees = trees.map(|tree| from_snapshot(storage, tree));
            (trees.collect::<Result<_, _>>()?, snapshot.record)
        }
    };
    let (mut record, mut since_snapshot) = (snapshot, 0);
    storage.replay(snapshot + 1, &mut |number, bytes| {
        let damaged = |reason: String| Error::damaged(format!("journal record {number}"), reason);
        let changes = change::decode(bytes)
            .ok_or_else(|| damaged("it is not of a form that this version knows".to_owned()))?;
        for change in changes {
            apply(&mut trees, change).map_err(damaged)?;
        }
        (record, since_snapshot) = (number, since_snapshot + bytes.len());
        Ok(())
    })?;
    for tree in &trees {
        check_tail(storage, tree)?;
    }
    Ok(Loaded {
        trees,
        record,
        since_snapshot,
    })
}

fn parse(note: String) -> Result<SignedCheckpoint, String> {
    let parsed = Note::parse(&note).and_then(|note| Checkpoint::parse(&note.text));
    match parsed {
        Ok(checkpoint) => Ok(SignedCheckpoint { checkpoint, note }),
        Err(error) => Err(error.to_string()),
    }
}

fn from_snapshot(storage: &dyn Storage, tree: TreeSnapshot) -> Result<LoadedTree, Error> {
    let place = storage.place(SNAPSHOT);
    check_name(&tree.name)?;
    let checkpoint = parse(tree.checkpoint).map_err(|reason| Error::damaged(&place, reason))?;
    if !tree.written.is_multiple_of(WIDTH as u64) {
        return Err(Error::damaged(place, "it cuts a bundle"));
    }
    let edge = read_edge(storage, &tree.name, tree.written)?;
    check_last_bundle(storage, &tree.name, tree.prefix, tree.written)?;
    let mut loaded = LoadedTree {
        state: State {
            checkpoint: Arc::new(checkpoint),
            edge: Arc::new(edge),
            frozen: tree.frozen,
            last_time: tree.last_time,
            written: tree.written,
            tail: Default::default(),
            full: HashMap::new(),
        },
        name: tree.name,
        origin: tree.origin,
        prefix: tree.prefix,
    };
    let checkpoint = loaded.state.checkpoint.clone();
    extend(&mut loaded.state, tree.tail, checkpoint).map_err(|reason| {
        let place = storage.place(&format!("public/{}/tile", loaded.name));
        Error::damaged(
            place,
            format!("the last tiles are not those of the snapshot: {reason}"),
        )
    })?;
    loaded.state.last_time = tree.last_time;
    Ok(loaded)
}

/// The right edge of a tree whose bundles are all full: the hashes of the tiles above level 0 that are not full are the
/// roots of the full tiles below them.
fn read_edge(storage: &dyn Storage, tree: &str, size: u64) -> Result<RightEdge, Error> {
    RightEdge::load(size, |partial| {
        let level = partial.level().saturating_sub(1);
        let first = partial.index() * WIDTH as u64;
        let children = first..first + partial.width() as u64;
        let roots = children.map(|child| {
            let cannot_be = || Error::damaged(tree, format!("tile {child} cannot be"));
            let tile = Tile::full(level, child).ok_or_else(cannot_be)?;
            let nodes = read_tile(storage, tree, tile)?;
            let (_, root) = TileNodes::from_hashes(nodes.hashes());
            root.ok_or_else(cannot_be)
        });
        roots.collect()
    })
}

/// The last bundle and what belongs to it are those of the last full tile.
fn check_last_bundle(
    storage: &dyn Storage,
    tree: &str,
    prefix: LengthPrefix,
    written: u64,
) -> Result<(), Error> {
    let Some(last) = (written / WIDTH as u64).checked_sub(1) else {
        return Ok(());
    };
    let (Some(bundle), Some(tile)) = (Bundle::new(last, WIDTH), Tile::full(0, last)) else {
        return Err(Error::damaged(tree, format!("bundle {last} cannot be")));
    };
    let name = bundle_name(tree, prefix, bundle);
    let bytes = read_object(storage, &name)?;
    let damaged = |reason: String| Error::damaged(storage.place(&name), reason);
    let entries = bundle
        .decode(&bytes, prefix)
        .map_err(|error| damaged(error.to_string()))?;
    let hashes = read_tile(storage, tree, tile)?;
    let wrong = entries.iter().zip(hashes.hashes());
    if let Some(at) = wrong
        .into_iter()
        .position(|(leaf, hash)| leaf_hash(leaf) != *hash)
    {
        let index = last * WIDTH as u64 + at as u64;
        return Err(damaged(format!(
            "entry {index} is not the leaf that {tile} has"
        )));
    }
    let name = side_name(tree, bundle);
    let bytes = read_object(storage, &name)?;
    match decode_sides(&bytes, WIDTH, 0..WIDTH) {
        Some(_) => Ok(()),
        None => Err(Error::damaged(
            storage.place(&name),
            "it is not what was written",
        )),
    }
}

fn apply(trees: &mut Vec<LoadedTree>, change: Change) -> Result<(), String> {
    match change {
        Change::Create {
            name,
            origin,
            prefix,
            checkpoint,
        } => {
            check_name(&name).map_err(|error| error.to_string())?;
            trees.push(LoadedTree {
                name,
                origin,
                prefix,
                state: State {
                    checkpoint: Arc::new(parse(checkpoint)?),
                    edge: Arc::new(RightEdge::new()),
                    frozen: false,
                    last_time: 0,
                    written: 0,
                    tail: Default::default(),
                    full: HashMap::new(),
                },
            });
            Ok(())
        }
        Change::Append {
            tree,
            first,
            checkpoint,
            records,
        } => {
            let state = &mut of(trees, tree)?.state;
            if state.size() != first {
                let size = state.size();
                return Err(format!(
                    "its first entry is {first}, but the tree has {size}"
                ));
            }
            extend(state, records, Arc::new(parse(checkpoint)?))
        }
        Change::Freeze { tree, checkpoint } => {
            let state = &mut of(trees, tree)?.state;
            state.frozen = true;
            extend(state, Vec::new(), Arc::new(parse(checkpoint)?))
        }
    }
}

fn of(trees: &mut [LoadedTree], number: u32) -> Result<&mut LoadedTree, String> {
    let tree = trees.get_mut(number as usize);
    tree.ok_or_else(|| format!("there is no tree number {number}"))
}

/// Adds leaves, after which the tree must be the one of the checkpoint.
fn extend(
    state: &mut State,
    records: Vec<Arc<Record>>,
    checkpoint: Arc<SignedCheckpoint>,
) -> Result<(), String> {
    let mut edge = RightEdge::clone(&state.edge);
    let mut completed: Vec<CompletedTile> = Vec::new();
    for record in &records {
        completed.extend(edge.push(record.leaf_hash));
    }
    let expected = &checkpoint.checkpoint;
    let (size, root) = (edge.size(), edge.root());
    if (size, root) != (expected.size, expected.root) {
        return Err(format!(
            "the entries make a tree of {size} leaves with the root {root}, its checkpoint is of {} with {}",
            expected.size, expected.root
        ));
    }
    state.extend(records, Arc::new(edge), &completed, checkpoint);
    Ok(())
}

/// Files that were written before a crash are those that the journal says; there are none it does not know of.
fn check_tail(storage: &dyn Storage, tree: &LoadedTree) -> Result<(), Error> {
    let state = &tree.state;
    for ((level, index), nodes) in &state.full {
        let Some(tile) = Tile::full(*level, *index) else {
            continue;
        };
        let name = super::tree::tile_name(&tree.name, tile);
        if let Some(found) = storage.get(&name)?
            && found != Tile::encode(nodes.hashes())
        {
            let reason = "it is not the tile that the journal has";
            return Err(Error::damaged(storage.place(&name), reason));
        }
    }
    let next = state.size() / WIDTH as u64;
    let tile = Tile::full(0, next).map(|tile| super::tree::tile_name(&tree.name, tile));
    let bundle = Bundle::new(next, WIDTH);
    let bundle = bundle.map(|bundle| bundle_name(&tree.name, tree.prefix, bundle));
    for name in tile.into_iter().chain(bundle) {
        if storage.get(&name)?.is_some() {
            let size = state.size();
            let reason = format!(
                "it has entries that the journal, which ends with {size}, does not have: the journal was cut or is an older copy"
            );
            return Err(Error::damaged(storage.place(&name), reason));
        }
    }
    Ok(())
}

/// The published checkpoint of a tree says nothing that the tree does not have, and the newest one is by its signer.
/// `root_at` gives the tree's root at a size that it has.
pub(crate) fn check_checkpoints(
    storage: &dyn Storage,
    tree: &LoadedTree,
    signer: Option<&dyn CheckpointSigner>,
    root_at: impl FnOnce(u64) -> Result<sealmark_tlog::Hash, Error>,
) -> Result<(), Error> {
    let own = &tree.state.checkpoint;
    if let Some(signer) = signer {
        signer.open(&own.note).map_err(|reason| {
            let reason = format!("its checkpoint is not by the key that was given: {reason}");
            Error::damaged(format!("tree {:?}", tree.name), reason)
        })?;
    }
    let name = format!("public/{}/checkpoint", tree.name);
    let Some(bytes) = storage.get(&name)? else {
        return Ok(());
    };
    let damaged = |reason: String| Error::damaged(storage.place(&name), reason);
    let note = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    let published = parse(note).map_err(damaged)?.checkpoint;
    let size = own.checkpoint.size;
    if published.origin != tree.origin {
        return Err(damaged(format!(
            "it is of the log {:?}, not of {:?}",
            published.origin, tree.origin
        )));
    }
    if published.size > size {
        return Err(damaged(format!(
            "it promises {} entries, but the journal has {size}: the journal was cut or is an older copy",
            published.size
        )));
    }
    let root = root_at(published.size)?;
    if root != published.root {
        return Err(damaged(format!(
            "at {} entries it has the root {}, the tree has {root}",
            published.size, published.root
        )));
    }
    Ok(())
}
