//! Where files come from, the repository or the cache, and where they are kept once they are trusted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::cache::{Cache, escaped};
use super::keys::Signers;
use super::metadata::{MetaFile, Metadata, Role};
use super::remote::Remote;
use crate::Error;

/// A repository and its cache.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) cache: Cache,
    /// `None` offline.
    pub(super) remote: Option<Remote>,
    /// The repository's URL.
    pub(super) mirror: String,
    /// The time at which the update began (5.1).
    pub(super) now: Timestamp,
    pub(super) written: Mutex<Written>,
}

/// What has become trusted and is to be kept.
#[derive(Debug)]
pub(super) enum Written {
    /// Kept at once; the cache says what was trusted before.
    ToCache,
    /// Collected, so that an old cache, which is not believed, stays whole until all of the new one is there.
    Later(Vec<(String, Vec<u8>)>),
}

/// Metadata that is trusted, as it came and as it was read.
pub(super) type Trusted<T> = (Vec<u8>, Metadata<T>);

/// Metadata that other metadata describes.
pub(super) struct Described<'a> {
    /// `snapshot`, or a targets role.
    pub(super) role: &'a str,
    /// For people.
    pub(super) name: &'a str,
    /// Where the cache has it.
    pub(super) cached: &'a str,
    pub(super) meta: &'a MetaFile,
    pub(super) by: &'static str,
    pub(super) consistent: bool,
    /// For files whose length is not said.
    pub(super) limit: u64,
}

impl Source {
    pub(super) fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cache says what was trusted before.
    pub(super) fn believes_cache(&self) -> bool {
        matches!(*self.written(), Written::ToCache)
    }

    /// What is kept under this name.
    pub(super) fn kept(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Written::Later(files) = &*self.written() {
            let found = files.iter().rev().find(|(kept, _)| kept == name);
            return Ok(found.map(|(_, content)| content.clone()));
        }
        self.cache.read(name)
    }

    /// What the cache must have, because nothing else may be asked.
    pub(super) fn cached(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.cache.read(name)?.ok_or_else(|| Error::NotCached {
            cache: self.cache.directory().to_owned(),
            file: name.to_owned(),
        })
    }

    /// The repository's file `remote`, or offline the cache's `cached`.
    pub(super) async fn fetch(
        &self,
        remote: &str,
        cached: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        match &self.remote {
            Some(repository) => {
                let file = repository.get(remote, limit).await?;
                file.ok_or_else(|| Error::Missing {
                    place: self.mirror.clone(),
                    file: remote.to_owned(),
                })
            }
            None => self.cached(cached),
        }
    }

    /// Keeps what has become trusted. Offline, it came from the cache.
    pub(super) fn keep(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        if self.remote.is_none() {
            return Ok(());
        }
        if let Written::Later(files) = &mut *self.written() {
            files.push((name.to_owned(), content.to_vec()));
            return Ok(());
        }
        if self.cache.read(name)?.as_deref() == Some(content) {
            return Ok(());
        }
        self.cache.write(name, content)
    }

    /// Forgets what was trusted.
    pub(super) fn forget(&self, name: &str) -> Result<(), Error> {
        match self.believes_cache() && self.remote.is_some() {
            true => self.cache.remove(name),
            false => Ok(()),
        }
    }

    /// What has expired at the time at which the update began is not to be trusted.
    pub(super) fn expiry(
        &self,
        role: &'static str,
        name: &str,
        version: u64,
        expires: Timestamp,
    ) -> Result<(), Error> {
        if self.now < expires {
            return Ok(());
        }
        Err(Error::Expired {
            role,
            name: name.to_owned(),
            version,
            expires,
            now: self.now,
            offline: self.remote.is_none(),
        })
    }

    /// Metadata as other metadata describes it (5.5.1 to 5.5.6, 5.6.1 to 5.6.5): what is kept, if it is that, else the
    /// repository's. It is not kept yet.
    pub(super) async fn described<T: Role>(
        &self,
        what: &Described<'_>,
        signers: &Signers<'_>,
    ) -> Result<Trusted<T>, Error> {
        let check = |json: &[u8]| -> Result<Metadata<T>, Error> {
            let mismatch = |reason| Error::Mismatch {
                what: what.name.to_owned(),
                by: what.by,
                reason,
            };
            what.meta.check(json).map_err(mismatch)?;
            let metadata = signers.verify::<T>(what.name, json)?;
            let wanted = what.meta.version.get();
            if metadata.version != wanted {
                let found = metadata.version;
                return Err(mismatch(format!("version {found} instead of {wanted}")));
            }
            self.expiry(T::NAME, what.name, metadata.version, metadata.expires)?;
            Ok(metadata)
        };
        if let Some(json) = self.kept(what.cached)?
            && let Ok(metadata) = check(&json)
        {
            return Ok((json, metadata));
        }
        let file = escaped(what.role);
        let remote = match what.consistent {
            true => format!("{}.{file}.json", what.meta.version),
            false => format!("{file}.json"),
        };
        let limit = what.meta.length.unwrap_or(what.limit).min(what.limit);
        let json = self.fetch(&remote, what.cached, limit).await?;
        let metadata = check(&json)?;
        Ok((json, metadata))
    }
}
