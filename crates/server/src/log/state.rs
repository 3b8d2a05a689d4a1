//! The directory of a log: its name, its keys, the engine's files.
//!
//! ```text
//! sealmark-log      {"layout", "host", "treeID", "created"}: what this directory is, and what the log is called, for good
//! lock              locked while a process has it open
//! keys/v1.pem       the ECDSA P-256 key of the Rekor v1 interface, PKCS#8, mode 0600
//! keys/v1.pub       … its public part
//! keys/v2.pem|.pub  the Ed25519 key of the Rekor v2 interface
//! log/              the trees, as the engine keeps them
//! ```
//!
//! Invariant: keys are durable before anything is signed with them, and are never replaced. Anyone who has them can
//! speak for the log. They are encrypted if a password is given at the first start.

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock, LocalSigner, Log, Settings, SystemClock};
use sealmark_tlog::NoteSigner;
use sealmark_tlog::tile::LengthPrefix;
use serde::{Deserialize, Serialize};

use super::Options;
use crate::{Error, durable, keyring};

const MARKER: &str = "sealmark-log";
const LOCK: &str = "lock";
const LAYOUT: u32 = 1;
/// The trees in the engine, by interface.
pub(super) const V1: &str = "v1";
pub(super) const V2: &str = "v2";

/// What the log is called.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Identity {
    layout: u32,
    host: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    /// When, in seconds since 1970.
    created: u64,
}

/// An open directory.
pub(super) struct State {
    pub(super) log: Log,
    pub(super) host: String,
    pub(super) tree_id: u64,
    pub(super) created: u64,
    pub(super) v1: PrivateKey,
    pub(super) v2: PrivateKey,
    _lock: File,
}

impl State {
    pub(super) fn open(directory: &Path, options: &Options) -> Result<Self, Error> {
        durable::create_directory(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        let identity = identity(directory, &options.host)?;
        let tree_id = identity.tree_id.parse().ok().filter(|id| *id > 0);
        let tree_id: u64 = tree_id.ok_or_else(|| Error::Damaged {
            path: directory.join(MARKER),
            problem: "treeID is not a positive number".to_owned(),
        })?;
        let host = identity.host;
        let password = options.password.as_ref();
        let v1 = keyring::key(directory, V1, Algorithm::EcdsaP256, password)?;
        let v2 = keyring::key(directory, V2, Algorithm::Ed25519, password)?;
        let signer = |origin: &str, key: &PrivateKey| {
            let first = NoteSigner::log(&host, key.clone());
            first
                .map(|first| LocalSigner::new(origin, first, Vec::new()))
                .map_err(|error| Error::Name {
                    host: host.clone(),
                    reason: error.to_string(),
                })
        };
        let origin = format!("{host} - {tree_id}");
        let open = || -> Result<Log, Error> {
            let mut settings = Settings::with_signer(V1, signer(&origin, &v1)?);
            let of_v2 = Settings::with_signer(V2, signer(&host, &v2)?);
            settings.signers.extend(of_v2.signers);
            let log = Log::open_directory(&directory.join("log"), settings)?;
            let missing = |tree: &str| log.trees().iter().all(|view| view.name() != tree);
            if missing(V1) {
                // Chains and big envelopes make bodies of more than 65,535 bytes.
                log.create_tree(V1, LengthPrefix::Four, signer(&origin, &v1)?)?;
            }
            if missing(V2) {
                log.create_tree(V2, LengthPrefix::Two, signer(&host, &v2)?)?;
            }
            Ok(log)
        };
        let log = open()?;
        Ok(Self {
            log,
            host,
            tree_id,
            created: identity.created,
            v1,
            v2,
            _lock: lock,
        })
    }
}

/// Reads what the log is called, or decides it.
fn identity(directory: &Path, host: &str) -> Result<Identity, Error> {
    let path = directory.join(MARKER);
    let Some(found) = durable::read(&path)? else {
        let foreign = |name: &String| name != LOCK && !name.starts_with(".tmp");
        if durable::list(directory)?.iter().any(foreign) {
            return Err(Error::ForeignDirectory {
                path: directory.to_owned(),
                expected: "a transparency log of sealmark",
            });
        }
        let identity = Identity {
            layout: LAYOUT,
            host: host.to_owned(),
            tree_id: new_tree_id()?.to_string(),
            created: SystemClock.now_ms() / 1000,
        };
        let json = serde_json::to_vec(&identity).map_err(|error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        durable::write(&path, &json, directory)?;
        return Ok(identity);
    };
    let identity: Identity = serde_json::from_slice(&found).map_err(|error| Error::Damaged {
        path: path.clone(),
        problem: error.to_string(),
    })?;
    if identity.layout != LAYOUT {
        return Err(Error::UnknownLayout {
            path,
            found: format!("layout {}", identity.layout),
            known: LAYOUT,
        });
    }
    if identity.host != host {
        return Err(Error::OtherHost {
            path: directory.to_owned(),
            found: identity.host,
            given: host.to_owned(),
        });
    }
    Ok(identity)
}

/// A positive number of 63 bits: Rekor's tree ids are signed.
fn new_tree_id() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| Error::Key {
        path: PathBuf::from("a tree id"),
        problem: "the system gave no randomness".to_owned(),
    })?;
    Ok((u64::from_be_bytes(bytes) >> 1).max(1))
}
