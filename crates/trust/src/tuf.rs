//! A client of TUF repositories, as Sigstore's are: <https://theupdateframework.github.io/specification/latest/>.
//!
//! Trust begins with a pinned root and goes from root to root, then to timestamp, snapshot, targets and a target's
//! hash. This way is gone on every use, also offline, where the cache plays the server's part: bytes in the cache are
//! believed no more than bytes from the network, and what has expired has expired.
//!
//! What the roles say and who must have said it is pure (`root`, `timestamp`, `snapshot`, `targets`, `delegation`, one
//! file for each role, on `metadata` and `keys`), as is the `search` through delegations. `update` and `repository` go
//! the way, on `source`, which knows the network and the cache.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::Error;

mod cache;
mod client;
mod delegation;
#[cfg(fuzzing)]
pub mod fuzzing;
mod initialize;
mod keys;
mod metadata;
mod options;
mod remote;
mod repository;
mod root;
mod search;
mod snapshot;
mod source;
mod targets;
mod timestamp;
mod update;

pub use client::Client;
pub use initialize::{Initialized, RootSource, initialize};
pub use options::Options;
pub use repository::Repository;
pub use update::refresh;

/// The public instance's repository.
pub const PUBLIC_MIRROR: &str = "https://tuf-repo-cdn.sigstore.dev";
/// The public staging instance's repository; its root is not embedded.
pub const STAGING_MIRROR: &str = "https://tuf-repo-cdn.sigstage.dev";

/// Version 15 of the public instance's root; see `embedded/README.md`.
const EMBEDDED_ROOT: &[u8] = include_bytes!("../embedded/root.json");

/// Bounds for files that no trusted metadata describes. The public ones have 6 kB, 1 kB, 2 kB and 9 kB.
const MAX_ROOT: u64 = 512 << 10;
const MAX_TIMESTAMP: u64 = 64 << 10;
const MAX_SNAPSHOT: u64 = 2 << 20;
const MAX_TARGETS: u64 = 5 << 20;
/// No target that is used here may be larger, whatever metadata says.
const MAX_TARGET: u64 = 8 << 20;
/// More new roots are not followed in one update: at two a year, this is a century. The next update goes on.
const MAX_ROTATIONS: usize = 256;
