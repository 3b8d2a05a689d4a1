//! A client of any TUF repository, by the letter of the specification: one directory of trusted metadata, and targets
//! that are downloaded where the caller says.

use std::path::Path;
use std::sync::Mutex;

use super::cache::{Cache, write_whole};
use super::remote::Remote;
use super::source::{Source, Written};
use super::*;

/// A client whose trusted root is `root.json` in its directory, which every new root replaces.
///
/// The directory has the metadata that is trusted, in files without versions in their names: `root.json`,
/// `timestamp.json`, `snapshot.json`, `targets.json` and `ROLE.json` of delegated roles. For Sigstore's repositories
/// there is [`refresh`], which goes the whole way from a pinned root each time.
#[derive(Clone, Debug)]
pub struct Client {
    directory: PathBuf,
    metadata_url: String,
    now: Timestamp,
}

impl Client {
    /// A client of the repository whose metadata is at `metadata_url`, with its own in `directory`. What has expired at
    /// `now` is not trusted.
    pub fn new(directory: impl Into<PathBuf>, metadata_url: &str, now: Timestamp) -> Self {
        Self {
            directory: directory.into(),
            metadata_url: metadata_url.to_owned(),
            now,
        }
    }

    /// Makes `root` the one to begin with (5.2). It is trusted because it is given; an update checks that it is one.
    ///
    /// # Errors
    /// If it is too large, or cannot be written.
    pub fn trust(directory: &Path, root: &[u8]) -> Result<(), Error> {
        if root.len() as u64 > MAX_ROOT {
            return Err(Error::TooLarge {
                what: "the root".to_owned(),
                limit: MAX_ROOT,
            });
        }
        write_whole(&directory.join("root.json"), root)
    }

    /// Brings the metadata of the top-level roles up to date, as [`refresh`] does.
    ///
    /// # Errors
    /// As [`refresh`]; what had been checked before is kept.
    pub async fn refresh(&self) -> Result<Repository, Error> {
        let cache = Cache::plain(self.directory.clone());
        let _lock = cache.lock().await?;
        let pinned = cache.read("root.json")?.ok_or_else(|| Error::NotCached {
            cache: self.directory.clone(),
            file: "root.json".to_owned(),
        })?;
        let source = Source {
            cache,
            remote: Some(Remote::new(&self.metadata_url)?),
            mirror: self.metadata_url.clone(),
            now: self.now,
            written: Mutex::new(Written::ToCache),
        };
        update::update(source, &pinned).await
    }
}
