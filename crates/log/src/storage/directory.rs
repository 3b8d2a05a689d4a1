//! A log in a local directory: the first implementation of [`Storage`].
//!
//! | in the directory | what |
//! |---|---|
//! | `lock` | locked by the process that has the log open |
//! | `backup.lock` | locked, shared, by whoever copies the directory: nothing is forgotten meanwhile |
//! | `wal/` | the journal, and `wal/committed`, which says how far it was committed |
//! | `snapshot` | the state of all trees at one record of the journal |
//! | `public/TREE/` | `checkpoint` and full tiles and bundles, as any web server can serve them |
//! | `private/TREE/` | what belongs to the entries and is not in the tree |
//! | `index/TREE/` | the search index; it may be removed, and is then made again |
//!
//! Copying it while the log runs is what [`backup`] does. By other means, hold the lock and keep the order, as in
//! `flock -s DIR/backup.lock sh -c 'cp -a DIR/snapshot DIR/public DIR/private TO/; mkdir TO/wal; cp -a DIR/wal/committed
//! TO/wal/; cp -a DIR/wal/*.wal TO/wal/'`. A copy that was made in another way may be refused when it is opened; it is
//! never taken for something it is not.
//!
//! A file that is not of the journal has its name only once it is whole and durable: it is written beside it, synced,
//! renamed, and its folder is synced.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, RealDisk};
use super::wal::{self, Wal};
use super::{CommitError, EachRecord, Object, Storage};
use crate::Error;

/// What a file is called until it is whole.
const UNFINISHED: &str = ".unfinished";
/// Files that are synced at the same time: their syncs share the journal's commits.
const SYNCS_AT_ONCE: usize = 8;

/// A log in a local directory.
pub struct Directory {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Held as long as the log is open; `None` on a simulated disk.
    _lock: Option<File>,
    wal: Mutex<Wal>,
    /// Folders that exist durably.
    folders: Mutex<HashSet<PathBuf>>,
}

