//! What a client remembers of logs from one run to the next: the newest checkpoint of each tree, and keys that were
//! taken on trust.
//!
//! Invariant: what is remembered of a tree never gets smaller. A log that shows this machine another tree than before is
//! found out by [`Memory::check_v1`] and [`Memory::check_v2`], whoever signed it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealmark_keys::PublicKey;
use sealmark_tlog::{Checkpoint, Note};
use serde::{Deserialize, Serialize};

use crate::tiles::Reader;
use crate::{Error, SignedCheckpoint, v1};

/// A larger file is none of ours: a log takes less than 2 kB.
const MAX_FILE: u64 = 16 << 20;

/// The file, and whether it is written.
#[derive(Clone, Debug)]
pub struct Memory {
    path: PathBuf,
    writes: bool,
}

/// The file's content, by the logs' URLs.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Document {
    #[serde(default)]
    logs: BTreeMap<String, Known>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    /// PEM, as the server gave them first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    /// Signed notes, by their origins.
    #[serde(default)]
    checkpoints: BTreeMap<String, String>,
}

/// A checkpoint beside the one that is remembered of its tree. All of these are proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compared {
    /// Nothing is remembered of this tree.
    First,
    /// It is the same tree.
    Same,
    /// The tree has grown, and had so many entries before.
    Grown {
        /// So many.
        from: u64,
    },
    /// The checkpoint is older than the one that is remembered, of so many entries.
    Older {
        /// So many.
        than: u64,
    },
}

impl Memory {
    /// Where it is, if nobody says: below `$XDG_STATE_HOME` or `~/.local/state`. `variable` looks one up; `None` without
    /// a home.
    pub fn default_path(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let folder = match variable("XDG_STATE_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(&variable("HOME")?).join(".local/state"),
        };
        Some(folder.join("sealmark/logs.json"))
    }

