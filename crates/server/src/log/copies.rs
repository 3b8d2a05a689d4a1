//! A log taken elsewhere: copied as it is, and its trees written as lines of JSON and read again.

use std::fs::{self, File};
use std::io::{BufRead, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use sealmark_keys::PrivateKey;
use sealmark_log::{Clock, LocalSigner, Log, Settings, SystemClock};
use sealmark_tlog::{Checkpoint, Note, NoteSigner, Origin};
use serde::Deserialize;

use super::keys::{self, Password};
use super::shards::{BACKUP_LOCK, Interface, MARKER, Record, Stage, keep_from_copying};
use super::state::{ENGINE, State, check_host, read_locked};
use super::{ShardInfo, maintenance};
use crate::{Error, durable, password};

/// The longest first line of an export: a checkpoint with some signatures.
const MAX_HEADER: u64 = 1 << 20;

/// Copies a log to `to`, which must not exist, while another process may serve it. Every entry that was acknowledged
/// before the call is in the copy; the copy can be served, or checked.
///
/// The copy has the keys. What marks it as a log is written last, so a copy that was not finished is none.
///
/// # Errors
/// [`Error::NoLog`]; [`Error::Io`]; [`Error::Impossible`] if there is something at `to`.
pub fn backup(directory: &Path, to: &Path) -> Result<(), Error> {
    let marker = directory.join(MARKER);
    if !marker.exists() {
        return Err(Error::NoLog(directory.to_owned()));
    }
    if to.exists() {
        let message = format!(
            "{} is there already: give a place that is not, nothing is written over",
            to.display()
        );
        return Err(Error::Impossible(message));
    }
    password::refuse_while_changing(directory)?;
    // No tree begins or ends while this is held, so all that is copied is of one time.
    let lock_path = directory.join(BACKUP_LOCK);
    let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
    lock.lock_shared().map_err(Error::io("lock", &lock_path))?;
    let shards = durable::read(&marker)?.unwrap_or_default();
    let engine = directory.join(ENGINE);
    if !engine.join("wal/committed").exists() {
        return Err(Error::Impossible(format!(
            "{} has no entries and no trees yet: nothing was copied; start the log once",
            directory.display()
        )));
    }
    durable::create_directory(to)?;
    let folder = to.join("keys");
    durable::create_directory(&folder)?;
    for name in durable::list(&directory.join("keys"))? {
        if !name.starts_with(".tmp") {
            let (from, to) = (directory.join("keys").join(&name), folder.join(&name));
            // The mode is copied, too.
            fs::copy(&from, &to)
                .and_then(|_| File::open(&to)?.sync_all())
                .map_err(Error::io("copy", &from))?;
        }
    }
    password::copy(directory, to)?;
    sealmark_log::backup(&engine, &to.join(ENGINE))?;
    password::refuse_while_changing(directory)?;
    durable::write(&to.join(MARKER), &shards, to)
}

/// A tree that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    /// Its name in the directory.
    pub tree: String,
    /// The origin line of its checkpoints.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
}

/// Writes a tree as lines of JSON: by its name or id, or the newest one of v1. No process may serve the log; write a tree
/// of its [`backup`] if it must not stop. Keys are not needed, and not written.
///
/// # Errors
/// [`Error::InUse`]; [`Error::NoLog`]; [`Error::Impossible`] if there is no such tree; if the log is not as it must be.
pub fn export(directory: &Path, tree: Option<&str>, out: impl Write) -> Result<Export, Error> {
    let (_lock, shards) = read_locked(directory)?;
    let record = match tree {
        None => shards.of(Interface::V1).last(),
        Some(wanted) => {
            let is_wanted = |record: &&Record| {
                record.tree == wanted || record.tree_id.as_deref() == Some(wanted)
            };
            shards.shards.iter().find(is_wanted)
        }
    };
    let record = record.ok_or_else(|| {
        let known: Vec<&str> = shards.shards.iter().map(|record| &*record.tree).collect();
        Error::Impossible(format!(
            "{} has no tree {:?}, only {}",
            directory.display(),
            tree.unwrap_or("v1"),
            known.join(", ")
        ))
    })?;
    let log = Log::open_directory(&directory.join(ENGINE), Settings::default())?;
    let view = log.tree(&record.tree)?;
    sealmark_log::export(&view, out)?;
    Ok(Export {
        tree: record.tree.clone(),
        origin: view.origin().to_owned(),
        size: view.size(),
    })
}

/// How an export becomes a tree.
#[derive(Clone, Default)]
pub struct Import {
    /// The private key that signed for it where it comes from, in PEM. Without it the tree gets a new key, and clients
    /// must learn that.
    pub key: Option<Vec<u8>>,
    /// For `key`, if it is encrypted, and for the keys of the directory.
    pub password: Password,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secrets.
        f.debug_struct("Import").finish_non_exhaustive()
    }
}

