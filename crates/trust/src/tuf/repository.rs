//! A repository whose metadata has been checked, and its targets (section 5.7 of the specification).

use jiff::Timestamp;

use super::cache::{Cache, target_path};
use super::metadata::{Metadata, TargetFile, TargetsBody, describes};
use super::remote::Remote;
use super::root::Root;
use super::*;

/// A repository whose metadata has been checked.
#[derive(Debug)]
pub struct Repository {
    pub(super) source: Source,
    pub(super) mirror: String,
    pub(super) root: Root,
    pub(super) timestamp_expires: Timestamp,
    pub(super) targets: Metadata<TargetsBody>,
    pub(super) written: Written,
}

/// Where files are from, and where they are kept.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) cache: Cache,
    /// `None` offline.
    pub(super) remote: Option<Remote>,
}

/// What has become trusted and is to be kept.
#[derive(Debug)]
pub(super) enum Written {
    /// Kept at once.
    ToCache,
    /// Collected, so that an old cache stays whole until all of the new one is there.
    Later(Vec<(String, Vec<u8>)>),
}

impl Source {
    pub(super) fn cached(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.cache.read(name)?.ok_or_else(|| Error::NotCached {
            cache: self.cache.directory().to_owned(),
            file: name.to_owned(),
        })
    }

    /// Writes what the cache does not have like this already.
    pub(super) fn keep(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        if self.cache.read(name)?.as_deref() == Some(content) {
            return Ok(());
        }
        self.cache.write(name, content)
    }
}

impl Repository {
    /// The repository's URL.
    pub fn mirror(&self) -> &str {
        &self.mirror
    }

    /// Version of the newest root.
    pub fn root_version(&self) -> u64 {
        self.root.version()
    }

    /// When the repository's word stops counting, if it is not renewed: the timestamp's end.
    pub fn expires(&self) -> Timestamp {
        self.timestamp_expires
    }

    /// The names of the targets.
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        self.targets.body.targets.keys().map(String::as_str)
    }

    /// Whether there is a target of this name.
    pub fn has(&self, name: &str) -> bool {
        self.targets.body.targets.contains_key(name)
    }

    /// A target, from the cache if it is there as described, else from the repository (5.7).
    ///
    /// # Errors
    /// If there is no target of this name, or it cannot be had as it is described.
    pub async fn target(&self, name: &str) -> Result<Vec<u8>, Error> {
        let Some(target) = self.targets.body.targets.get(name) else {
            let has: Vec<&str> = self.target_names().take(20).collect();
            return Err(Error::NoTarget {
                mirror: self.mirror.clone(),
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
        let check = |content: &[u8]| {
            describes(Some(target.length), &target.hashes, true, content).map_err(|reason| {
                Error::Mismatch {
                    what: format!("target {name}"),
                    by: "targets",
                    reason,
                }
            })
        };
        let path = target_path(name);
        let Some(remote) = &self.source.remote else {
            let content = self.source.cached(&path)?;
            check(&content)?;
            return Ok(content);
        };
        // Before `initialize` has replaced the cache, the repository must show that it has its targets.
        if let Written::ToCache = self.written
            && let Some(content) = self.source.cache.read(&path)?
            && check(&content).is_ok()
        {
            return Ok(content);
        }
        let remote_path = remote_target(name, target, self.root.consistent_snapshot());
        let content = remote.get(&remote_path, target.length).await?;
        let content = content.ok_or_else(|| Error::Missing {
            place: self.mirror.clone(),
            file: remote_path,
        })?;
        check(&content)?;
        if let Written::ToCache = self.written {
            self.source.keep(&path, &content)?;
        }
        Ok(content)
    }

    /// Replaces the cache by what was collected, with these targets.
    pub(super) fn commit(
        &mut self,
        anchor: Option<&[u8]>,
        targets: &[(String, Vec<u8>)],
    ) -> Result<(), Error> {
        let files = match std::mem::replace(&mut self.written, Written::ToCache) {
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
        for (name, content) in targets {
            cache.write(&target_path(name), content)?;
        }
        Ok(())
    }
}

/// `targets/` and the name; with consistent snapshots the last part begins with a hash.
fn remote_target(name: &str, target: &TargetFile, consistent: bool) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let hash = target
        .hashes
        .get("sha256")
        .or_else(|| target.hashes.get("sha512"));
    let mut parts: Vec<String> = name
        .split('/')
        .map(|part| utf8_percent_encode(part, &UNRESERVED).to_string())
        .collect();
    if let (true, Some(hash), Some(last)) = (consistent, hash, parts.last_mut()) {
        *last = format!("{}.{last}", utf8_percent_encode(hash, NON_ALPHANUMERIC));
    }
    // Parts like `..` are the server's business, and a name without meaning there gives 404.
    format!("targets/{}", parts.join("/"))
}

const UNRESERVED: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