    /// What is remembered in a file, which need not be there. It is only written if `writes`.
    pub fn new(path: impl Into<PathBuf>, writes: bool) -> Self {
        Self {
            path: path.into(),
            writes,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys that were remembered of the log at `url`.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn keys(&self, url: &str) -> Result<Vec<PublicKey>, Error> {
        let mut document = self.load()?;
        let known = document.logs.remove(url).unwrap_or_default();
        let keys = known.keys.iter().map(|pem| {
            PublicKey::from_pem(pem.as_bytes())
                .map_err(|error| self.failed("read", format_args!("a key of {url}: {error}")))
        });
        keys.collect()
    }

    /// Remembers the keys of the log at `url`.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn remember_keys(&self, url: &str, keys: &[PublicKey]) -> Result<(), Error> {
        self.update(|document| {
            let known = document.logs.entry(url.to_owned()).or_default();
            known.keys = keys.iter().map(PublicKey::to_pem).collect();
        })
    }

    /// Compares a checkpoint with what is remembered of its tree, has the log prove the growth, and remembers it.
    ///
    /// # Errors
    /// [`Error::Unproven`] if one tree is not the beginning of the other; of the network; [`Error::State`].
    pub async fn check_v1(
        &self,
        client: &v1::Client,
        signed: &SignedCheckpoint,
    ) -> Result<Compared, Error> {
        let url = client.http().shown();
        let Some(before) = self.checkpoint(url, &signed.checkpoint.origin)? else {
            self.remember(url, signed)?;
            return Ok(Compared::First);
        };
        let now = &signed.checkpoint;
        let (small, large) = match before.size <= now.size {
            true => (&before, now),
            false => (now, &before),
        };
        let tree = now.rekor_v1_tree().map_or(0, |(_, tree)| tree);
        let grown = client
            .verify_growth(tree, (small.size, &small.root), (large.size, &large.root))
            .await;
        match grown {
            Err(Error::Refused { .. }) if before.size > now.size => {
                return Err(shrunk(&client.http().authority(), &before, now));
            }
            grown => grown?,
        }
        self.compared(url, &before, signed)
    }

    /// As [`check_v1`](Self::check_v1), for a log of tiles.
    ///
    /// # Errors
    /// As [`check_v1`](Self::check_v1).
    pub async fn check_v2(
        &self,
        reader: &Reader,
        signed: &SignedCheckpoint,
    ) -> Result<Compared, Error> {
        let url = reader.http().shown();
        let Some(before) = self.checkpoint(url, &signed.checkpoint.origin)? else {
            self.remember(url, signed)?;
            return Ok(Compared::First);
        };
        let now = &signed.checkpoint;
        let (small, large) = match before.size <= now.size {
            true => (&before, now),
            false => (now, &before),
        };
        let root = match small.size == large.size {
            true => large.root,
            false => {
                let tree = match reader.tree(large).await {
                    Err(Error::Refused { status: 404, .. }) if before.size > now.size => {
                        return Err(shrunk(&reader.http().authority(), &before, now));
                    }
                    tree => tree,
                };
                tree?.root_at(small.size).await?
            }
        };
        if root != small.root {
            let what = format!("the growth from {} to {} entries", small.size, large.size);
            let reason = format!(
                "the tree of {} entries had the root {}, and that of {} entries begins with {root}: the log shows different people different entries",
                small.size, small.root, large.size
            );
            return Err(Error::unproven(&reader.http().authority(), what, reason));
        }
        self.compared(url, &before, signed)
    }

    fn compared(
        &self,
        url: &str,
        before: &Checkpoint,
        signed: &SignedCheckpoint,
    ) -> Result<Compared, Error> {
        let now = signed.checkpoint.size;
        if now > before.size {
            self.remember(url, signed)?;
        }
        Ok(match now.cmp(&before.size) {
            std::cmp::Ordering::Less => Compared::Older { than: before.size },
            std::cmp::Ordering::Equal => Compared::Same,
            std::cmp::Ordering::Greater => Compared::Grown { from: before.size },
        })
    }

    /// The checkpoint that is remembered of a tree. Its signature was checked when it was remembered.
    fn checkpoint(&self, url: &str, origin: &str) -> Result<Option<Checkpoint>, Error> {
        let document = self.load()?;
        let Some(note) = document
            .logs
            .get(url)
            .and_then(|known| known.checkpoints.get(origin))
        else {
            return Ok(None);
        };
        Note::parse(note)
            .and_then(|note| Checkpoint::parse(&note.text))
            .map(Some)
            .map_err(|error| self.failed("read", format_args!("the checkpoint of {url}: {error}")))
    }

    fn remember(&self, url: &str, signed: &SignedCheckpoint) -> Result<(), Error> {
        self.update(|document| {
            let known = document.logs.entry(url.to_owned()).or_default();
            let before = known.checkpoints.get(&signed.checkpoint.origin);
            let before = before
                .and_then(|note| Note::parse(note).ok())
                .and_then(|note| Checkpoint::parse(&note.text).ok());
            // Another process may have seen more in the meantime.
            if before.is_none_or(|before| before.size < signed.checkpoint.size) {
                let (origin, note) = (signed.checkpoint.origin.clone(), signed.note.clone());
                known.checkpoints.insert(origin, note);
            }
        })
    }

    fn load(&self) -> Result<Document, Error> {
        let mut text = String::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Document::default()),
            Err(error) => return Err(self.failed("read", error)),
            Ok(file) => file
                .take(MAX_FILE)
                .read_to_string(&mut text)
                .map_err(|error| self.failed("read", error))?,
        };
        serde_json::from_str(&text).map_err(|error| {
            self.failed(
                "read",
                format_args!("{error}; if it is removed, logs are compared with nothing once"),
            )
        })
    }

    /// Changes the file, one process after the other.
    fn update(&self, change: impl FnOnce(&mut Document)) -> Result<(), Error> {
        if !self.writes {
            return Ok(());
        }
        let failed = |error: std::io::Error| self.failed("write", error);
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.with_extension("lock"))
            .map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut document = self.load()?;
        change(&mut document);
        let json =
            serde_json::to_vec_pretty(&document).map_err(|error| self.failed("write", error))?;
        let mut file = tempfile::Builder::new()
            .prefix(".logs-")
            .tempfile_in(folder)
            .map_err(failed)?;
        file.write_all(&json).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn failed(&self, action: &'static str, reason: impl std::fmt::Display) -> Error {
        Error::State {
            action,
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

fn shrunk(host: &str, before: &Checkpoint, now: &Checkpoint) -> Error {
    let (then, now) = (before.size, now.size);
    Error::unproven(
        host,
        format!("a tree of {now} entries"),
        format!(
            "it had {then} when it was last seen from here, and cannot prove that it still has them: it was rolled back"
        ),
    )
}
