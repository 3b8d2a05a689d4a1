//! A witness: it cosigns the checkpoints of logs, and of each log only such as continue what it has cosigned before.
//!
//! Protocol: <https://c2sp.org/tlog-witness>, with Ed25519 cosignatures (<https://c2sp.org/tlog-cosignature>).
//!
//! Invariant: a cosignature leaves the process only after the checkpoint that it is for is durable, as the newest of
//! its log; so no crash makes the witness sign a second history of a log.
//!
//! Not supported: `sign-subtree`, which is optional and wants keys of ML-DSA; bastions. There is no TLS: listen on
//! loopback, or behind a proxy.

mod answer;
mod record;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use sealmark_keys::Algorithm;
use sealmark_log::{Clock, SystemClock};
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::{Note, NoteSigner};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::record::Record;
use crate::{Error, keyring, ops};

/// The name of the key's files.
const KEY: &str = "witness";
/// Requests whose bodies are in memory at once.
const MAX_REQUESTS: usize = 128;

/// How a witness is opened.
#[derive(Clone)]
pub struct Options {
    /// What it is called in its cosignatures: its URL, without scheme and port. It is decided at the first start, for
    /// good.
    pub name: String,
    /// The logs whose checkpoints it takes. The name of a key is the origin of its checkpoints; that of an ECDSA key may
    /// also be the host in `HOST - TREE`, as Rekor v1 names its shards.
    pub logs: Vec<VerifierKey>,
    /// For the private key. Without one it is kept as it is, protected by the mode of its file alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("logs", &self.logs)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish()
    }
}

/// A witness, open. Its directory is locked until the last clone is gone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sealmark_server::witness::{Options, Witness};
/// let directory = tempfile::tempdir()?;
/// let options = Options { name: "witness.example".to_owned(), logs: Vec::new(), password: None };
/// let witness = Witness::open(directory.path(), options)?;
/// assert!(witness.verifier_key().to_string().starts_with("witness.example+"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Witness(Arc<Inner>);

struct Inner {
    signer: NoteSigner,
    verifier: VerifierKey,
    logs: Vec<VerifierKey>,
    record: Record,
    places: Semaphore,
    clock: Box<dyn Clock>,
}

impl Witness {
    /// Opens the witness in `directory`, which is made if it is missing, with a new key.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written; if it is called otherwise than `options` say.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let record = Record::open(directory, &options.name)?;
        let password = options.password.as_ref();
        let key = keyring::key(directory, KEY, Algorithm::Ed25519, password)?;
        let signer = NoteSigner::witness(&options.name, key).map_err(Error::Witness)?;
        let verifier = signer.verifier_key().map_err(Error::Witness)?;
        record.load(&verifier)?;
        Ok(Self(Arc::new(Inner {
            signer,
            verifier,
            logs: options.logs,
            record,
            places: Semaphore::new(MAX_REQUESTS),
            clock: Box::new(SystemClock),
        })))
    }

    /// The key that checks its cosignatures: what goes into policies.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.0.verifier
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        answer::router(self.0)
    }

    /// All endpoints, with what a server needs to count them.
    pub fn service(&self) -> ops::Service {
        let endpoint = |path: &str| match path {
            "/" => Some("/"),
            "/add-checkpoint" => Some("/add-checkpoint"),
            path if path.ends_with("/checkpoint") => Some("/{log}/checkpoint"),
            _ => None,
        };
        let refuse = |_: &str, refused: ops::Refused| answer::refused(&refused);
        ops::Service::new("witness", self.clone().router(), endpoint).refusing(refuse)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("verifier_key", &self.0.verifier)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// The keys of the log with this origin.
    fn keys_of(&self, origin: &str) -> impl Iterator<Item = &VerifierKey> {
        let shard = origin
            .rsplit_once(" - ")
            .filter(|(_, tree)| !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit()));
        let host = shard.map(|(host, _)| host.to_owned());
        let origin = origin.to_owned();
        self.logs.iter().filter(move |key| {
            let of_shard = key.kind() == KeyKind::Spki && host.as_deref() == Some(key.name());
            key.name() == origin || of_shard
        })
    }

    /// The note with only those of its signatures that a log's key made, and one at least.
    fn by_its_log(&self, origin: &str, note: &Note) -> Option<Note> {
        let mut signatures = Vec::new();
        for key in self.keys_of(origin) {
            match key.verify(note) {
                Ok(verified) => signatures.push(note.signatures[verified.line].clone()),
                Err(sealmark_tlog::Error::NotSigned { .. }) => {}
                // A line that names the key and is wrong makes the note invalid.
                Err(_) => return None,
            }
        }
        (!signatures.is_empty()).then(|| Note {
            text: note.text.clone(),
            signatures,
        })
    }
}
