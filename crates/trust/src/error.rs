//! Why there is no trusted material.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

/// A failure. Its `Display` is the whole message: what was attempted on what, why it failed, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// `read`, `write` or the like.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A document is not what it should be.
    #[error("{from}: {cause}")]
    Document {
        /// Where the document is from.
        from: String,
        /// Why.
        cause: sealmark_formats::ParseError,
    },
    /// A file has no public key that can be used.
    #[error("{from}: {cause}")]
    Key {
        /// Where the key is from.
        from: String,
        /// Why.
        cause: sealmark_keys::Error,
    },
    /// A file has no certificates that can be used.
    #[error("{from}: {cause}")]
    Certificate {
        /// Where the certificates are from.
        from: String,
        /// Why.
        cause: sealmark_x509::Error,
    },
    /// A certificate, key or time does not suit its role.
    #[error("{from}: {reason}")]
    Unsuitable {
        /// Where it is from.
        from: String,
        /// Why.
        reason: String,
    },
    /// A server did not answer, or stopped answering.
    #[error("cannot get {url}: {cause}")]
    Network {
        /// What was asked for.
        url: String,
        /// Why, without the URL.
        cause: String,
    },
    /// A server does not have a file that a TUF repository must have.
    #[error("{place} has no {file}: is it a TUF repository?")]
    Missing {
        /// The repository, or the cache.
        place: String,
        /// The file.
        file: String,
    },
    /// The cache lacks a file, and the network may not be asked.
    #[error("the cache {} has no {file}, and offline nothing else may be asked; run `sealmark initialize` with a network first", cache.display())]
    NotCached {
        /// The cache.
        cache: PathBuf,
        /// The file.
        file: String,
    },
    /// Something is larger than it may be.
    #[error("{what} is larger than {limit} bytes, which it must not be")]
    TooLarge {
        /// What.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// TUF metadata is not of the form of the specification.
    #[error("{role} of the TUF repository is not valid: {reason}")]
    Malformed {
        /// Whose metadata.
        role: String,
        /// Why.
        reason: String,
    },
    /// Too few of the keys that must sign have signed.
    #[error(
        "{name} version {version} of the TUF repository has {valid} valid signatures of the {threshold} that {by} \
         demands: it is not to be trusted"
    )]
    Threshold {
        /// The kind of metadata.
        role: &'static str,
        /// Whose metadata: the same, or a delegated role.
        name: String,
        /// Its version.
        version: u64,
        /// How many keys have signed it.
        valid: usize,
        /// How many must have.
        threshold: u64,
        /// Who says so.
        by: String,
    },
    /// Metadata is too old to be believed.
    #[error(
        "{name} version {version} of the TUF repository expired at {expires} (now: {now}): its maintainers must renew \
         it{}", if *.offline { "; this is the cache's copy, ask the network for a newer one" } else { ", or this machine's clock is wrong" }
    )]
    Expired {
        /// The kind of metadata.
        role: &'static str,
        /// Whose metadata: the same, or a delegated role.
        name: String,
        /// Its version.
        version: u64,
        /// Since when.
        expires: Timestamp,
        /// What time it is.
        now: Timestamp,
        /// Whether it is from the cache.
        offline: bool,
    },
    /// Older metadata than what was trusted before.
    #[error(
        "{what} of the TUF repository went back from version {trusted} to {offered}: an attack, or a repository that \
         was set up anew; in the second case, run `sealmark initialize` with its root"
    )]
    Rollback {
        /// Which metadata.
        what: String,
        /// What was trusted before.
        trusted: u64,
        /// What is offered now.
        offered: u64,
    },
    /// The snapshot says nothing any more of metadata that it described before.
    #[error(
        "the snapshot of the TUF repository no longer lists {what}, as it must for ever: an attack, or a repository that \
         was set up anew; in the second case, run `sealmark initialize` with its root"
    )]
    Unlisted {
        /// Which metadata.
        what: String,
    },
    /// A file is not the one that trusted metadata describes.
    #[error("{what} is not the file that {by} describes: {reason}")]
    Mismatch {
        /// Which file.
        what: String,
        /// Which metadata.
        by: &'static str,
        /// What differs.
        reason: String,
    },
    /// There is no root to begin with.
    #[error(
        "no root to trust {mirror} with: give one with `sealmark initialize --mirror {mirror} --root FILE`, or in \
         TUF_ROOT_JSON"
    )]
    NoRoot {
        /// The repository.
        mirror: String,
    },
    /// The repository does not offer a target.
    #[error("the TUF repository {mirror} has no target {name}; it has {}", if .has.is_empty() { "none" } else { .has })]
    NoTarget {
        /// The repository.
        mirror: String,
        /// The target.
        name: String,
        /// The names it has.
        has: String,
    },
    /// A checksum that was given is not that of the root.
    #[error(
        "the root has the {algorithm} checksum {found}, not {expected}: it is not the one that was meant"
    )]
    Checksum {
        /// `sha256` or `sha512`.
        algorithm: &'static str,
        /// What was given.
        expected: String,
        /// What the root has.
        found: String,
    },
    /// Another process keeps the cache to itself.
    #[error("{} is used by another process for more than {waited:?}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A mirror, variable or checksum that cannot be used.
    #[error("{what} {text:?} cannot be used: {reason}")]
    Configuration {
        /// `mirror`, `checksum`, a variable.
        what: &'static str,
        /// The text.
        text: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            cause,
        }
    }
}
