//! Files that are there after a crash, whole or not at all.
//!
//! Invariant: when a function of this module returns `Ok`, its effect survives `kill -9` and the loss of power; if
//! the process dies before, either nothing has changed or everything has.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::Error;

#[cfg(test)]
thread_local! {
    static WRITES_LEFT: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// For tests: from now on, on this thread, only so many files are written and removed, as if the process died then.
#[cfg(test)]
pub(super) fn fail_after(writes: Option<u64>) {
    WRITES_LEFT.set(writes);
}

/// Counts something that changes the disk.
#[cfg(test)]
fn change(path: &Path) -> Result<(), Error> {
    match WRITES_LEFT.get() {
        None => Ok(()),
        Some(0) => Err(Error::io("write", path)(io::Error::other(
            "the test says so",
        ))),
        Some(left) => {
            WRITES_LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}

#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps, reason = "as it is for tests")]
fn change(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// Creates a directory, and those above it that are missing.
pub(super) fn create_directory(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directory(parent)?;
    }
    change(path)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create the directory", path)(error))
        }
        _ => sync_parent(path),
    }
}

/// Moves a finished temporary file to `path`, over what may be there. The file must be in the same file system.
pub(super) fn place(file: NamedTempFile, path: &Path) -> Result<(), Error> {
    file.as_file()
        .sync_all()
        .map_err(Error::io("write", path))?;
    if let Some(parent) = path.parent() {
        create_directory(parent)?;
    }
    change(path)?;
    file.persist(path)
        .map_err(|error| Error::io("write", path)(error.error))?;
    sync_parent(path)
}

/// Writes a small file, over what may be there; `scratch` is a directory in the same file system.
pub(super) fn write(path: &Path, content: &[u8], scratch: &Path) -> Result<(), Error> {
    let mut file =
        NamedTempFile::new_in(scratch).map_err(Error::io("create a file in", scratch))?;
    file.write_all(content).map_err(Error::io("write", path))?;
    place(file, path)
}

/// As [`write`], unless there is a file already: then `false`, and it stays as it is.
pub(super) fn write_new(path: &Path, content: &[u8], scratch: &Path) -> Result<bool, Error> {
    let mut file =
        NamedTempFile::new_in(scratch).map_err(Error::io("create a file in", scratch))?;
    let written = file
        .write_all(content)
        .and_then(|()| file.as_file().sync_all());
    written.map_err(Error::io("write", path))?;
    change(path)?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("write", path)(error.error)),
        Ok(_) => sync_parent(path).map(|()| true),
    }
}

/// Puts a file that is durable in the place of another in the same folder.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    change(to)?;
    fs::rename(from, to).map_err(Error::io("replace", to))?;
    sync_parent(to)
}

/// Removes a file; `false` if there is none.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    change(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("delete", path)(error)),
        Ok(()) => sync_parent(path).map(|()| true),
    }
}

/// Reads a small file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The names in a directory that are Unicode; empty if there is no such directory.
pub(super) fn list(path: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", path)(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    let names: io::Result<Vec<_>> = names.collect();
    Ok(names
        .map_err(Error::io("list", path))?
        .into_iter()
        .flatten()
        .collect())
}

/// Locks a directory by the file `path` in it, until what is returned is closed, also by a crash.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    let mut file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(Error::io("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read(path).ok().flatten();
            let holder = holder.and_then(|text| String::from_utf8(text).ok());
            let holder = holder.filter(|text| !text.is_empty() && text.len() < 100);
            return Err(Error::InUse {
                path: path.parent().unwrap_or(path).to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(source)) => {
            return Err(Error::Io {
                action: "lock",
                path: path.to_owned(),
                source,
            });
        }
    }
    file.set_len(0)
        .and_then(|()| write!(file, "process {}", std::process::id()))
        .map_err(Error::io("write", path))?;
    Ok(file)
}

/// A rename or a removal is durable when its directory is. Only Unix lets a directory be opened for that.
fn sync_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent().filter(|_| cfg!(unix)) else {
        return Ok(());
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("flush", parent))
}
