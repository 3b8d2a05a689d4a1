//! What ends a monitor's pass over a log.

use std::io;
use std::path::{Path, PathBuf};

use super::event::Inconsistent;

/// A failure. Its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log did not answer, or its answer is not proven.
    #[error("{0}")]
    Log(#[from] crate::Error),
    /// The log has contradicted itself.
    #[error("{}", inconsistent(.0))]
    Inconsistent(Box<Inconsistent>),
    /// What is found could not be told.
    #[error("{what} was not reported: {reason}; it will be in the next run")]
    NotTold {
        /// Which entry.
        what: String,
        /// Why.
        reason: String,
    },
    /// A file of the monitor's could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// `read`, `write` or the like.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The state file is none.
    #[error("{} is not the state of a monitor: {reason}; give another file with --state", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process uses the state file.
    #[error("{} is used by another process; one log needs one monitor, or give another file with --state", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// A failed file operation.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::File {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}

fn inconsistent(what: &Inconsistent) -> String {
    let evidence = what.evidence.as_ref();
    let evidence = evidence.map_or_else(String::new, |path| {
        format!("; both checkpoints are kept in {path}: publish them")
    });
    format!(
        "THE LOG {} HAS CONTRADICTED ITSELF: {}{evidence}",
        what.log, what.reason
    )
}