/// The part of an export's first line that says what it is.
#[derive(Deserialize)]
struct Header {
    checkpoint: String,
}

/// Makes an export the newest tree of its interface, with the name, the tree id and the times that it had; the one before
/// it is frozen. A directory that is not there, or is empty, becomes a log. No process may serve the log.
///
/// It blocks, and panics on the threads of an async runtime.
///
/// It is part of the log only once it is whole and its root is the one of the export's checkpoint; what an import that
/// did not finish leaves is never shown.
///
/// # Errors
/// [`Error::InUse`]; [`Error::Impossible`] if it is no export, is there already, or was not signed by the key; what
/// reading and writing entries may give.
pub fn import(
    directory: &Path,
    mut input: impl BufRead,
    import: &Import,
) -> Result<ShardInfo, Error> {
    let mut first = Vec::new();
    let read = input
        .by_ref()
        .take(MAX_HEADER)
        .read_until(b'\n', &mut first);
    read.map_err(Error::io("read", PathBuf::from("the export")))?;
    let refuse =
        |reason: String| Error::Impossible(format!("the export cannot be imported: {reason}"));
    let header: Header = serde_json::from_slice(&first).map_err(|error| {
        refuse(format!(
            "its first line does not say that it is one: {error}"
        ))
    })?;
    let checkpoint = Note::parse(&header.checkpoint)
        .and_then(|note| Checkpoint::parse(&note.text))
        .map_err(|error| refuse(error.to_string()))?;
    let (interface, host, tree_id) = match checkpoint.rekor_v1_tree() {
        Some((host, id)) => (Interface::V1, host.to_owned(), Some(id.to_string())),
        None => (Interface::V2, checkpoint.origin.clone(), None),
    };
    check_host(&host)?;
    let key = import
        .key
        .as_ref()
        .map(|pem| key_of(pem, interface, &host, &header.checkpoint, &import.password));
    let key = key.transpose().map_err(refuse)?;
    let state = State::open_or_empty(directory, &import.password)?;
    let _quiet = keep_from_copying(directory)?;
    let mut shards = state.shards.clone();
    let same =
        |record: &&Record| record.stage != Stage::Importing && record.origin() == checkpoint.origin;
    if let Some(record) = shards.shards.iter().find(same) {
        return Err(refuse(format!(
            "{} has the tree {:?} already, as {}",
            directory.display(),
            checkpoint.origin,
            record.tree
        )));
    }
    let name = shards.next_name(interface);
    let key = match key {
        Some(key) => keys::write(directory, &name, &key, &import.password).map(|()| key)?,
        None => keys::generate(directory, &name, interface, &import.password, None)?,
    };
    shards.push(Record {
        tree: name.clone(),
        interface,
        host: host.clone(),
        url: None,
        tree_id,
        created: SystemClock.now_ms() / 1000,
        frozen: None,
        stage: Stage::Importing,
    });
    shards.write(directory)?;
    let signer = NoteSigner::log(&host, key).map_err(|error| refuse(error.to_string()))?;
    let signer = LocalSigner::new(&checkpoint.origin, signer, Vec::new());
    let input = Cursor::new(first).chain(input);
    let view = sealmark_log::import(&state.log, &name, signer, input)?;
    let oldest = view.entry(0)?.map(|entry| entry.integrated_ms / 1000);
    if let Some(last) = state.of(interface).last() {
        maintenance::end(&mut shards, &last.record.tree, maintenance::end_of(last)?);
    }
    if let Some(record) = shards.shards.last_mut() {
        // Its key was in use since the first entry at the latest.
        record.created = oldest.unwrap_or(record.created);
        record.stage = Stage::Ready;
    }
    shards.write(directory)?;
    drop(view);
    let state = state.reopen(directory, shards, &import.password)?;
    let newest = state.of(interface).last();
    newest
        .map(|shard| ShardInfo::of(directory, shard))
        .ok_or_else(|| refuse("the log has no new tree".to_owned()))
}

/// The key that signed an export's checkpoint.
fn key_of(
    pem: &[u8],
    interface: Interface,
    host: &str,
    checkpoint: &str,
    password: &Password,
) -> Result<PrivateKey, String> {
    let key = PrivateKey::from_pem(pem, || {
        password.clone().ok_or(sealmark_keys::Error::WrongPassword)
    });
    let key = key.map_err(|error| format!("its key: {error}"))?;
    keys::check(Path::new("given"), key.public_key(), interface)
        .map_err(|error| error.to_string())?;
    let origin = match interface {
        Interface::V1 => Origin::RekorV1,
        Interface::V2 => Origin::Named(host),
    };
    Checkpoint::open(checkpoint, origin, key.public_key())
        .map_err(|error| format!("the key that was given did not sign its checkpoint: {error}"))?;
    Ok(key)
}
