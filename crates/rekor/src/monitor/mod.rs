//! Follows a log: proves that it only grows, and reports the entries that somebody looks for.
//!
//! Invariant: what is reported was proven to be in the tree of a checkpoint that the log signed and that is consistent
//! with every checkpoint before it; and whatever happens, an entry that is looked for is reported at least once. The
//! state on disk is behind what was reported, never ahead of it.
//!
//! [`Watch`] says what is looked for, [`State`] what is remembered, a [`Reporter`] tells of [`Event`]s, and
//! [`Monitor::pass`] goes once from what is remembered to the newest checkpoint.

mod config;
mod error;
mod event;
mod follow;
mod foreign;
mod reading;
mod sieve;
mod signer;
mod state;
mod watch;

pub use config::{Config, MAX_CONFIG, object_identifier};
pub use error::Error;
pub use event::{Contradiction, Event, Inconsistent, Match, Place, Progress, Unreadable};
pub use follow::{Monitor, Range, Reporter, Start, Summary};
pub use reading::Log;
pub use signer::Signed;
pub use state::{LogState, State};
pub use watch::{Condition, Found, Look, MAX_CONDITIONS, Reason, Watch, fingerprint};
