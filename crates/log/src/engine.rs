//! The parts of a running log, and who owns what.
//!
//! Three threads work for it. The [`sequencer`] alone decides what is in the log: it takes what waits, commits it to
//! the journal, and only then changes the trees. The [`writer`] derives files from what is committed: tiles, bundles,
//! snapshots; the [`indexer`] writes the search index. Both may lag and fail without harm. Readers see the trees through their locks.

pub(crate) mod change;
pub(crate) mod draft;
pub(crate) mod indexer;
pub(crate) mod load;
pub(crate) mod queue;
pub(crate) mod read;
pub(crate) mod sequencer;
pub(crate) mod tree;
pub(crate) mod writer;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::statistics::Counter;
use crate::storage::Storage;
use crate::{Clock, Error, Limits};
use queue::{Bell, Queue};
use tree::Tree;

/// What the threads and the readers of a log share.
pub(crate) struct Engine {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    /// Only ever grows; the position of a tree is its number in the journal.
    pub(crate) trees: RwLock<Vec<Arc<Tree>>>,
    pub(crate) queue: Queue,
    /// Rung by the sequencer when the writer may have something to do.
    pub(crate) bell: Bell,
    /// The same for the indexer.
    pub(crate) index_bell: Bell,
    /// Held while a record's changes are made to the trees, and while a snapshot of them is taken.
    pub(crate) position: Mutex<Position>,
    /// Why nothing is taken any more. Set once.
    pub(crate) stopped: OnceLock<Error>,
    /// What the writer could not do the last time it tried.
    pub(crate) trouble: Mutex<Option<Error>>,
    /// What the indexer could not do the last time it tried.
    pub(crate) index_trouble: Mutex<Option<Error>>,
    /// Records that were committed, and the microseconds that it took.
    pub(crate) commits: Counter,
    pub(crate) commit_micros: Counter,
}

/// A lock, also after a panic of who had it: what it guards is a plain value that is replaced as a whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the journal is in the trees.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// The number of the last record that is in the trees.
    pub(crate) record: u64,
    /// Bytes of records after the last snapshot.
    pub(crate) since_snapshot: usize,
}

impl Engine {
    /// Stops the log for good; the first reason stays.
    pub(crate) fn stop(&self, cause: Error) {
        tracing::error!(%cause, "the log has stopped");
        let _ = self.stopped.set(Error::Stopped {
            cause: Arc::new(cause),
        });
    }

    pub(crate) fn all_trees(&self) -> Vec<Arc<Tree>> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        trees.clone()
    }

    pub(crate) fn tree(&self, name: &str) -> Result<(usize, Arc<Tree>), Error> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        let found = trees.iter().enumerate().find(|(_, tree)| tree.name == name);
        found
            .map(|(number, tree)| (number, tree.clone()))
            .ok_or_else(|| Error::UnknownTree(name.to_owned()))
    }

    pub(crate) fn position(&self) -> MutexGuard<'_, Position> {
        lock(&self.position)
    }
}
