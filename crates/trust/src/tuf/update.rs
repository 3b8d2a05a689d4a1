//! The client's workflow, section 5 of the specification, step by step.

use jiff::Timestamp;

use super::cache::{Cache, Lock};
use super::metadata::{
    MetaFile, Metadata, Role, SnapshotBody, TargetsBody, TimestampBody, describes,
};
use super::remote::Remote;
use super::repository::{Repository, Source, Written};
use super::root::Root;
use super::*;

/// Brings a repository's metadata up to date and checks it from the pinned root.
///
/// # Errors
/// If the repository cannot be reached, or anything in the chain is missing, unsigned, expired, older than what was
/// trusted before, or over a bound.
pub async fn refresh(options: &Options) -> Result<Repository, Error> {
    let cache = Cache::new(&options.cache, &options.mirror);
    // Also a reader waits: between a new timestamp and its snapshot the files do not fit together.
    let _lock = match options.offline {
        true => cache.lock_if_writable().await?,
        false => Some(cache.lock().await?),
    };
    let pinned = pinned_root(options, &cache)?;
    update(options, cache, &pinned, Written::ToCache).await
}

/// As [`refresh`] from `pinned`, without belief in what the cache holds. The cache is replaced when all is well.
pub(super) async fn start_anew(
    options: &Options,
    pinned: &[u8],
) -> Result<(Repository, Lock), Error> {
    let cache = Cache::new(&options.cache, &options.mirror);
    let lock = cache.lock().await?;
    let repository = update(options, cache, pinned, Written::Later(Vec::new())).await?;
    Ok((repository, lock))
}

/// 5.2: the root that is trusted from elsewhere.
fn pinned_root(options: &Options, cache: &Cache) -> Result<Vec<u8>, Error> {
    if let Some(root) = &options.root {
        return Ok(root.clone());
    }
    if let Some(anchor) = cache.read("anchor.json")? {
        return Ok(anchor);
    }
    if options.mirror.trim_end_matches('/') == PUBLIC_MIRROR {
        return Ok(EMBEDDED_ROOT.to_vec());
    }
    // What cosign's `initialize` leaves is all there is to begin with.
    cache.read("root.json")?.ok_or_else(|| Error::NoRoot {
        mirror: options.mirror.clone(),
    })
}

async fn update(
    options: &Options,
    cache: Cache,
    pinned: &[u8],
    written: Written,
) -> Result<Repository, Error> {
    let remote = match options.offline {
        true => None,
        false => Some(Remote::new(&options.mirror)?),
    };
    let mut step = Step {
        source: Source { cache, remote },
        mirror: &options.mirror,
        now: options.now,
        believe_cache: matches!(written, Written::ToCache),
        written,
    };
    let (root, rotated) = step.root(pinned).await?;
    // 5.3.11: whoever had a key that was exchanged may have raised the versions as far as they go.
    step.believe_cache &= !rotated;
    let timestamp = step.timestamp(&root).await?;
    let snapshot = step.snapshot(&root, &timestamp).await?;
    let targets = step.targets(&root, &snapshot).await?;
    Ok(Repository {
        source: step.source,
        mirror: options.mirror.clone(),
        root,
        timestamp_expires: timestamp.expires,
        targets,
        written: step.written,
    })
}

/// What the steps share.
struct Step<'a> {
    source: Source,
    mirror: &'a str,
    now: Timestamp,
    /// Whether the cache says what was trusted before.
    believe_cache: bool,
    written: Written,
}

