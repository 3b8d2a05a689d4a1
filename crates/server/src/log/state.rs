//! The directory of a log, open: its trees with their keys, and the engine.
//!
//! ```text
//! sealmark-log            what this directory is, and of which trees the log consists: see `shards`
//! lock                    locked while a process has it open
//! backup.lock             locked, shared, while somebody copies the directory
//! keys/TREE.pem           the key that signs for a tree, PKCS#8, mode 0600: ECDSA P-256 for v1, Ed25519 for v2
//! keys/TREE.ref           or where it is
//! keys/TREE.pub           … its public part
//! log/                    the trees, as the engine keeps them
//! ```
//!
//! Invariant: every tree that `sealmark-log` names is in the engine and has its key, and every tree of the engine is
//! named there; what was only decided when a process died is done here, and anything else is refused.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sealmark_keys::PrivateKey;
use sealmark_log::{CheckpointSigner, Clock, LocalSigner, Log, Settings, SystemClock, TreeView};
use sealmark_tlog::NoteSigner;

use super::keys::{self, Password};
use super::shards::{Interface, LOCK, MARKER, Record, Shards, Stage, keep_from_copying};
use super::{Options, frozen_line};
use crate::{Error, durable};

/// The engine's folder.
pub(super) const ENGINE: &str = "log";

/// An open directory.
pub(super) struct State {
    pub(super) log: Log,
    pub(super) shards: Shards,
    /// Oldest first, at least one of each interface, unless it was opened as it is.
    pub(super) v1: Vec<Shard>,
    pub(super) v2: Vec<Shard>,
    _lock: File,
}

/// A tree with its key.
pub(super) struct Shard {
    pub(super) record: Record,
    pub(super) key: PrivateKey,
    pub(super) tree: TreeView,
    /// Hex of SHA-256 of the key: what entries of v1 call the log.
    pub(super) log_id: String,
    /// The index that its first entry has in the log: the entries of all shards before it, for v1.
    pub(super) first: u64,
}

impl Shard {
    /// The id of a tree of v1.
    pub(super) fn tree_id(&self) -> u64 {
        self.record.number()
    }

    /// Tree id and leaf hash, in hex.
    pub(super) fn entry_id(&self, leaf_hash: &sealmark_tlog::Hash) -> String {
        format!("{:016x}{leaf_hash}", self.tree_id())
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.record.frozen.is_some()
    }
}

impl State {
    /// Opens the log in `directory`, or makes one.
    pub(super) fn open(directory: &Path, options: &Options) -> Result<Self, Error> {
        let lock = lock(directory)?;
        let mut shards = Shards::read(directory)?.unwrap_or_else(Shards::new);
        let hosts: Vec<&str> = Interface::ALL
            .iter()
            .filter_map(|interface| Some(shards.of(*interface).last()?.host.as_str()))
            .collect();
        if !hosts.is_empty() && !hosts.contains(&options.host.as_str()) {
            return Err(Error::OtherHost {
                path: directory.to_owned(),
                found: hosts[0].to_owned(),
                given: options.host.clone(),
            });
        }
        let missing = |interface: &Interface| shards.of(*interface).next().is_none();
        let missing: Vec<Interface> = Interface::ALL.into_iter().filter(missing).collect();
        // Of a new log the file comes first, so that the directory is known for one; the engine's folder tells that there
        // were no keys yet. Where there is an engine, keys come before the file that names them.
        let has_engine = directory.join(ENGINE).exists();
        for interface in &missing {
            check_host(&options.host)?;
            let record = shards.add(*interface, &options.host, SystemClock.now_ms() / 1000)?;
            if has_engine {
                let place = options.key(*interface);
                keys::generate(
                    directory,
                    &record.tree,
                    *interface,
                    &options.password,
                    place,
                )?;
            }
        }
        if !missing.is_empty() {
            let _quiet = keep_from_copying(directory)?;
            shards.write(directory)?;
        }
        Self::assemble(directory, lock, shards, &options.password, Some(options))
    }

