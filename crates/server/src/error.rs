//! What can go wrong when a service is opened or run.

use std::io;
use std::path::PathBuf;

use sealmark_formats::Digest;

/// Why a service could not be opened, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate or the key for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::listen::TlsError),
    /// The operating system refused something.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was attempted: `write`, `create the directory` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error(
        "{} is in use by another process{}: stop that process, or use another directory",
        path.display(),
        holder.as_ref().map(|pid| format!(" ({pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the other process wrote about itself.
        holder: Option<String>,
    },
    /// The directory holds something else than a service's state.
    #[error(
        "{} is not empty and is not {expected}: nothing in it was touched; use an empty or a new directory",
        path.display()
    )]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// The directory was written by a program that lays it out differently.
    #[error(
        "{} has layout {found}, this program knows layout {known}: use the program that wrote it",
        path.display()
    )]
    UnknownLayout {
        /// The file that says so.
        path: PathBuf,
        /// The layout named there.
        found: String,
        /// The layout that this program writes.
        known: u32,
    },
    /// A file of the service's state is not what was written there.
    #[error("{} is damaged: {problem}; restore it from a backup, or delete it and push again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Content does not have the digest that was announced for it.
    #[error(
        "the content has the digest {found}, not {expected}: the transfer was damaged, or the digest is wrong"
    )]
    DigestMismatch {
        /// The digest that was announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The name that a log was to get is none.
    #[error("{host:?} cannot be the name of a log: {reason}")]
    Name {
        /// The name.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory has a log of another name.
    #[error(
        "{} has the log {found:?}, not {given:?}: clients know it by that name; give the URL with that host, or use another directory",
        path.display()
    )]
    OtherHost {
        /// The directory.
        path: PathBuf,
        /// What it is called.
        found: String,
        /// What it was to be called.
        given: String,
    },
    /// A certificate authority cannot be what it was to be.
    #[error("the certificate authority cannot start: {0}")]
    Authority(String),
    /// The directory has no log.
    #[error("{} has no transparency log of sealmark: give the directory that `sealmark serve` has as --dir", .0.display())]
    NoLog(PathBuf),
    /// What was asked for cannot be done with this log.
    #[error("{0}")]
    Impossible(String),
    /// The issuer for development cannot be what it was to be, or cannot do what it was to do.
    #[error("the development issuer: {0}")]
    Issuer(String),
    /// A key could not be made or read.
    #[error("could not use the key {}: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A key that is elsewhere cannot be used; nothing was made with it.
    #[error("could not use a key, and made nothing: {0}")]
    KeyElsewhere(String),
    /// The directory has a witness of another name.
    #[error(
        "{} has the witness {found:?}, not {given:?}: those who trust it know it by that name; give the URL that it had, or use another directory",
        path.display()
    )]
    OtherWitness {
        /// The directory.
        path: PathBuf,
        /// What it is called.
        found: String,
        /// What it was to be called.
        given: String,
    },
    /// A witness cannot sign so.
    #[error("the witness {0}")]
    Witness(sealmark_tlog::Error),
    /// A witness of a policy cannot be asked.
    #[error("cannot ask the witness {name:?} of the policy: {reason}")]
    WitnessUrl {
        /// What the policy calls it.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The TUF repository cannot be opened, or cannot go on.
    #[error(transparent)]
    Tuf(#[from] crate::tuf::Error),
    /// The log's engine did not open.
    #[error(transparent)]
    Log(#[from] sealmark_log::Error),
}

impl Error {
    /// For `map_err`: an [`Error::Io`] about `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
