//! A repository whose metadata has been checked, and its targets (sections 5.6.7 and 5.7 of the specification).

use std::path::Path;

use super::cache::{download_path, target_path, write_whole};
use super::metadata::{Metadata, shown};
use super::remote::Remote;
use super::root::Root;
use super::search::{Candidate, Search};
use super::snapshot::SnapshotBody;
use super::source::{Described, Source, Written};
use super::targets::{TargetFile, TargetsBody};
use super::*;

/// A repository whose metadata has been checked.
#[derive(Debug)]
pub struct Repository {
    pub(super) source: Source,
    pub(super) root: Root,
    pub(super) timestamp_expires: Timestamp,
    pub(super) timestamp_signed: Option<Timestamp>,
    pub(super) snapshot_json: Vec<u8>,
    pub(super) snapshot: Metadata<SnapshotBody>,
    pub(super) targets: Metadata<TargetsBody>,
}

impl Repository {
    /// The repository's URL.
    pub fn mirror(&self) -> &str {
        &self.source.mirror
    }

    /// Version of the newest root.
    pub fn root_version(&self) -> u64 {
        self.root.version()
    }

    /// When the repository's word stops counting, if it is not renewed: the timestamp's end.
    pub fn expires(&self) -> Timestamp {
        self.timestamp_expires
    }