    /// Opens the log in `directory`, which has one.
    pub(super) fn open_existing(directory: &Path, password: &Password) -> Result<Self, Error> {
        let (lock, shards) = read_locked(directory)?;
        Self::assemble(directory, lock, shards, password, None)
    }

    /// Opens the log in `directory`, or makes one without any tree.
    pub(super) fn open_or_empty(directory: &Path, password: &Password) -> Result<Self, Error> {
        let lock = lock(directory)?;
        let shards = match Shards::read(directory)? {
            Some(shards) => shards,
            None => {
                let shards = Shards::new();
                shards.write(directory)?;
                shards
            }
        };
        Self::assemble(directory, lock, shards, password, None)
    }

    /// Opens the engine, and brings it to what `shards` says. Where the keys of the trees that take entries are to be, the
    /// options say.
    fn assemble(
        directory: &Path,
        lock: File,
        mut shards: Shards,
        password: &Password,
        options: Option<&Options>,
    ) -> Result<Self, Error> {
        let folder = directory.join(ENGINE);
        let is_new = !folder.exists();
        if is_new {
            check_trees(directory, &shards, &[])?;
        }
        let mut settings = Settings::default();
        let mut signers = Vec::new();
        for record in &shards.shards {
            if record.stage == Stage::Importing {
                continue;
            }
            let name = &record.tree;
            let of = record.interface;
            let is_active = record.frozen.is_none();
            let place = options
                .and_then(|options| options.key(of))
                .filter(|_| is_active);
            let key = match is_new && !keys::exists(directory, name) {
                true => keys::generate(directory, name, of, password, place)?,
                false => keys::read(directory, name, of, password, place)?,
            };
            let signer: Arc<dyn CheckpointSigner> = Arc::new(signer(record, &key)?);
            settings.signers.insert(name.clone(), signer.clone());
            signers.push((key, signer));
        }
        let log = Log::open_directory(&folder, settings)?;
        let found: Vec<String> = log.trees().iter().map(|t| t.name().to_owned()).collect();
        check_trees(directory, &shards, &found)?;
        let mut opened: [Vec<Shard>; 2] = [Vec::new(), Vec::new()];
        let records = shards.shards.iter_mut();
        let records = records.filter(|record| record.stage != Stage::Importing);
        let mut changed = false;
        for (record, (key, signer)) in records.zip(signers) {
            let name = record.tree.as_str();
            if !found.contains(&record.tree) {
                log.create_tree(name, record.interface.prefix(), signer)?;
            }
            let tree = log.tree(name)?;
            if let Some(since) = record.frozen.filter(|_| !tree.is_frozen()) {
                let line = (record.interface == Interface::V2).then(|| frozen_line(since));
                log.freeze(name, line.as_deref())?;
            } else if record.frozen.is_none() && tree.is_frozen() {
                let reason = format!(
                    "tree {name:?} is frozen, but {MARKER} has it as one that takes entries: the file is an older copy"
                );
                return Err(damaged(directory, reason));
            }
            changed |= std::mem::take(&mut record.stage) != Stage::Ready;
            let of = &mut opened[usize::from(record.interface == Interface::V2)];
            let before = of.last().filter(|_| record.interface == Interface::V1);
            let first = before.map_or(0, |last| last.first + last.tree.size());
            of.push(Shard {
                log_id: key.public_key().id().digest().hex(),
                record: record.clone(),
                key,
                tree,
                first,
            });
        }
        if changed {
            shards.write(directory)?;
        }
        let [v1, v2] = opened;
        Ok(Self {
            log,
            shards,
            v1,
            v2,
            _lock: lock,
        })
    }

    /// Closes the log, and opens it as it was decided to be. No other process comes between.
    pub(super) fn reopen(
        self,
        directory: &Path,
        shards: Shards,
        password: &Password,
    ) -> Result<Self, Error> {
        let Self {
            log, v1, v2, _lock, ..
        } = self;
        drop((v1, v2, log));
        Self::assemble(directory, _lock, shards, password, None)
    }

