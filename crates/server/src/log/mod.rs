//! The transparency log over HTTP: Rekor's REST interface of version 1, and of version 2 what its clients use.
//!
//! The engine is `sealmark-log`; this is what stands in front of it: entries are checked and brought into canonical
//! form, answers are written as Rekor writes them. Each version has its own tree and key; both are one journal.
//!
//! Invariants: an entry that is answered with 201 is durable, and its proof is of a checkpoint that is; nothing is
//! logged whose signature did not verify; a v1 checkpoint has exactly one signature, as its clients refuse others.
//!
//! Decisions where Rekor's answer would harm: a body that is no JSON is 400, not 500; the search index is complete,
//! has SHA-384 digests, and finds keys by both forms of their hash.
//!
//! Not supported: the kinds other than `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.1 and 0.0.2; attestation storage;
//! several shards; gRPC; witnesses.

mod dispatch;
mod entry;
mod metrics;
mod refusal;
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
use zeroize::Zeroizing;

use self::state::State;
use crate::{Error, ops};

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// What the log is called in its checkpoints: the host of the URL that clients use. It is decided at the first
    /// start, for good.
    pub host: String,
    /// For the private keys. Without one they are kept as they are, protected by the mode of their files alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written out for the sake of one field: the password is not shown.
        f.debug_struct("Options")
            .field("host", &self.host)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish()
    }
}

/// A transparency log, open. Its directory is locked until the last clone is gone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sealmark_server::log::{Options, TransparencyLog};
/// let directory = tempfile::tempdir()?;
/// let options = Options { host: "log.example".to_owned(), password: None };
/// let log = TransparencyLog::open(directory.path(), options)?;
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
    /// Hex of SHA-256 of the v1 key: what entries call the log.
    log_id: String,
}

impl TransparencyLog {
    /// Opens the log in `directory`, which is made if it is missing, with new keys.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written; if it is called otherwise than `options` say.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let state = State::open(directory, &options)?;
        let log_id = state.v1.public_key().id().digest().hex();
        Ok(Self(Arc::new(Inner {
            state,
            directory: directory.to_owned(),
            log_id,
        })))
    }

    /// What the log is called.
    pub fn host(&self) -> &str {
        &self.0.state.host
    }

    /// The id of the v1 tree.
    pub fn tree_id(&self) -> u64 {
        self.0.state.tree_id
    }

    /// When it was made, in seconds since 1970: its keys were not in use before.
    pub fn created(&self) -> u64 {
        self.0.state.created
    }

    /// The file with the public key that v1 signs with, in PEM.
    pub fn public_key_v1(&self) -> PathBuf {
        state::public_key_path(&self.0.directory, state::V1)
    }

    /// The file with the public key that v2 signs with, in PEM.
    pub fn public_key_v2(&self) -> PathBuf {
        state::public_key_path(&self.0.directory, state::V2)
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        let answer = move |request: Request| {
            let inner = self.0.clone();
            async move { dispatch::serve(inner, request).await }
        };
        Router::new().fallback(answer)
    }

    /// All endpoints, with what a server needs to count them and to refuse in the form that their clients know.
    pub fn service(&self) -> ops::Service {
        let inner = self.0.clone();
        ops::Service::new("log", self.clone().router(), metrics::endpoint)
            .refusing(refusal::refused)
            .measuring(move |text, requests| {
                metrics::measure(&inner.state.log.statistics(), requests, text);
            })
    }

    /// Serves on `listener` until `shutdown` completes, then lets requests in flight finish, as an [`ops::Server`]
    /// with its default options does.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let server = ops::Server::new(ops::Options::default()).with(self.service());
        // The router has the log from here on; with it the log ends.
        drop(self);
        server.serve(listener, None, shutdown).await;
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
