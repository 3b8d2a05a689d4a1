//! The directory in which a repository's files are kept, laid out as cosign does it, with every root beside it.
//!
//! ```text
//! ~/.sigstore/root/remote.json                 {"mirror": URL}
//!                 /HOST/root.json              the newest root
//!                 /HOST/{timestamp,snapshot,targets}.json
//!                 /HOST/targets/NAME           what was downloaded
//!                 /HOST/anchor.json            ours: the root that `initialize` was given
//!                 /HOST/root_history/N.root.json   ours: the way from the anchor to the newest root
//! ```
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

/// The cache of one repository.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
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
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits for the right to write.
    pub(super) async fn lock(&self) -> Result<Lock, Error> {
        let failed = |action, cause| Error::file(action, &self.directory, cause);
        fs::create_dir_all(&self.directory).map_err(|cause| failed("make", cause))?;
        let path = self.directory.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|cause| Error::file("open", &path, cause))?;
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

    /// A file, or `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.directory.join(name);
        let mut content = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_TARGET + 1).read_to_end(&mut content))
        {
            Ok(_) if content.len() as u64 > MAX_TARGET => Err(Error::TooLarge {
                what: path.display().to_string(),
                limit: MAX_TARGET,
            }),
            Ok(_) => Ok(Some(content)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::file("read", path, cause)),
        }
    }

    /// Writes a file in one step.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        write_whole(&self.directory.join(name), content)
    }

    /// Forgets what was trusted.
    pub(super) fn clear(&self) -> Result<(), Error> {
        let mut names = vec![
            "anchor.json",
            "root.json",
            "timestamp.json",
            "snapshot.json",
        ];
        names.push("targets.json");
        for name in names {
            let path = self.directory.join(name);
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, cause));
                }
                _ => {}
            }
        }
        for name in ["root_history", "targets"] {
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
    // A name of dots alone would lead elsewhere.
    let escaped = utf8_percent_encode(name, PATH_SEGMENT).to_string();
    match escaped.bytes().all(|byte| byte == b'.') {
        true => format!("targets/{}", escaped.replace('.', "%2E")),
        false => format!("targets/{escaped}"),
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
