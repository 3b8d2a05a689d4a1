//! The transparency log over HTTP: Rekor's REST interface of version 1, and of version 2 REST and gRPC, on one port.
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
//! several shards.

mod dispatch;
mod entry;
mod grpc;
mod metrics;
mod refusal;
mod state;
mod v1;
mod v2;
mod witnesses;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::policy::Policy;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::state::State;
use self::witnesses::Witnesses;
use crate::grpc::health::Watching;
use crate::grpc::is_grpc;
use crate::witness::Witness;
use crate::{Error, keyring, ops};

/// Long messages of gRPC that are read at once: some of at most 4 MiB each.
const MAX_MESSAGES: usize = 32;
/// Calls that watch the log's health, at once.
const MAX_WATCHING: usize = 256;

/// Where a log that is also a [`Witness`] takes checkpoints.
pub const WITNESS_PATH: &str = "/witness";

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
    witnesses: OnceLock<Witnesses>,
    witness: OnceLock<Witness>,
    /// For what is read of long messages of gRPC at once.
    messages: Semaphore,
    watching: Watching,
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
            witnesses: OnceLock::new(),
            witness: OnceLock::new(),
            messages: Semaphore::new(MAX_MESSAGES),
            watching: Watching::new(MAX_WATCHING),
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
        keyring::public_key_path(&self.0.directory, state::V1)
    }

    /// The file with the public key that v2 signs with, in PEM.
    pub fn public_key_v2(&self) -> PathBuf {
        keyring::public_key_path(&self.0.directory, state::V2)
    }

    /// The key that checks the checkpoints of v2, as witnesses and policies name it.
    ///
    /// # Errors
    /// [`Error::Name`] if the log's host cannot be the name of a key.
    pub fn verifier_key_v2(&self) -> Result<VerifierKey, Error> {
        let (host, key) = (&self.0.state.host, self.0.state.v2.public_key());
        VerifierKey::new(host, KeyKind::Ed25519, key.clone()).map_err(|error| Error::Name {
            host: host.clone(),
            reason: error.to_string(),
        })
    }

    /// Has the checkpoints of v2 cosigned by the witnesses of a policy, from now on. What gets no quorum in time is shown
    /// without cosignatures, or with `required` not at all. It is for the first call to say; must be called on a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Error::WitnessUrl`] if a witness has a URL that is none; [`Error::Log`].
    pub fn ask_witnesses(&self, policy: Policy, required: bool) -> Result<(), Error> {
        let tree = self.0.state.log.tree(state::V2)?;
        let _ = self
            .0
            .witnesses
            .set(Witnesses::ask(tree, policy, required)?);
        Ok(())
    }

    /// Also acts as a witness of other logs, under [`WITNESS_PATH`]. It is for the first call to say, before
    /// [`router`](Self::router).
    pub fn host_witness(&self, witness: Witness) {
        let _ = self.0.witness.set(witness);
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        let witness = self.0.witness.get().cloned();
        let answer = move |request: Request| {
            let inner = self.0.clone();
            async move {
                match is_grpc(request.headers()) {
                    true => grpc::serve(inner, request).await,
                    false => dispatch::serve(inner, request).await,
                }
            }
        };
        let router = match witness {
            Some(witness) => Router::new().nest(WITNESS_PATH, witness.router()),
            None => Router::new(),
        };
        router.fallback(answer)
    }

    /// `shutdown`, and then tells all who watch the log's health that it ends, as their calls would keep a server.
    pub fn ending<F: Future<Output = ()>>(&self, shutdown: F) -> impl Future<Output = ()> + use<F> {
        let inner = Arc::downgrade(&self.0);
        async move {
            shutdown.await;
            if let Some(inner) = inner.upgrade() {
                inner.watching.stop();
            }
        }
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
        let shutdown = self.ending(shutdown);
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
