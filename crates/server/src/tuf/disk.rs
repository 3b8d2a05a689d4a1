//! The directory of a TUF repository, and what of it is served.
//!
//! ```text
//! sealmark-tuf                     {"layout"}: written last when the directory is made
//! lock                             locked while a process has it open
//! keys/root-N.pem, online-N.pem    the keys that root version N was the first to name, and their .pub
//! repository/                      what clients see, file for file
//!     N.root.json                  every root, for good
//!     N.targets.json, N.snapshot.json, timestamp.json
//!     targets/SHA256.NAME
//! ```
//!
//! Invariant: what is served was durable before, and came to be served in the order in which it was written. No file is
//! written before those that it speaks of, so that a client finds a whole repository whenever the process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::metadata::{Document, Role};
use crate::{Error, durable};

const MARKER: &str = "sealmark-tuf";
const LOCK: &str = "lock";
pub(super) const REPOSITORY: &str = "repository";
const LAYOUT: u32 = 1;
/// Versions of snapshot and targets that are kept for clients which have just read an older timestamp.
const HISTORY: usize = 16;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    layout: u32,
}

pub(super) struct Disk {
    pub(super) directory: PathBuf,
    /// By their paths at the mirror's root.
    files: RwLock<BTreeMap<String, Bytes>>,
    _lock: File,
}

/// The version and the role in the name of a file.
pub(super) fn versioned(file: &str) -> Option<(u64, Role)> {
    let (version, rest) = file.split_once('.')?;
    let name = rest.strip_suffix(".json")?;
    let roles = [Role::Root, Role::Targets, Role::Snapshot];
    let role = roles.into_iter().find(|role| role.name() == name)?;
    let number: u64 = version.parse().ok()?;
    (number.to_string() == version).then_some((number, role))
}

impl Disk {
    /// Opens and locks the directory. `true` if it is a repository, `false` if one is to be made in it.
    pub(super) fn open(directory: &Path) -> Result<(Self, bool), Error> {
        durable::create_directory(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        let mut disk = Self {
            directory: directory.to_owned(),
            files: RwLock::default(),
            _lock: lock,
        };
        let is_made = disk.is_made()?;
        disk.load()?;
        if !is_made {
            disk.refuse_foreign()?;
        }
        Ok((disk, is_made))
    }

    fn is_made(&self) -> Result<bool, Error> {
        let path = self.directory.join(MARKER);
        let Some(found) = durable::read(&path)? else {
            return Ok(false);
        };
        let marker: Marker = serde_json::from_slice(&found).map_err(|error| {
            let problem = error.to_string();
            super::Error::Damaged {
                path: path.clone(),
                problem,
            }
        })?;
        match marker.layout {
            LAYOUT => Ok(true),
            other => Err(Error::UnknownLayout {
                path,
                found: other.to_string(),
                known: LAYOUT,
            }),
        }
    }

    /// Only what a crash has left of making a repository may be there.
    fn refuse_foreign(&self) -> Result<(), Error> {
        let own = |name: &String| {
            [LOCK, REPOSITORY, "keys", crate::password::FILE].contains(&name.as_str())
                || name.starts_with(".tmp")
        };
        let served = durable::list(&self.directory.join(REPOSITORY))?;
        let begun = |name: &String| match versioned(name) {
            Some((version, _)) => version == 1,
            None => name == "timestamp.json",
        };
        let is_new = durable::list(&self.directory)?.iter().all(own) && served.iter().all(begun);
        match is_new {
            true => Ok(()),
            false => Err(Error::ForeignDirectory {
                path: self.directory.clone(),
                expected: "a TUF repository of sealmark",
            }),
        }
    }

    /// Says that the repository has been made.
    pub(super) fn mark(&self) -> Result<(), Error> {
        let json = format!("{{\"layout\":{LAYOUT}}}\n");
        let path = self.directory.join(MARKER);
        durable::write(&path, json.as_bytes(), &self.directory)
    }

    fn load(&mut self) -> Result<(), Error> {
        for name in durable::list(&self.directory)? {
            // What a crash has left.
            if name.starts_with(".tmp") {
                durable::remove(&self.directory.join(name))?;
            }
        }
        let repository = self.directory.join(REPOSITORY);
        let mut names = durable::list(&repository)?;
        names.retain(|name| versioned(name).is_some() || name == "timestamp.json");
        let targets = durable::list(&repository.join("targets"))?;
        names.extend(targets.iter().map(|name| format!("targets/{name}")));
        let mut files = BTreeMap::new();
        for name in names {
            if let Some(content) = durable::read(&repository.join(&name))? {
                files.insert(name, content.into());
            }
        }
        self.files = RwLock::new(files);
        Ok(())
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(REPOSITORY).join(file)
    }

    pub(super) fn get(&self, file: &str) -> Option<Bytes> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(file).cloned()
    }

    /// Writes a file, and then serves it.
    pub(super) fn write(&self, file: &str, content: &[u8]) -> Result<(), Error> {
        durable::write(&self.path(file), content, &self.directory)?;
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(file.to_owned(), Bytes::copy_from_slice(content));
        Ok(())
    }

    fn remove(&self, file: &str) -> Result<(), Error> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.remove(file);
        drop(files);
        durable::remove(&self.path(file)).map(|_| ())
    }

    /// The versions of a role that are there, also those that no timestamp has come to speak of; the newest last.
    pub(super) fn versions(&self, role: Role) -> Vec<u64> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let mut versions: Vec<u64> = files
            .keys()
            .filter_map(|file| versioned(file))
            .filter_map(|(version, of)| (of == role).then_some(version))
            .collect();
        versions.sort_unstable();
        versions
    }

    /// Reads metadata back.
    pub(super) fn document(&self, role: Role, file: &str) -> Result<Document, super::Error> {
        let content = self.get(file).ok_or_else(|| "it is missing".to_owned());
        content
            .and_then(|content| Document::read(role, &content))
            .map_err(|problem| self.damaged(file, problem))
    }

    pub(super) fn damaged(&self, file: &str, problem: impl Into<String>) -> super::Error {
        super::Error::Damaged {
            path: self.path(file),
            problem: problem.into(),
        }
    }

    /// Deletes what no client can have any use for.
    pub(super) fn prune(&self) -> Result<(), Error> {
        for role in [Role::Snapshot, Role::Targets] {
            let versions = self.versions(role);
            for version in &versions[..versions.len().saturating_sub(HISTORY)] {
                self.remove(&format!("{version}.{role}.json"))?;
            }
        }
        let mut wanted = BTreeSet::new();
        for version in self.versions(Role::Targets) {
            let file = format!("{version}.targets.json");
            // Damage in an old version is nothing to stop for: nobody reads it any more, or nobody trusts it.
            let Ok(document) = self.document(Role::Targets, &file) else {
                continue;
            };
            wanted.extend(super::state::target_files(&document));
        }
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let unwanted = |file: &&String| file.starts_with("targets/") && !wanted.contains(*file);
        let unwanted: Vec<String> = files.keys().filter(unwanted).cloned().collect();
        drop(files);
        unwanted.iter().try_for_each(|file| self.remove(file))
    }
}
