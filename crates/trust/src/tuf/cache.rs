//! The directory in which a repository's files are kept, laid out as cosign does it, with every root beside it.
//!
//! ```text
//! ~/.sigstore/root/remote.json                 {"mirror": URL}
//!                 /HOST/root.json              the newest root
//!                 /HOST/{timestamp,snapshot,targets}.json
//!                 /HOST/targets/NAME           what was downloaded
//!                 /HOST/delegated/ROLE.json    ours: targets metadata of delegated roles
//!                 /HOST/anchor.json            ours: the root that `initialize` was given
//!                 /HOST/root_history/N.root.json   ours: the way from the anchor to the newest root
//! ```
//!
//! A [`Client`](super::Client) of any repository has one directory, laid out as the specification names the files:
//! `root.json`, which is trusted, and `ROLE.json` of every other role. The lock is then the directory's own.
//!
//! A file is replaced in one step, so that a reader finds the old or the new one. Writers exclude each other with a
//! lock. Nothing read from here is trusted for being here.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::MAX_TARGET;
use crate::Error;

/// Another process refreshes within seconds, or waits for the network as long as one file may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
const LOCK_POLL: Duration = Duration::from_millis(50);
const LOCK_FILE: &str = ".sealmark.lock";
/// What Go's `url.PathEscape` leaves as it is.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What the reference client leaves as it is in a role's or a target's name.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The cache of one repository.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    layout: Layout,
}

/// Which files there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layout {
    /// One repository of many below one directory, as cosign has them.
    Cosign,
    /// The specification's: the newest root is the one that is trusted.
    Plain,
}

/// Keeps other processes from writing while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Cache {
    /// The cache of `mirror` below `base`. Nothing is made on the disk.
    pub(super) fn new(base: &Path, mirror: &str) -> Self {
        Self {
            directory: base.join(directory_name(mirror)),
            layout: Layout::Cosign,
        }
    }

    /// A directory of a [`Client`](super::Client).
    pub(super) fn plain(directory: PathBuf) -> Self {
        Self {
            directory,
            layout: Layout::Plain,
        }
    }

    /// Whether every root since the pinned one is kept, and not only the newest.
    pub(super) fn keeps_roots(&self) -> bool {
        self.layout == Layout::Cosign
    }

    /// Where metadata of a delegated role is, seen from the cache's directory.
    pub(super) fn delegated_path(&self, role: &str) -> String {
        let name = escaped(role);
        match self.layout {
            // A role may be called `anchor`.
            Layout::Cosign => format!("delegated/{name}.json"),
            Layout::Plain => format!("{name}.json"),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits for the right to write.
    pub(super) async fn lock(&self) -> Result<Lock, Error> {
        let failed = |action, cause| Error::file(action, &self.directory, cause);
        fs::create_dir_all(&self.directory).map_err(|cause| failed("make", cause))?;
        let (path, file) = match self.layout {
            Layout::Cosign => {
                let path = self.directory.join(LOCK_FILE);
                let mut options = File::options();
                let file = options.create(true).truncate(false).write(true).open(&path);
                (path, file)
            }
            // There are no files but the specification's.
            Layout::Plain => (self.directory.clone(), File::open(&self.directory)),
        };
        let file = file.map_err(|cause| Error::file("open", &path, cause))?;
        let deadline = tokio::time::Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(cause)) => return Err(Error::file("lock", path, cause)),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= deadline => {
                    return Err(Error::Locked {
                        path,
                        waited: LOCK_TIMEOUT,
                    });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
            }
        }
    }

    /// As [`lock`](Self::lock); without a lock where nobody can write: no cache yet, or a read-only disk.
    pub(super) async fn lock_if_writable(&self) -> Result<Option<Lock>, Error> {
        if !self.directory.is_dir() {
            return Ok(None);
        }
        match self.lock().await {
            Err(Error::File { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// A file, or `None` if there is none. One that is too large to be from here is none: it will be replaced.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.directory.join(name);
        let mut content = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_TARGET + 1).read_to_end(&mut content))
        {
            Ok(_) if content.len() as u64 > MAX_TARGET => Ok(None),
            Ok(_) => Ok(Some(content)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::file("read", path, cause)),
        }
    }

    /// Writes a file in one step.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        write_whole(&self.directory.join(name), content)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.directory.join(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(Error::file("remove", path, cause))
            }
            _ => Ok(()),
        }
    }

    /// Forgets what was trusted.
    pub(super) fn clear(&self) -> Result<(), Error> {
        for name in ["anchor", "root", "timestamp", "snapshot", "targets"] {
            self.remove(&format!("{name}.json"))?;
        }
        for name in ["root_history", "delegated", "targets"] {
            let path = self.directory.join(name);
            match fs::remove_dir_all(&path) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, cause));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes a file in one step, and its directories.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |cause| Error::file("write", path, cause);
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Where a downloaded target is, seen from the cache's directory.
pub(super) fn target_path(name: &str) -> String {
    let escaped = utf8_percent_encode(name, PATH_SEGMENT).to_string();
    format!("targets/{}", no_way_out(escaped))
}

/// A role's or a target's name as a file's, as the reference client writes it in URLs and on disks.
pub(super) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, NAME).to_string()
}

/// The file below `directory` to which the target `name` is downloaded.
pub(super) fn download_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(no_way_out(escaped(name)))
}

/// A name of dots alone would lead elsewhere, and an empty one nowhere.
fn no_way_out(name: String) -> String {
    match name.bytes().all(|byte| byte == b'.') {
        true if name.is_empty() => "%".to_owned(),
        true => name.replace('.', "%2E"),
        false => name,
    }
}

/// The name of a repository's directory, as sigstore-go makes it of the URL.
fn directory_name(mirror: &str) -> String {
    let mirror = mirror.trim_end_matches('/');
    let rest = mirror
        .strip_prefix("https://")
        .or_else(|| mirror.strip_prefix("http://"))
        .unwrap_or(mirror);
    let name = rest.replace(['/', ':'], "-").to_lowercase();
    // Only dots would lead out of the cache.
    match name.bytes().all(|byte| byte == b'.') {
        true => format!("-{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_directory() {
        let directory = Path::new("/d");
        for (name, file) in [
            ("file", "file"),
            ("a/b", "a%2Fb"),
            ("../up", "..%2Fup"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("", "%"),
            ("\0", "%00"),
        ] {
            assert_eq!(download_path(directory, name), directory.join(file));
            let cosign = Cache::new(directory, "https://host");
            let parent = cosign.directory().join(cosign.delegated_path(name));
            assert_eq!(parent.parent(), Some(Path::new("/d/host/delegated")));
            let plain = Cache::plain(directory.to_owned());
            let parent = directory.join(plain.delegated_path(name));
            assert_eq!(parent.parent(), Some(directory));
        }
    }
}
