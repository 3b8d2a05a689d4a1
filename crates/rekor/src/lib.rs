//! A client of transparency logs: Rekor v1, Rekor v2, tiles, and certificate transparency logs.
//!
//! Invariant: what a log says comes out of here proven, or as an error that names the host. An [`Entry`] is in the tree
//! of a checkpoint that a key of the caller's signed, and is the entry that was asked for; the log's word alone is
//! never enough. What cannot be proven (what a search finds) says so where it is given.
//!
//! Which keys are believed is the caller's affair: [`v1::Client`] takes some, [`v2::Client`] and [`tiles::Reader`] one.

pub mod ct;
mod entry;
mod error;
mod http;
mod memory;
pub mod monitor;
mod proof;
pub mod proposal;
pub mod search;
pub mod tiles;
pub mod v1;
pub mod v2;
mod version;

pub use entry::{Entry, EntryId, SignedCheckpoint, Uploaded};
pub use error::Error;
pub use http::{DEFAULT_RETRIES, DEFAULT_TIMEOUT, Http, Options, RequestCallback, RequestLog};
pub use memory::{Compared, Memory};
pub use proof::LogKey;
pub use version::version_of;
