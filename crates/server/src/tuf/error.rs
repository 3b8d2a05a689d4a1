//! What can go wrong with a TUF repository of one's own.

use std::path::PathBuf;

use super::Role;

/// Why a TUF repository could not be opened, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to hand out.
    #[error("{} has no file to hand out: put trusted_root.json and signing_config.v0.2.json there", .0.display())]
    NoTargets(PathBuf),
    /// A file is not what was written there.
    #[error(
        "the TUF repository is damaged: {}: {problem}; nothing was changed: restore the whole directory from its newest backup",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A target cannot be published.
    #[error("cannot publish {name:?} in the TUF repository: {problem}")]
    Target {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The clock was set back.
    #[error(
        "cannot sign {role} version {version}: by this machine's clock, {now}, it would have expired at {expires}, which is before the repository was last signed ({signed}); set the clock right"
    )]
    Clock {
        /// What was to be signed.
        role: Role,
        /// Its version.
        version: u64,
        /// What the clock says.
        now: String,
        /// When it would have expired.
        expires: String,
        /// When something was signed last.
        signed: String,
    },
    /// The root key is needed and is elsewhere.
    #[error(
        "the root key of the TUF repository was exported, and only it can sign root version {version}: give its file with --root-key"
    )]
    RootKeyAway {
        /// The version that was to be signed.
        version: u64,
    },
    /// The root key cannot be exported.
    #[error("there is no root key to export: it was exported before")]
    NoRootKey,
    /// A key that was given is not the root key.
    #[error(
        "the key that was given, {given}, is not the root key of the TUF repository: root version {version} names {expected}"
    )]
    OtherRootKey {
        /// The id of the key.
        given: String,
        /// The newest root.
        version: u64,
        /// The id of its key.
        expected: String,
    },
    /// The key that signs everything but the root is gone.
    #[error(
        "the key {id} that signs the TUF repository is not in {}: restore it from a backup",
        keys.display()
    )]
    OnlineKeyGone {
        /// Its id.
        id: String,
        /// Where it should be.
        keys: PathBuf,
    },
    /// The file for the root key is there already, with something else in it.
    #[error("{} exists: give the name of a new file for the root key", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A key did not sign.
    #[error("could not sign {role} version {version} of the TUF repository: {problem}")]
    Sign {
        /// What was to be signed.
        role: Role,
        /// Its version.
        version: u64,
        /// Why not.
        problem: String,
    },
}
