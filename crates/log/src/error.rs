//! What can go wrong with a log.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Why the log did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The clock shows less than the log has already promised.
    #[error(
        "the clock stands at {now} ms since 1970, but tree {tree:?} has an entry of {last} ms: set the clock; nothing was written"
    )]
    ClockSetBack {
        /// What the clock shows.
        now: u64,
        /// The time of the newest entry.
        last: u64,
        /// Whose entry.
        tree: String,
    },
    /// The log was closed; the entry is not in it.
    #[error("the log is closed: the entry was not written; send it again when the log is back")]
    Closed,
    /// What is stored contradicts itself, so the log will not go on.
    #[error(
        "the log is damaged: {place}: {reason}. Restore it from a backup; `fsck` lists everything that differs"
    )]
    Damaged {
        /// Which file or record.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tree of this name exists.
    #[error("there is already a tree {0:?}")]
    Exists(String),
    /// The tree takes no more entries.
    #[error("tree {0:?} is frozen: it takes no entries any more, use its successor")]
    Frozen(String),
    /// The system refused.
    #[error("cannot {action} {place}: {cause}")]
    Io {
        /// What was attempted: `read`, `write`, …
        action: &'static str,
        /// On what.
        place: String,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// Another process has the log open.
    #[error("another process has the log in {0} open: stop it first, two would fork the log")]
    Locked(String),
    /// The checkpoint's key is not there, so the tree can only be read.
    #[error("no key for tree {0:?} was given, so it can only be read")]
    NoSigner(String),
    /// The entry breaks a bound; it is not in the log.
    #[error("the entry is refused: {0}")]
    Refused(String),
    /// Too much is waiting already; the entry is not in the log.
    #[error("{waiting} entries are waiting already: the log is overloaded, try again in {} s", retry_after.as_secs())]
    Overloaded {
        /// How many.
        waiting: usize,
        /// When it is worth to try again.
        retry_after: Duration,
    },
    /// Nothing was written, and the log goes on: the disk was full, for example.
    #[error("the entry was not written: {0}")]
    NotWritten(Arc<Self>),
    /// The signer of checkpoints failed; nothing was written.
    #[error("no checkpoint of tree {tree:?} could be signed: {reason}")]
    Signer {
        /// Which tree.
        tree: String,
        /// What the signer said.
        reason: String,
    },
    /// It is not known whether a write is on disk, so the log stopped rather than risk a fork.
    #[error(
        "the log has stopped, because it is not known whether a write reached the disk ({cause}): the entry may be in the log or not. Restart it, which finds out, and send the entry again"
    )]
    Stopped {
        /// What failed.
        cause: Arc<Self>,
    },
    /// A proof or checkpoint cannot be had.
    #[error(transparent)]
    Tree(#[from] sealmark_tlog::Error),
    /// There is no such tree.
    #[error("there is no tree {0:?}")]
    UnknownTree(String),
}

impl Error {
    /// Whether the entry is certainly not in the log, for a reason that is not the entry's and goes by: it may be sent
    /// again.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::ClockSetBack { .. } | Self::Closed | Self::Overloaded { .. }
        )
    }

    pub(crate) fn io(action: &'static str, place: &Path, cause: io::Error) -> Self {
        Self::Io {
            action,
            place: place.display().to_string(),
            cause: Arc::new(cause),
        }
    }

    pub(crate) fn damaged(place: impl ToString, reason: impl ToString) -> Self {
        Self::Damaged {
            place: place.to_string(),
            reason: reason.to_string(),
        }
    }
}
