//! One tree of a log, in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sealmark_tlog::merkle::{CompletedTile, RightEdge, TileNodes};
use sealmark_tlog::tile::{Bundle, LengthPrefix, bundle};
use sealmark_tlog::{Checkpoint, Hash, Tile};
use tokio::sync::watch;

use crate::entry::Record;
use crate::index::{Index, Posting, key_fingerprint, leaf_fingerprint};
use crate::statistics::Counter;
use crate::storage::Storage;
use crate::{CheckpointSigner, Error};

/// The longest name of a tree.
const MAX_NAME: usize = 64;

/// A checkpoint with its signed form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
}

/// A tree. Its state is changed by the sequencer (new leaves) and by the writer (what has gone into files), each in
/// short writes.
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) prefix: LengthPrefix,
    pub(crate) signer: Option<Arc<dyn CheckpointSigner>>,
    pub(crate) index: Index,
    /// The size, for those who wait for it to grow.
    pub(crate) size: watch::Sender<u64>,
    /// New entries, and those that were there already, since the log was opened.
    pub(crate) appended: Counter,
    pub(crate) duplicates: Counter,
    state: RwLock<State>,
}

/// Invariant: all leaves up to the checkpoint's size are durable; the edge is that of the checkpoint's tree; bundles
/// and tiles are in the storage as far as they are full at `written`, and everything after is here.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) checkpoint: Arc<SignedCheckpoint>,
    pub(crate) edge: Arc<RightEdge>,
    pub(crate) frozen: bool,
    /// The time of the newest entry.
    pub(crate) last_time: u64,
    /// Entries before this one, a multiple of 256, are in bundles.
    pub(crate) written: u64,
    /// The entries from `written` on.
    pub(crate) tail: VecDeque<Arc<Record>>,
    /// Full tiles that are not in the storage yet, by level and index.
    pub(crate) full: HashMap<(u8, u64), Arc<TileNodes>>,
}

impl State {
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Adds leaves that are durable, with the tree that has them.
    pub(crate) fn extend(
        &mut self,
        records: Vec<Arc<Record>>,
        edge: Arc<RightEdge>,
        completed: &[CompletedTile],
        checkpoint: Arc<SignedCheckpoint>,
    ) {
        self.last_time = records.last().map_or(self.last_time, |last| last.time);
        self.tail.extend(records);
        for full in completed {
            let position = (full.tile.level(), full.tile.index());
            self.full.insert(position, Arc::new(full.nodes.clone()));
        }
        self.edge = edge;
        self.checkpoint = checkpoint;
    }
}

impl Tree {
    pub(crate) fn new(
        name: String,
        origin: String,
        prefix: LengthPrefix,
        signer: Option<Arc<dyn CheckpointSigner>>,
        index: Index,
        state: State,
    ) -> Self {
        Self {
            name,
            origin,
            prefix,
            signer,
            index,
            size: watch::Sender::new(state.size()),
            appended: Counter::default(),
            duplicates: Counter::default(),
            state: RwLock::new(state),
        }
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The longest leaf, given what a tree of long leaves may take.
    pub(crate) fn max_leaf(&self, long: usize) -> usize {
        match self.prefix {
            LengthPrefix::Two => bundle::MAX_ENTRY,
            LengthPrefix::Four => long,
        }
    }

    pub(crate) fn checkpoint_name(&self) -> String {
        format!("public/{}/checkpoint", self.name)
    }

    pub(crate) fn tile_name(&self, tile: Tile) -> String {
        tile_name(&self.name, tile)
    }

    pub(crate) fn bundle_name(&self, bundle: Bundle) -> String {
        bundle_name(&self.name, self.prefix, bundle)
    }

    pub(crate) fn side_name(&self, bundle: Bundle) -> String {
        side_name(&self.name, bundle)
    }
}

pub(crate) fn tile_name(tree: &str, tile: Tile) -> String {
    format!("public/{tree}/{tile}")
}

/// Bundles in the public format are public; those with long entries are nobody else's format.
pub(crate) fn bundle_name(tree: &str, prefix: LengthPrefix, bundle: Bundle) -> String {
    match prefix {
        LengthPrefix::Two => format!("public/{tree}/{bundle}"),
        LengthPrefix::Four => format!("private/{tree}/{bundle}"),
    }
}

pub(crate) fn side_name(tree: &str, bundle: Bundle) -> String {
    let path = bundle.to_string();
    let position = path.trim_start_matches("tile/entries/");
    format!("private/{tree}/side/{position}")
}

/// Refuses a name that could not be a folder, or could be another one.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let good = !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.');
    if good && name.bytes().all(allowed) {
        return Ok(());
    }
    let name: String = name.chars().take(MAX_NAME).collect();
    Err(Error::Refused(format!(
        "{name:?} cannot be the name of a tree: use 1 to {MAX_NAME} of a-z, 0-9, -, _ and ., not starting with a dot"
    )))
}

/// What the index has of an entry.
pub(crate) fn postings<'a>(
    index: u64,
    leaf_hash: &Hash,
    keys: &'a [String],
) -> impl Iterator<Item = Posting> + use<'a> {
    let leaf = leaf_fingerprint(leaf_hash);
    let keys = keys.iter().map(|key| key_fingerprint(key));
    std::iter::once(leaf)
        .chain(keys)
        .map(move |fingerprint| (fingerprint, index))
}

/// A full tile from the storage.
pub(crate) fn read_tile(storage: &dyn Storage, tree: &str, tile: Tile) -> Result<TileNodes, Error> {
    let name = tile_name(tree, tile);
    let bytes = read_object(storage, &name)?;
    let hashes = tile
        .decode(&bytes)
        .map_err(|error| Error::damaged(storage.place(&name), error))?;
    Ok(TileNodes::from_hashes(&hashes).0)
}

/// An object that must be there.
pub(crate) fn read_object(storage: &dyn Storage, name: &str) -> Result<Vec<u8>, Error> {
    storage
        .get(name)?
        .ok_or_else(|| Error::damaged(storage.place(name), "it is missing"))
}