    /// When the repository gave its word, if it says so: what it has now it had at that moment, and nothing newer.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.timestamp_signed
    }

    /// The names of the top-level role's own targets.
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        self.targets.body.targets.keys().map(String::as_str)
    }

    /// Whether there is a target of this name, of the top-level role or of a role to which it is delegated.
    ///
    /// # Errors
    /// If a delegated role that may know it cannot be had or trusted.
    pub async fn has(&self, name: &str) -> Result<bool, Error> {
        self.find(name).await.map(|found| found.is_some())
    }

    /// A target, from the cache if it is there as described, else from the repository (5.7).
    ///
    /// # Errors
    /// If there is no target of this name, or it cannot be had as it is described.
    pub async fn target(&self, name: &str) -> Result<Vec<u8>, Error> {
        match self.target_as_kept(name).await {
            // Perhaps another process replaces the cache just now, and nobody else can be asked.
            Err(Error::NotCached { .. } | Error::Mismatch { .. })
                if self.source.remote.is_none() =>
            {
                let _lock = self.source.cache.lock_if_writable().await?;
                self.target_as_kept(name).await
            }
            other => other,
        }
    }

    async fn target_as_kept(&self, name: &str) -> Result<Vec<u8>, Error> {
        let target = self.wanted(name).await?;
        let path = target_path(name);
        let Some(remote) = &self.source.remote else {
            let content = self.source.cached(&path)?;
            check(name, &target, &content)?;
            return Ok(content);
        };
        // Before `initialize` has replaced the cache, the repository must show that it has its targets.
        if let Some(content) = self.source.kept(&path)?
            && check(name, &target, &content).is_ok()
        {
            return Ok(content);
        }
        let content = self.fetch(remote, "targets/", name, &target).await?;
        self.source.keep(&path, &content)?;
        Ok(content)
    }

    /// Downloads a target below `base_url` into `directory`, where its file has its name, escaped as in a URL; nothing
    /// is asked if it is there. A file that is not as described is not written.
    ///
    /// # Errors
    /// As [`target`](Self::target).
    pub async fn download(
        &self,
        name: &str,
        base_url: &str,
        directory: &Path,
    ) -> Result<PathBuf, Error> {
        let target = self.wanted(name).await?;
        let path = download_path(directory, name);
        let is_there = std::fs::metadata(&path)
            .is_ok_and(|file| file.is_file() && file.len() == target.length)
            && std::fs::read(&path).is_ok_and(|content| target.check(&content).is_ok());
        if !is_there {
            let remote = Remote::new(base_url)?;
            let content = self.fetch(&remote, "", name, &target).await?;
            write_whole(&path, &content)?;
        }
        Ok(path)
    }

    async fn wanted(&self, name: &str) -> Result<TargetFile, Error> {
        let Some(target) = self.find(name).await? else {
            let has: Vec<&str> = self.target_names().take(20).collect();
            return Err(Error::NoTarget {
                mirror: self.mirror().to_owned(),
                name: name.to_owned(),
                has: has.join(", "),
            });
        };
        if target.length > MAX_TARGET {
            return Err(Error::TooLarge {
                what: name.to_owned(),
                limit: MAX_TARGET,
            });
        }
        Ok(target)
    }

    /// 5.6.7: what the most trusted role says that speaks of the target.
    async fn find(&self, name: &str) -> Result<Option<TargetFile>, Error> {
        let mut search = Search::new(name);
        if let Some(found) = search.tell("targets", &self.targets.body) {
            return Ok(Some(found.clone()));
        }
        while let Some(candidate) = search.next() {
            let says = self.delegated(&search, &candidate).await?;
            if let Some(found) = search.tell(&candidate.name, &says.body) {
                return Ok(Some(found.clone()));
            }
        }
        Ok(None)
    }

    /// The metadata of a delegated role.
    async fn delegated(
        &self,
        search: &Search<'_>,
        candidate: &Candidate,
    ) -> Result<Metadata<TargetsBody>, Error> {
        let name = format!("the targets role {}", shown(&candidate.name));
        let signers = search.signers(candidate).ok_or_else(|| Error::Malformed {
            role: name.clone(),
            reason: "nobody delegates to it".to_owned(),
        })?;
        let path = self.source.cache.delegated_path(&candidate.name);
        let described = Described {
            role: &candidate.name,
            name: &name,
            cached: &path,
            meta: self.snapshot.describes(&candidate.name)?,
            by: "snapshot",
            consistent: self.root.consistent_snapshot(),
            limit: MAX_TARGETS,
        };
        let (json, metadata) = self
            .source
            .described::<TargetsBody>(&described, &signers)
            .await?;
        self.keep_delegated(&path, &json).await?;
        Ok(metadata)
    }

    /// Keeps metadata of a delegated role, unless another process has gone on to a newer snapshot meanwhile.
    async fn keep_delegated(&self, path: &str, json: &[u8]) -> Result<(), Error> {
        if !self.source.believes_cache() {
            return self.source.keep(path, json);
        }
        if self.source.remote.is_none() || self.source.kept(path)?.as_deref() == Some(json) {
            return Ok(());
        }
        let _lock = self.source.cache.lock().await?;
        match self.source.kept("snapshot.json")?.as_deref() == Some(&self.snapshot_json) {
            true => self.source.keep(path, json),
            false => Ok(()),
        }
    }

    async fn fetch(
        &self,
        remote: &Remote,
        prefix: &str,
        name: &str,
        target: &TargetFile,
    ) -> Result<Vec<u8>, Error> {
        let path = match self.root.consistent_snapshot() {
            true => hashed_name(name, target.hashes.first()),
            false => name.to_owned(),
        };
        let path = format!("{prefix}{}", in_url(&path));
        let content = remote.get(&path, target.length).await?;
        let content = content.ok_or_else(|| Error::Missing {
            place: self.mirror().to_owned(),
            file: path,
        })?;
        check(name, target, &content)?;
        Ok(content)
    }

    /// Replaces the cache by what was collected. It is locked.
    pub(super) fn commit(&mut self, anchor: Option<&[u8]>) -> Result<(), Error> {
        let files = match std::mem::replace(&mut *self.source.written(), Written::ToCache) {
            Written::ToCache => return Ok(()),
            Written::Later(files) => files,
        };
        let cache = &self.source.cache;
        cache.clear()?;
        if let Some(anchor) = anchor {
            cache.write("anchor.json", anchor)?;
        }
        for (name, content) in &files {
            cache.write(name, content)?;
        }
        Ok(())
    }
}

fn check(name: &str, target: &TargetFile, content: &[u8]) -> Result<(), Error> {
    target.check(content).map_err(|reason| Error::Mismatch {
        what: format!("target {name}"),
        by: "targets",
        reason,
    })
}

/// With consistent snapshots the last part of a name begins with a hash.
fn hashed_name(name: &str, hash: &str) -> String {
    match name.rsplit_once('/') {
        Some((directory, last)) => format!("{directory}/{hash}.{last}"),
        None => format!("{hash}.{name}"),
    }
}

/// A target's path is a relative URL already, as the specification and other clients have it: a `%` or a `?` stays.
/// Only what cannot be in a URL is escaped, and what would end the path or be read as another character.
fn in_url(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, &NOT_IN_URLS).to_string()
}

const NOT_IN_URLS: percent_encoding::AsciiSet = percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
