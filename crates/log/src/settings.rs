//! What an operator may set, with what it is if nobody does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{CheckpointSigner, Clock, SystemClock};

/// What a log is opened with.
#[derive(Clone)]
pub struct Settings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who signs the checkpoints of each tree, by the tree's name. A tree without one can only be read.
    pub signers: HashMap<String, Arc<dyn CheckpointSigner>>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            signers: HashMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// The defaults, with a signer for one tree.
    pub fn with_signer(tree: &str, signer: impl CheckpointSigner) -> Self {
        let mut settings = Self::default();
        settings.signers.insert(tree.to_owned(), Arc::new(signer));
        settings
    }
}

/// How much of what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The longest leaf of a tree that takes leaves over 65,535 bytes. Up to 255 of them are in memory.
    pub max_leaf: usize,
    /// Entries that wait to be sequenced. More are refused as overload: at 10,000 a second this is most of a second.
    pub max_waiting: usize,
    /// Bytes that wait to be sequenced.
    pub max_waiting_bytes: usize,
    /// Bytes of entries that are durable in the journal, and not in a bundle yet. More are refused as overload.
    pub max_unwritten_bytes: usize,
    /// Entries in one batch. A batch is one write and one fsync, and its entries wait for each other.
    pub max_batch: usize,
    /// Bytes in one batch.
    pub max_batch_bytes: usize,
    /// Bytes in the journal before a snapshot is made, after which it may forget. A start reads about so many.
    pub snapshot_bytes: usize,
    /// Postings of the search index in memory, 24 bytes each; an entry has one, and one for each of its keys.
    pub index_in_memory: usize,
    /// How often the file `checkpoint` is written at most. Who asks the log itself always gets the newest.
    pub publish_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_leaf: 1 << 20,
            max_waiting: 8192,
            max_waiting_bytes: 64 << 20,
            max_unwritten_bytes: 256 << 20,
            max_batch: 4096,
            max_batch_bytes: 8 << 20,
            snapshot_bytes: 16 << 20,
            index_in_memory: 1 << 18,
            publish_interval: Duration::from_secs(1),
        }
    }
}