    /// The trees of an interface, oldest first.
    pub(super) fn of(&self, interface: Interface) -> &[Shard] {
        match interface {
            Interface::V1 => &self.v1,
            Interface::V2 => &self.v2,
        }
    }

    /// The tree that takes entries, if any does.
    pub(super) fn current(&self, interface: Interface) -> &Shard {
        let last = self.of(interface).last();
        last.expect("a log that is served has a tree of each interface")
    }

    /// The tree of v2 that has the name by which the client asked; if none has, the newest: a proxy may have put a name of
    /// its own in the place.
    pub(super) fn v2_named(&self, host: Option<&str>) -> &Shard {
        let host = host.unwrap_or_default();
        let mut trees = self.v2.iter();
        let found = trees.rfind(|shard| shard.record.host.eq_ignore_ascii_case(host));
        found.unwrap_or_else(|| self.current(Interface::V2))
    }

    /// The trees of v1, the active one first, as Rekor looks into them.
    pub(super) fn active_first(&self) -> impl Iterator<Item = &Shard> {
        let (active, inactive) = self.v1.split_last().unzip();
        active.into_iter().chain(inactive.into_iter().flatten())
    }

    /// The tree of v1 that has the entry with this index, and its index there.
    pub(super) fn with_index(&self, index: u64) -> Option<(&Shard, u64)> {
        let shard = self.v1.iter().rfind(|shard| shard.first <= index)?;
        Some((shard, index - shard.first))
    }
}

/// Locks the directory, which is made if need be.
fn lock(directory: &Path) -> Result<File, Error> {
    durable::create_directory(directory)?;
    durable::lock(&directory.join(LOCK))
}

/// Locks a directory that has a log, and reads what the log consists of.
pub(super) fn read_locked(directory: &Path) -> Result<(File, Shards), Error> {
    let none = || Error::NoLog(directory.to_owned());
    // Nothing is to be made, not even the lock.
    if !directory.join(MARKER).exists() {
        return Err(none());
    }
    let lock = lock(directory)?;
    let shards = Shards::read(directory)?.ok_or_else(none)?;
    Ok((lock, shards))
}

/// The engine has the trees that it must have, and no others.
pub(super) fn check_trees(
    directory: &Path,
    shards: &Shards,
    found: &[String],
) -> Result<(), Error> {
    let listed = |name: &String| shards.shards.iter().any(|record| record.tree == *name);
    if let Some(name) = found.iter().find(|name| !listed(name)) {
        let reason = format!(
            "log/ has the tree {name:?}, which {MARKER} does not name: the file is an older copy, or log/ is of another log"
        );
        return Err(damaged(directory, reason));
    }
    let missing = |record: &&Record| record.stage == Stage::Ready && !found.contains(&record.tree);
    if let Some(record) = shards.shards.iter().find(missing) {
        let reason = format!(
            "log/ has no tree {:?}, which {MARKER} names: log/ is missing, an older copy, or of another log",
            record.tree
        );
        return Err(damaged(directory, reason));
    }
    Ok(())
}

pub(super) fn damaged(directory: &Path, reason: String) -> Error {
    Error::Log(sealmark_log::Error::Damaged {
        place: directory.display().to_string(),
        reason,
    })
}

/// Signs the checkpoints of a tree.
fn signer(record: &Record, key: &PrivateKey) -> Result<LocalSigner, Error> {
    let first = NoteSigner::log(&record.host, key.clone()).map_err(|error| Error::Name {
        host: record.host.clone(),
        reason: error.to_string(),
    })?;
    Ok(LocalSigner::new(&record.origin(), first, Vec::new()))
}

/// Whether a log can be called that.
pub(super) fn check_host(host: &str) -> Result<(), Error> {
    match sealmark_tlog::note::is_key_name(host) {
        true => Ok(()),
        false => Err(Error::Name {
            host: host.to_owned(),
            reason: "it must not be empty, nor have a space or a +".to_owned(),
        }),
    }
}
