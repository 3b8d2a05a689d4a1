//! The transparency log over HTTP: Rekor's REST interface of version 1, and of version 2 REST and gRPC, on one port.
//!
//! The engine is `sealmark-log`; this is what stands in front of it: entries are checked and brought into canonical
//! form, answers are written as Rekor writes them. Each version has its own trees and keys; all are one journal.
//!
//! Invariants: an entry that is answered with 201 is durable, and its proof is of a checkpoint that is; nothing is
//! logged whose signature did not verify; a v1 checkpoint has exactly one signature, as its clients refuse others.
//!
//! Decisions where Rekor's answer would harm: a body that is no JSON is 400, not 500; the search index is complete,
//! has SHA-384 digests, issuers and images, and finds keys by both forms of their hash.

mod check;
mod copies;
mod dispatch;
mod entry;
mod grpc;
mod keys;
mod maintenance;
mod metrics;
mod refusal;
mod search;
mod shards;
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
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::{RequestV2, SentVerifier, check_v1};
use sealmark_formats::Digest;
use sealmark_log::Entry;
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::policy::Policy;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The most of an attestation that can be kept, in bytes.
pub use sealmark_log::MAX_EXTRA as MAX_ATTESTATION;

pub use self::check::{Fsck, fsck};
pub use self::copies::{Export, Import, backup, export, import};
pub(crate) use self::maintenance::look;
pub use self::maintenance::{Rotation, freeze, rotate, shards};
pub use self::shards::Interface;
use self::state::{Shard, State};
use self::witnesses::Witnesses;
use crate::grpc::health::Watching;
use crate::grpc::is_grpc;
use crate::witness::Witness;
use crate::{Error, ops};

/// Long messages of gRPC that are read at once: some of at most 4 MiB each.
const MAX_MESSAGES: usize = 32;
/// Calls that watch the log's health, at once.
const MAX_WATCHING: usize = 256;

/// What [`TransparencyLog::log_first`] signs.
pub const FIRST: &[u8] = b"sealmark: the first entry of this log\n";
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
    /// Keep what an entry of v1 was made of and does not have (the payload of an attestation), up to so many bytes, and
    /// show it to who reads the entry.
    pub attestations: Option<usize>,
    /// What who sends an entry to v2 that is there already is told.
    pub duplicates: Duplicates,
    /// Where the keys of the trees of v1 and of v2 are, by their references, if not in the directory.
    pub keys: [Option<String>; 2],
}

impl Options {
    /// For a log of this name: without a password, keeping no attestations, refusing duplicates.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            password: None,
            attestations: None,
            duplicates: Duplicates::default(),
            keys: [None, None],
        }
    }

    /// Where the key of an interface's tree is to be.
    fn key(&self, interface: Interface) -> Option<&str> {
        let [v1, v2] = &self.keys;
        match interface {
            Interface::V1 => v1.as_deref(),
            Interface::V2 => v2.as_deref(),
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
            .field("keys", &self.keys)
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
    witnesses: OnceLock<Witnesses>,
    witness: OnceLock<Witness>,
    /// For what is read of long messages of gRPC at once.
    messages: Semaphore,
    watching: Watching,
    /// What else of gRPC the same server has.
    beside: OnceLock<Vec<crate::grpc::about::Service>>,
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
            witnesses: OnceLock::new(),
            witness: OnceLock::new(),
            messages: Semaphore::new(MAX_MESSAGES),
            watching: Watching::new(MAX_WATCHING),
            beside: OnceLock::new(),
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

    /// The key that checks the checkpoints of v2, as witnesses and policies name it.
    ///
    /// # Errors
    /// [`Error::Name`] if the log's host cannot be the name of a key.
    pub fn verifier_key_v2(&self) -> Result<VerifierKey, Error> {
        let shard = self.0.state.current(Interface::V2);
        let (host, key) = (&shard.record.host, shard.key.public_key());
        VerifierKey::new(host, KeyKind::Ed25519, key.clone()).map_err(|error| Error::Name {
            host: host.clone(),
            reason: error.to_string(),
        })
    }

    /// Has the checkpoints of v2 cosigned by the witnesses of a policy, from now on. What gets no quorum in time is shown
    /// without cosignatures, or with `required` not at all. It is for the first call to say; must be called on a tokio
    /// runtime. A log that is frozen has nothing new to be cosigned.
    ///
    /// # Errors
    /// [`Error::WitnessUrl`] if a witness has a URL that is none; [`Error::Log`].
    pub fn ask_witnesses(&self, policy: Policy, required: bool) -> Result<(), Error> {
        let shard = self.0.state.current(Interface::V2);
        if !shard.is_frozen() {
            let witnesses = Witnesses::ask(shard.tree.clone(), policy, required)?;
            let _ = self.0.witnesses.set(witnesses);
        }
        Ok(())
    }

    /// Also acts as a witness of other logs, under [`WITNESS_PATH`]. It is for the first call to say, before
    /// [`router`](Self::router).
    pub fn host_witness(&self, witness: Witness) {
        let _ = self.0.witness.set(witness);
    }

    /// Puts an entry of its own into each tree that is empty: a signature, by the key of v1, over [`FIRST`]. Several clients
    /// take the index 0 for a missing one, and so nobody else's entry should have it.
    ///
    /// # Errors
    /// [`Error::Log`] if the log does not take it.
    pub fn log_first(&self) -> Result<(), Error> {
        let state = &self.0.state;
        let key = &state.current(Interface::V1).key;
        let digest = Digest::sha256(FIRST);
        let refused = |reason: &dyn fmt::Display| {
            Error::Impossible(format!("the log has no first entry: {reason}"))
        };
        let signature = key.sign(FIRST).map_err(|error| refused(&error))?;
        let (pem, encode) = (key.public_key().to_pem(), |bytes: &[u8]| {
            STANDARD.encode(bytes)
        });
        let v1 = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "signature": {"content": encode(&signature), "publicKey": {"content": encode(pem.as_bytes())}},
            "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        }});
        let v2 = RequestV2 {
            digest: digest.bytes().to_vec(),
            signature,
            verifier: Some(SentVerifier::PublicKey(
                key.public_key().spki_der().to_vec(),
            )),
            key_details: RequestV2::key_details_of(key.key_type(), digest.algorithm())
                .unwrap_or_default(),
        };
        let proposed = [(Interface::V1, check_v1(&v1)), (Interface::V2, v2.check())];
        for (interface, proposed) in proposed {
            let shard = state.current(interface);
            if shard.tree.size() > 0 || shard.is_frozen() {
                continue;
            }
            let proposed = proposed.map_err(|error| refused(&error))?;
            let entry = Entry {
                leaf: proposed.leaf,
                keys: proposed.keys,
                extra: Vec::new(),
            };
            state.log.append_blocking(&shard.record.tree, entry)?;
        }
        Ok(())
    }

    /// Answers health checks and reflection for these services of the same server, too. It is for the first call to say.
    pub(crate) fn speak_for(&self, beside: Vec<crate::grpc::about::Service>) {
        let _ = self.0.beside.set(beside);
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