impl Step<'_> {
    /// 5.3: from the pinned root to the newest, one by one. Also whether the keys of timestamp or snapshot changed on
    /// the part of the way that is new.
    async fn root(&mut self, pinned: &[u8]) -> Result<(Root, bool), Error> {
        let mut root = Root::pinned(pinned)?;
        let mut newest = pinned.to_vec();
        let mut rotated = false;
        for followed in 0.. {
            let name = format!("{}.root.json", root.version().saturating_add(1));
            let Some((json, next, is_new)) = self.next_root(&root, &name).await? else {
                break;
            };
            if followed == MAX_ROTATIONS {
                return Err(Error::TooManyRoots {
                    limit: MAX_ROTATIONS,
                });
            }
            if is_new {
                rotated |=
                    !next.same_keys(&root, "timestamp") || !next.same_keys(&root, "snapshot");
                self.keep(&format!("root_history/{name}"), &json)?;
            }
            root = next;
            newest = json;
        }
        self.expiry("root", root.version(), root.expires())?;
        self.keep("root.json", &newest)?;
        Ok((root, rotated))
    }

    /// The root after `root`, if there is one, and whether the cache did not have it.
    async fn next_root(
        &self,
        root: &Root,
        name: &str,
    ) -> Result<Option<(Vec<u8>, Root, bool)>, Error> {
        if self.believe_cache {
            let history = self.source.cache.read(&format!("root_history/{name}"))?;
            // cosign keeps the newest root only.
            let newest = self.source.cache.read("root.json")?;
            for json in [history, newest].into_iter().flatten() {
                if let Ok(next) = root.next(&json) {
                    return Ok(Some((json, next, false)));
                }
            }
        }
        let Some(remote) = &self.source.remote else {
            return Ok(None);
        };
        match remote.get(name, MAX_ROOT).await? {
            None => Ok(None),
            Some(json) => {
                let next = root.next(&json)?;
                Ok(Some((json, next, true)))
            }
        }
    }

    /// 5.4: the newest timestamp, not older than the one that was trusted.
    async fn timestamp(&mut self, root: &Root) -> Result<Metadata<TimestampBody>, Error> {
        let name = "timestamp.json";
        let trusted = self.trusted::<TimestampBody>(root, name)?;
        let json = self.fetch(name, name, MAX_TIMESTAMP).await?;
        let timestamp: Metadata<TimestampBody> = root.verify(&json)?;
        let offered = snapshot_meta(&timestamp)?.version;
        if let Some(trusted) = trusted {
            not_older("timestamp", trusted.version, timestamp.version)?;
            not_older("snapshot", snapshot_meta(&trusted)?.version, offered)?;
        }
        self.expiry("timestamp", timestamp.version, timestamp.expires)?;
        self.keep(name, &json)?;
        Ok(timestamp)
    }

    /// 5.5: the snapshot that the timestamp describes, without a targets file that went back.
    async fn snapshot(
        &mut self,
        root: &Root,
        timestamp: &Metadata<TimestampBody>,
    ) -> Result<Metadata<SnapshotBody>, Error> {
        let meta = snapshot_meta(timestamp)?;
        let trusted = self.trusted::<SnapshotBody>(root, "snapshot.json")?;
        let (json, snapshot) = self
            .described::<SnapshotBody>(root, "snapshot.json", meta, "timestamp", MAX_SNAPSHOT)
            .await?;
        for (name, before) in trusted.iter().flat_map(|trusted| &trusted.body.meta) {
            let now = snapshot.body.meta.get(name);
            not_older(name, before.version, now.map_or(0, |now| now.version))?;
        }
        self.expiry("snapshot", snapshot.version, snapshot.expires)?;
        self.keep("snapshot.json", &json)?;
        Ok(snapshot)
    }

    /// 5.6: the targets that the snapshot describes.
    async fn targets(
        &mut self,
        root: &Root,
        snapshot: &Metadata<SnapshotBody>,
    ) -> Result<Metadata<TargetsBody>, Error> {
        let name = "targets.json";
        let meta = snapshot
            .body
            .meta
            .get(name)
            .ok_or_else(|| Error::Malformed {
                role: "snapshot".to_owned(),
                reason: format!("it does not describe {name}"),
            })?;
        let (json, targets) = self
            .described::<TargetsBody>(root, name, meta, "snapshot", MAX_TARGETS)
            .await?;
        self.expiry("targets", targets.version, targets.expires)?;
        self.keep(name, &json)?;
        Ok(targets)
    }

    /// Metadata that other metadata describes: the cache's, if it is that, else the repository's.
    async fn described<T: Role>(
        &self,
        root: &Root,
        name: &str,
        meta: &MetaFile,
        by: &'static str,
        limit: u64,
    ) -> Result<(Vec<u8>, Metadata<T>), Error> {
        let check = |json: &[u8]| -> Result<Metadata<T>, Error> {
            let mismatch = |reason| Error::Mismatch {
                what: name.to_owned(),
                by,
                reason,
            };
            describes(meta.length, &meta.hashes, false, json).map_err(mismatch)?;
            let metadata = root.verify::<T>(json)?;
            if metadata.version != meta.version {
                return Err(mismatch(format!(
                    "version {} instead of {}",
                    metadata.version, meta.version
                )));
            }
            Ok(metadata)
        };
        if self.believe_cache
            && let Some(json) = self.source.cache.read(name)?
            && let Ok(metadata) = check(&json)
        {
            return Ok((json, metadata));
        }
        let remote_name = match root.consistent_snapshot() {
            true => format!("{}.{name}", meta.version),
            false => name.to_owned(),
        };
        let limit = meta.length.unwrap_or(limit).min(limit);
        let json = self.fetch(&remote_name, name, limit).await?;
        let metadata = check(&json)?;
        Ok((json, metadata))
    }

    /// What the cache has of a role, if this root signs it; it only serves to notice that something went back.
    fn trusted<T: Role>(&self, root: &Root, name: &str) -> Result<Option<Metadata<T>>, Error> {
        if !self.believe_cache {
            return Ok(None);
        }
        let json = self.source.cache.read(name)?;
        Ok(json.and_then(|json| root.verify(&json).ok()))
    }

    async fn fetch(&self, remote: &str, cached: &str, limit: u64) -> Result<Vec<u8>, Error> {
        match &self.source.remote {
            Some(repository) => {
                let file = repository.get(remote, limit).await?;
                file.ok_or_else(|| Error::Missing {
                    place: self.mirror.to_owned(),
                    file: remote.to_owned(),
                })
            }
            None => self.source.cached(cached),
        }
    }

    fn expiry(&self, role: &'static str, version: u64, expires: Timestamp) -> Result<(), Error> {
        if self.now < expires {
            return Ok(());
        }
        Err(Error::Expired {
            role,
            version,
            expires,
            now: self.now,
            offline: self.source.remote.is_none(),
        })
    }

    fn keep(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        match (&mut self.written, &self.source.remote) {
            (_, None) => Ok(()),
            (Written::Later(files), _) => {
                files.push((name.to_owned(), content.to_vec()));
                Ok(())
            }
            (Written::ToCache, _) => self.source.keep(name, content),
        }
    }
}

fn snapshot_meta(timestamp: &Metadata<TimestampBody>) -> Result<&MetaFile, Error> {
    let meta = timestamp.body.meta.get("snapshot.json");
    meta.ok_or_else(|| Error::Malformed {
        role: "timestamp".to_owned(),
        reason: "it does not describe snapshot.json".to_owned(),
    })
}

fn not_older(what: &str, trusted: u64, offered: u64) -> Result<(), Error> {
    if offered >= trusted {
        return Ok(());
    }
    Err(Error::Rollback {
        what: what.to_owned(),
        trusted,
        offered,
    })
}
