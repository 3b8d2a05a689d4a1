//! The log engine: append-only trees that lose nothing they have acknowledged and never fork.
//!
//! Sequencing, durability, tiles and the search index; no HTTP. A [`Log`] has several trees on one journal, so that one
//! write and one fsync serve all of them. [`Log::append`] is the journey of an entry: hashed and looked up on the
//! caller's thread → queue → the sequencer gives it an index and a time, signs the checkpoint of the tree that has it,
//! and commits both in one record → reply with the proof. Files follow from the journal, behind the reply:
//! [`storage`] says how.

mod clock;
mod codec;
mod engine;
mod entry;
mod error;
mod fsck;
mod index;
mod log;
mod settings;
mod signer;
mod statistics;
pub mod storage;
mod transfer;
mod view;

pub use clock::{Clock, SystemClock};
pub use engine::tree::SignedCheckpoint;
pub use entry::{Entry, LateEntry, MAX_EXTRA, MAX_KEY, MAX_KEYS, StoredEntry};
pub use error::Error;
pub use fsck::{Finding, Report, fsck};
pub use log::{Appended, Integrated, Log, Placed};
pub use settings::{Limits, Settings};
pub use signer::{CheckpointSigner, LocalSigner};
pub use statistics::{Statistics, TreeStatistics};
pub use storage::backup;
pub use transfer::{export, import};
pub use view::{MAX_PAGE, Page, TreeView};

/// The name of the object that has the state of all trees.
const SNAPSHOT: &str = "snapshot";
