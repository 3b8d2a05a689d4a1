//! Where a log is kept: a journal that decides, and objects that follow from it.
//!
//! The journal is the truth: what it has committed is in the log, and its order is the log's order. A journal record
//! has the new entries *and* the new checkpoints, so sequencing and integration are one transaction: on a disk one
//! write and one fsync, in a database one row. Objects (tiles, bundles) are derived from it, so writing them is
//! idempotent, and whoever does it twice does no harm. Once they are durable, a snapshot says so, and the journal may
//! forget what is before it.
//!
//! Every implementation passes the suite in [`contract`].

pub mod contract;
mod directory;
mod disk;
mod fault;
mod memory;
#[cfg(test)]
mod simulated;
mod wal;

use std::sync::Arc;

pub use directory::{Directory, backup};
pub use fault::{Fault, Faulty, Operation};
pub use memory::Memory;

use crate::Error;

/// Journal and objects of one log. One process at a time commits; whoever opens the log sees to that.
///
/// All calls block; none is made on an async thread.
pub trait Storage: Send + Sync + 'static {
    /// Adds record `number` to the journal, durably. Numbers start at 1 and have no gaps, so a number that is taken
    /// means that somebody else writes too: this is the compare-and-swap that rules out a fork.
    ///
    /// # Errors
    /// [`CommitError::NotWritten`] only if the record is certainly not there, and will not appear;
    /// [`CommitError::Unknown`] in every other case. After that, the storage commits nothing any more.
    fn commit(&self, number: u64, record: &[u8]) -> Result<(), CommitError>;

    /// Gives all records from number `from` on, in their order.
    ///
    /// # Errors
    /// [`Error::Damaged`] if record `from`, or one after it that was committed, is not there or not whole; what `each`
    /// gives.
    fn replay(&self, from: u64, each: &mut EachRecord<'_>) -> Result<(), Error>;

    /// Allows the journal to forget the records before number `before`. It may keep them.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn forget(&self, before: u64) -> Result<(), Error>;

    /// Writes objects that never change; when it returns, all are durable. An object that is there already with the
    /// same bytes is left as it is.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one is there with other bytes; [`Error::Io`], and then any of them may be there or not,
    /// but none in part.
    fn put(&self, objects: &[Object]) -> Result<(), Error>;

    /// Writes an object that is replaced as a whole: durable when it returns, and at any moment either the old or the
    /// new one.
    ///
    /// # Errors
    /// [`Error::Io`]; then it is the old or the new one.
    fn replace(&self, object: &Object) -> Result<(), Error>;

    /// The bytes of an object; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// How a message names an object: its path, for a directory.
    fn place(&self, name: &str) -> String;
}

/// What is called for each record with its number, until it fails.
pub type EachRecord<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Error> + 'a;

/// A named piece of bytes. Names are paths with `/`, of the characters `a-z 0-9 . - _`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// The name.
    pub name: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Why a record was not committed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// It is certainly not in the journal; the next record may be tried.
    #[error(transparent)]
    NotWritten(Error),
    /// It may be in the journal or not, now or after a restart.
    #[error(transparent)]
    Unknown(Error),
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn commit(&self, number: u64, record: &[u8]) -> Result<(), CommitError> {
        (**self).commit(number, record)
    }

    fn replay(&self, from: u64, each: &mut EachRecord<'_>) -> Result<(), Error> {
        (**self).replay(from, each)
    }

    fn forget(&self, before: u64) -> Result<(), Error> {
        (**self).forget(before)
    }

    fn put(&self, objects: &[Object]) -> Result<(), Error> {
        (**self).put(objects)
    }

    fn replace(&self, object: &Object) -> Result<(), Error> {
        (**self).replace(object)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        (**self).get(name)
    }

    fn place(&self, name: &str) -> String {
        (**self).place(name)
    }
}