impl Directory {
    /// Opens the log in this directory, or makes an empty one if the directory is empty or not there.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it open; [`Error::Damaged`] if its journal is not whole; [`Error::Io`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(|error| Error::io("create", root, error))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked(root.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        let public = root.join("public");
        Self::on(Arc::new(RealDisk { public }), root, Some(lock))
    }

    pub(super) fn on(disk: Arc<dyn Disk>, root: &Path, lock: Option<File>) -> Result<Self, Error> {
        let folder = root.join("wal");
        let list = |folder: &Path| {
            disk.list(folder)
                .map_err(|error| Error::io("list", folder, error))
        };
        let wal = if Wal::exists(&*disk, &folder)? {
            Wal::open(disk.clone(), &folder)?
        } else {
            let known = ["snapshot", "public", "private", "index"];
            let names = list(root)?;
            if let Some(name) = names.iter().find(|name| known.contains(&name.as_str())) {
                let reason =
                    format!("it is missing or has no file \"committed\", but there is {name:?}");
                return Err(Error::damaged(folder.display(), reason));
            }
            let create = || {
                disk.create_folder(&folder)?;
                disk.sync_folder(root)
            };
            create().map_err(|error| Error::io("create", &folder, error))?;
            Wal::create(disk.clone(), &folder)?
        };
        Ok(Self {
            disk,
            root: root.to_owned(),
            _lock: lock,
            wal: Mutex::new(wal),
            folders: Mutex::default(),
        })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn wal(&self) -> MutexGuard<'_, Wal> {
        self.wal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes a folder and those it is in, durably.
    fn folder(&self, path: &Path) -> io::Result<()> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: Vec<&Path> = path
            .ancestors()
            .take_while(|folder| *folder != self.root && !folders.contains(*folder))
            .collect();
        while let Some(folder) = missing.pop() {
            self.disk.create_folder(folder)?;
            if let Some(parent) = folder.parent() {
                self.disk.sync_folder(parent)?;
            }
            folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Writes files beside their names, and syncs them.
    fn write_unfinished(&self, files: &[(PathBuf, &[u8])]) -> Result<(), Error> {
        for (path, _) in files {
            if let Some(folder) = path.parent() {
                self.folder(folder)
                    .map_err(|error| Error::io("create", folder, error))?;
            }
        }
        let write = |files: &[(PathBuf, &[u8])]| {
            for (path, bytes) in files {
                let unfinished = path.with_added_extension(&UNFINISHED[1..]);
                let write = || {
                    let mut file = self.disk.open(&unfinished, true)?;
                    file.write_at(0, bytes)?;
                    file.sync()
                };
                write().map_err(|error| Error::io("write", &unfinished, error))?;
            }
            Ok(())
        };
        if files.len() < SYNCS_AT_ONCE {
            return write(files);
        }
        std::thread::scope(|scope| {
            let parts = files.chunks(files.len().div_ceil(SYNCS_AT_ONCE));
            let writers: Vec<_> = parts.map(|part| scope.spawn(|| write(part))).collect();
            let results = writers.into_iter().map(|writer| {
                writer.join().unwrap_or_else(|_| {
                    let panicked = io::Error::other("the thread that writes panicked");
                    Err(Error::io("write", &self.root, panicked))
                })
            });
            results.collect()
        })
    }

    /// Gives files their names, and makes these names and those of `there` durable.
    fn finish(&self, files: &[(PathBuf, &[u8])], there: &[PathBuf]) -> Result<(), Error> {
        let mut folders: BTreeSet<&Path> = there.iter().filter_map(|path| path.parent()).collect();
        for (path, _) in files {
            let unfinished = path.with_added_extension(&UNFINISHED[1..]);
            self.disk
                .rename(&unfinished, path)
                .map_err(|error| Error::io("rename", &unfinished, error))?;
            folders.extend(path.parent());
        }
        for folder in folders {
            self.disk
                .sync_folder(folder)
                .map_err(|error| Error::io("sync", folder, error))?;
        }
        Ok(())
    }
}

impl Storage for Directory {
    fn commit(&self, number: u64, record: &[u8]) -> Result<(), CommitError> {
        self.wal().commit(number, record)
    }

    fn replay(&self, from: u64, each: &mut EachRecord<'_>) -> Result<(), Error> {
        wal::replay(&*self.disk, &self.root.join("wal"), from, each)
    }

    fn forget(&self, before: u64) -> Result<(), Error> {
        let path = self.root.join("backup.lock");
        if self._lock.is_some() {
            let lock = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
            // Somebody copies the directory: another time.
            if lock.try_lock().is_err() {
                return Ok(());
            }
            return wal::forget(&*self.disk, &self.root.join("wal"), before);
        }
        wal::forget(&*self.disk, &self.root.join("wal"), before)
    }

    fn put(&self, objects: &[Object]) -> Result<(), Error> {
        let mut files = Vec::with_capacity(objects.len());
        let mut there = Vec::new();
        for object in objects {
            match self.get(&object.name)? {
                Some(bytes) if bytes == object.bytes => there.push(self.path(&object.name)),
                Some(bytes) => {
                    return Err(Error::damaged(
                        self.place(&object.name),
                        different(&bytes, object),
                    ));
                }
                None => files.push((self.path(&object.name), object.bytes.as_slice())),
            }
        }
        self.write_unfinished(&files)?;
        // What is there already is whole, but its name may not be durable: an earlier attempt, or another process, may
        // have ended between the rename and the sync of the folder.
        self.finish(&files, &there)
    }

    fn replace(&self, object: &Object) -> Result<(), Error> {
        let files = [(self.path(&object.name), object.bytes.as_slice())];
        self.write_unfinished(&files)?;
        self.finish(&files, &[])
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        match self.disk.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // At worst the note is some seconds old, as after a crash.
        let _ = self.wal().sync_committed();
    }
}

/// How the bytes that are there differ from those of an object that never changes.
pub(crate) fn different(found: &[u8], object: &Object) -> String {
    let expected = &object.bytes;
    if found.len() != expected.len() {
        return format!("it has {} bytes, not {}", found.len(), expected.len());
    }
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    format!("byte {} is not what was logged", at.unwrap_or(0))
}

/// Copies the log in `from` to `to`, which must not exist, while another process may write to it. The copy is the log
/// as it was at some moment after the call, and can be opened, or checked by `fsck`.
///
/// The order is what makes it right: the snapshot, then tiles, bundles and what belongs to them, and the journal last.
/// What is copied later is newer, and the newer journal covers all that was copied before it. As long as it runs,
/// `backup.lock` keeps the log from forgetting any of its journal. The search index is left out; it is made again.
///
/// # Errors
/// [`Error::Io`]; [`Error::Exists`] if `to` is there already.
pub fn backup(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        return Err(Error::Exists(to.display().to_string()));
    }
    let path = from.join("backup.lock");
    let lock = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
    lock.lock_shared()
        .map_err(|error| Error::io("lock", &path, error))?;
    if from.join("snapshot").exists() {
        copy(&from.join("snapshot"), &to.join("snapshot"))?;
    }
    for folder in ["public", "private"] {
        if from.join(folder).exists() {
            copy_folder(&from.join(folder), &to.join(folder))?;
        }
    }
    // Before the files it is about, so that no record it names can be missing.
    copy(&from.join("wal/committed"), &to.join("wal/committed"))?;
    let mut segments = list(&from.join("wal"))?;
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    segments.sort();
    for segment in segments {
        let inside = segment.strip_prefix(from).unwrap_or(&segment);
        copy(&segment, &to.join(inside))?;
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect()
    });
    entries.map_err(|error| Error::io("list", folder, error))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    for path in list(from)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            copy_folder(&path, &to.join(name))?;
        } else if !name.to_string_lossy().ends_with(UNFINISHED) {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    }
    let copy = || {
        fs::copy(from, to)?;
        File::open(to)?.sync_all()
    };
    copy().map_err(|error| Error::io("copy", from, error))
}
