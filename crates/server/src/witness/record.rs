//! The directory of a witness: its name, its key, and the newest checkpoint of each log.
//!
//! ```text
//! sealmark-witness   {"layout", "name"}: what this directory is, and what the witness is called, for good
//! lock               locked while a process has it open
//! keys/witness.pem   the Ed25519 key, and witness.pub its public part
//! logs/HASH          the newest checkpoint that was cosigned, as it was; HASH is that of its origin
//! ```
//!
//! Invariant: what is in memory is what is on the disk, or was there and its successor is of nobody's knowledge.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealmark_formats::Digest;
use sealmark_tlog::note::VerifierKey;
use sealmark_tlog::{Checkpoint, Note};
use serde::{Deserialize, Serialize};

use crate::marker::{LOCK, Marker};
use crate::{Error, durable};

const MARKER: Marker = Marker {
    file: "sealmark-witness",
    layout: 1,
    expected: "a witness of sealmark",
};
const LOGS: &str = "logs";
/// Origins that are remembered at most: a key of Rekor v1 may have any number of them.
const MAX_ORIGINS: usize = 4096;

/// What the witness is called.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    layout: u32,
    name: String,
}

/// What was cosigned last of one log.
#[derive(Clone, Debug)]
pub(super) struct Cosigned {
    pub(super) checkpoint: Checkpoint,
    /// With the signatures of the log and of the witness.
    pub(super) note: String,
}

/// One log's place. Whoever compares with it and replaces it has it locked all the while.
pub(super) type Place = Arc<Mutex<Option<Cosigned>>>;

pub(super) struct Record {
    directory: PathBuf,
    /// By [`name_of`] the origin.
    places: Mutex<HashMap<String, Place>>,
    _lock: File,
}

/// How the record, and the protocol, name a log: the SHA-256 of its origin, in lower-case hex.
pub(super) fn name_of(origin: &str) -> String {
    Digest::sha256(origin.as_bytes()).hex()
}

impl Record {
    pub(super) fn open(directory: &Path, name: &str) -> Result<Self, Error> {
        durable::create_directory(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        identify(directory, name)?;
        durable::create_directory(&directory.join(LOGS))?;
        Ok(Self {
            directory: directory.to_owned(),
            places: Mutex::default(),
            _lock: lock,
        })
    }

    /// Reads what was cosigned before, and checks that it was cosigned with this key.
    pub(super) fn load(&self, witness: &VerifierKey) -> Result<(), Error> {
        let folder = self.directory.join(LOGS);
        for name in durable::list(&folder)? {
            // What a crash has left.
            if name.starts_with(".tmp") {
                continue;
            }
            let path = folder.join(&name);
            let Some(bytes) = durable::read(&path)? else {
                continue;
            };
            let cosigned = read(&bytes, witness).and_then(|cosigned| {
                match name_of(&cosigned.checkpoint.origin) == name {
                    true => Ok(cosigned),
                    false => Err("it is of another log".to_owned()),
                }
            });
            let cosigned = cosigned.map_err(|problem| Error::Damaged { path, problem })?;
            let place = Arc::new(Mutex::new(Some(cosigned)));
            lock(&self.places).insert(name, place);
        }
        Ok(())
    }

    /// The place of a log; `None` if it is new and there are too many.
    pub(super) fn place(&self, origin: &str) -> Option<Place> {
        let mut places = lock(&self.places);
        let name = name_of(origin);
        if !places.contains_key(&name) && places.len() >= MAX_ORIGINS {
            return None;
        }
        Some(places.entry(name).or_default().clone())
    }

    /// The newest checkpoint of the log that the protocol names so.
    pub(super) fn newest(&self, name: &str) -> Option<String> {
        let place = lock(&self.places).get(name).cloned()?;
        lock(&place).as_ref().map(|cosigned| cosigned.note.clone())
    }

    /// Makes this the newest of its log, first on the disk and then in its place.
    pub(super) fn replace(
        &self,
        place: &mut Option<Cosigned>,
        cosigned: Cosigned,
    ) -> Result<(), Error> {
        let folder = self.directory.join(LOGS);
        let path = folder.join(name_of(&cosigned.checkpoint.origin));
        // Should this fail half-way, the disk may have it and the place not: nobody has its cosignature then, and the
        // next one will be written over it.
        durable::write(&path, cosigned.note.as_bytes(), &folder)?;
        *place = Some(cosigned);
        Ok(())
    }
}

/// A lock, also after a panic of who had it: what it guards is replaced as a whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(bytes: &[u8], witness: &VerifierKey) -> Result<Cosigned, String> {
    let note = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let parsed = Note::parse(note).map_err(|error| error.to_string())?;
    witness.verify(&parsed).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(&parsed.text).map_err(|error| error.to_string())?;
    Ok(Cosigned {
        checkpoint,
        note: note.to_owned(),
    })
}

/// Checks what the directory is, or makes it that.
fn identify(directory: &Path, name: &str) -> Result<(), Error> {
    let identity = MARKER.read_or_write(directory, || Identity {
        layout: MARKER.layout,
        name: name.to_owned(),
    })?;
    if identity.name != name {
        return Err(Error::OtherWitness {
            path: directory.to_owned(),
            found: identity.name,
            given: name.to_owned(),
        });
    }
    Ok(())
}
