//! The transparency log over HTTP: Rekor's REST interface of version 1, and of version 2 what its clients use.
//!
//! The engine is `sealmark-log`; this is what stands in front of it: entries are checked and brought into canonical
//! form, answers are written as Rekor writes them. Each version has its own trees and keys; all are one journal.
//!
//! Invariants: an entry that is answered with 201 is durable, and its proof is of a checkpoint that is; nothing is
//! logged whose signature did not verify; a v1 checkpoint has exactly one signature, as its clients refuse others.
//!
//! Decisions where Rekor's answer would harm: a body that is no JSON is 400, not 500; the search index is complete,
//! has SHA-384 digests, issuers and images, and finds keys by both forms of their hash.
//!
//! Not supported: the kinds other than `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.1 and 0.0.2; gRPC;
//! witnesses. There is no TLS: listen on loopback, or behind a proxy.

mod body;
mod check;
mod copies;
mod dispatch;
mod entry;
mod keys;
mod maintenance;
mod refusal;
mod search;
mod shards;
mod state;
mod v1;
mod v2;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The most of an attestation that can be kept, in bytes.
pub use sealmark_log::MAX_EXTRA as MAX_ATTESTATION;

pub use self::check::{Fsck, fsck};
pub use self::copies::{Export, Import, backup, export, import};
pub use self::maintenance::{Rotation, freeze, rotate, shards};
pub use self::shards::Interface;
use self::state::{Shard, State};
use crate::{Error, listen};

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// What the log is called in its checkpoints: the host of the URL that clients use. It is decided at the first
    /// start, for good.
    pub host: String,
    /// For the private keys. Without one they are kept as they are, protected by the mode of their files alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Keep what an entry of v1 was made of and does not have (the payload of an attestation), up to so many bytes, and
    /// show it to who reads the entry.
    pub attestations: Option<usize>,
    /// What who sends an entry to v2 that is there already is told.
    pub duplicates: Duplicates,
}

impl Options {
    /// For a log of this name: without a password, keeping no attestations, refusing duplicates.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            password: None,
            attestations: None,
            duplicates: Duplicates::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written out for the sake of one field: the password is not shown.
        f.debug_struct("Options")
            .field("host", &self.host)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("attestations", &self.attestations)
            .field("duplicates", &self.duplicates)
            .finish()
    }
}

/// What who sends an entry to v2 that is there already is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Duplicates {
    /// 409, and its index, as Rekor does.
    #[default]
    Refuse,
    /// The entry that is there, as if it were new.
    Return,
}

/// A transparency log, open. Its directory is locked until the last clone is gone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sealmark_server::log::{Options, TransparencyLog};
/// let directory = tempfile::tempdir()?;
/// let log = TransparencyLog::open(directory.path(), Options::new("log.example"))?;
/// assert_eq!(log.host(), "log.example");
/// let router: axum::Router = log.router();
/// # drop(router);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TransparencyLog(Arc<Inner>);

struct Inner {
    state: State,
    directory: PathBuf,
    attestations: Option<usize>,
    duplicates: Duplicates,
    large: Semaphore,
}

impl Inner {
    /// What is kept of an attestation.
    fn kept(&self, attestation: Vec<u8>) -> Vec<u8> {
        match self.attestations {
            Some(most) if attestation.len() <= most => attestation,
            _ => Vec::new(),
        }
    }
}

/// A tree of a log, as who writes down how the log is used needs to know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShardInfo {
    /// Which interface it is for.
    pub interface: Interface,
    /// Its name in the directory.
    pub tree: String,
    /// What its checkpoints call the log.
    pub host: String,
    /// Where clients of it go, if that was said when it was made.
    pub url: Option<String>,
    /// Its id, if it is of v1.
    pub tree_id: Option<u64>,
    /// The file with its public key, in PEM.
    pub public_key: PathBuf,
    /// When it was made, in seconds since 1970: its key was not in use before.
    pub created: u64,
    /// Since when it takes no entries, if it does not.
    pub frozen: Option<u64>,
    /// How many entries it has.
    pub size: u64,
    /// The index that its first entry has in the log.
    pub first: u64,
}

impl ShardInfo {
    fn of(directory: &Path, shard: &Shard) -> Self {
        let record = &shard.record;
        Self {
            interface: record.interface,
            tree: record.tree.clone(),
            host: record.host.clone(),
            url: record.url.clone(),
            tree_id: record.tree_id.as_ref().map(|_| record.number()),
            public_key: keys::public_path(directory, &record.tree),
            created: record.created,
            frozen: record.frozen,
            size: shard.tree.size(),
            first: shard.first,
        }
    }
}

/// The line that the last checkpoint of a frozen tree gets, as Rekor v2 writes it: with the time in the form of `date`.
fn frozen_line(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let time = time
        .unwrap_or_default()
        .strftime("%a %b %e %H:%M:%S UTC %Y");
    format!("Log frozen \u{2014} {time}")
}

impl TransparencyLog {
    /// Opens the log in `directory`, which is made if it is missing, with new keys.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written; if it is called otherwise than `options` say.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let state = State::open(directory, &options)?;
        Ok(Self(Arc::new(Inner {
            state,
            directory: directory.to_owned(),
            attestations: options.attestations,
            duplicates: options.duplicates,
            large: Semaphore::new(body::MAX_LARGE),
        })))
    }

    /// What the log is called: its newest tree of v1.
    pub fn host(&self) -> &str {
        &self.0.state.current(Interface::V1).record.host
    }

    /// The id of the newest tree of v1.
    pub fn tree_id(&self) -> u64 {
        self.0.state.current(Interface::V1).tree_id()
    }

    /// The trees of an interface, oldest first. The last one is the one that takes entries, unless it is frozen.
    pub fn shards(&self, interface: Interface) -> Vec<ShardInfo> {
        let shards = self.0.state.of(interface).iter();
        shards
            .map(|shard| ShardInfo::of(&self.0.directory, shard))
            .collect()
    }

    /// The file with the public key that v1 signs with, in PEM.
    pub fn public_key_v1(&self) -> PathBuf {
        self.public_key(Interface::V1)
    }

    /// The file with the public key that v2 signs with, in PEM.
    pub fn public_key_v2(&self) -> PathBuf {
        self.public_key(Interface::V2)
    }

    fn public_key(&self, interface: Interface) -> PathBuf {
        let shard = self.0.state.current(interface);
        keys::public_path(&self.0.directory, &shard.record.tree)
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        let answer = move |request: Request| {
            let inner = self.0.clone();
            async move { dispatch::serve(inner, request).await }
        };
        Router::new().fallback(answer)
    }

    /// Serves on `listener` until `shutdown` completes, then lets requests in flight finish, as [`listen::serve`]
    /// does.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        listen::serve(self.router(), listener, shutdown).await;
    }
}

impl fmt::Debug for TransparencyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransparencyLog")
            .field("host", &self.host())
            .field("tree_id", &self.tree_id())
            .finish_non_exhaustive()
    }
}
