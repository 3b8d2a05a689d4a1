//! What a monitor remembers between runs: of each log the last checkpoint that was proven, and the next index to read.
//!
//! Invariant: the file is always whole, and what it says has happened: an entry below the next index was reported, and
//! the checkpoint's signature and its consistency with those before it were checked. One process has it at a time.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::Error;

/// A larger file is none of ours, in bytes: a log takes less than 1 kB.
const MAX_STATE: u64 = 8 << 20;
/// The form that is read and written.
const VERSION: u32 = 1;

/// Of one log, or of one shard of a Rekor v1.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogState {
    /// Where it was read.
    pub url: String,
    /// The last checkpoint that was proven, as it was signed.
    pub checkpoint: String,
    /// The next index to read, in the tree.
    pub next: u64,
    /// What was looked for, as [`Watch::summary`](super::Watch::summary) has it.
    pub looking_for: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    /// By the origin of the checkpoints.
    logs: BTreeMap<String, LogState>,
}

/// The file, and that it is ours alone.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    logs: BTreeMap<String, LogState>,
    /// Locked until it is closed, also by a crash.
    _lock: File,
}

impl State {
    /// Reads the file, or begins one. Its directory is made if it is not there.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::InUse`] if another process has it; [`Error::State`] if it is none of ours.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let directory = parent(path);
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let lock = lock(&beside(path, ".lock"))?.ok_or_else(|| Error::InUse {
            path: path.to_owned(),
        })?;
        let damaged = |reason: String| Error::State {
            path: path.to_owned(),
            reason,
        };
        let logs = match read(path)? {
            None => BTreeMap::new(),
            Some(bytes) => {
                let content: Content =
                    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                if content.version != VERSION {
                    return Err(damaged(format!(
                        "its version is {}, and this program reads version {VERSION}",
                        content.version
                    )));
                }
                content.logs
            }
        };
        Ok(Self {
            path: path.to_owned(),
            logs,
            _lock: lock,
        })
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of the log whose checkpoints have this origin.
    pub fn log(&self, origin: &str) -> Option<&LogState> {
        self.logs.get(origin)
    }

    /// The origins of the trees of a Rekor v1 that were read at this URL.
    pub fn trees_at<'a>(&'a self, url: &'a str) -> impl Iterator<Item = &'a str> {
        let logs = self.logs.iter().filter(move |(_, log)| log.url == url);
        let origins = logs.map(|(origin, _)| origin.as_str());
        origins.filter(|origin| {
            let tree = origin.rsplit_once(" - ").map(|(_, tree)| tree);
            tree.is_some_and(|tree| tree.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }

    /// Remembers, in memory until it is [saved](Self::save).
    pub fn set(&mut self, origin: &str, log: LogState) {
        self.logs.insert(origin.to_owned(), log);
    }

    /// Writes the file. When this returns, it outlives a loss of power.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self) -> Result<(), Error> {
        let content = Content {
            version: VERSION,
            logs: self.logs.clone(),
        };
        let mut json = serde_json::to_vec_pretty(&content).map_err(|error| Error::State {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        json.push(b'\n');
        write(&self.path, &json)
    }

    /// Writes two checkpoints that contradict each other into a new file beside the state, and gives its path.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save_evidence(&self, json: &[u8]) -> Result<PathBuf, Error> {
        for number in 1u32.. {
            let path = beside(&self.path, &format!(".inconsistent-{number}.json"));
            // What was written before is evidence, too.
            if read(&path)?.is_some_and(|before| before != json) {
                continue;
            }
            write(&path, json)?;
            return Ok(path);
        }
        Err(Error::State {
            path: self.path.clone(),
            reason: "there are too many files of evidence beside it".to_owned(),
        })
    }
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent();
    parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// `state.json` and `.lock` make `state.json.lock`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::file("read", path))?,
    };
    file.take(MAX_STATE + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_STATE {
        return Err(Error::State {
            path: path.to_owned(),
            reason: format!("it is larger than {MAX_STATE} bytes"),
        });
    }
    Ok(Some(bytes))
}

/// The old file or the new one is there, whole, whatever happens.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = parent(path);
    let failed = || Error::file("write", path);
    let mut file = NamedTempFile::new_in(directory).map_err(Error::file("write in", directory))?;
    file.write_all(bytes).map_err(failed())?;
    file.as_file().sync_all().map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    // The rename is durable when the directory is; only Unix lets a directory be opened for that.
    if cfg!(unix) {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::file("flush", directory))?;
    }
    Ok(())
}

/// `None` if another process has it.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::file("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(Error::file("lock", path)(cause)),
    }
}
