//! The client's workflow, section 5 of the specification, step by step up to the top-level targets.
//!
//! Invariant: a file is kept when it has become trusted and not before, so that an update that fails at any step
//! leaves the cache as good as it was, or better.

use std::sync::Mutex;

use super::cache::{Cache, Lock};
use super::metadata::{Metadata, Role};
use super::remote::Remote;
use super::repository::Repository;
use super::root::Root;
use super::snapshot::SnapshotBody;
use super::source::{Described, Source, Trusted, Written};
use super::targets::TargetsBody;
use super::timestamp::{Offer, TimestampBody};
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
    let source = source(options, cache, Written::ToCache)?;
    update(source, &pinned).await
}

/// As [`refresh`] from `pinned`, without belief in what the cache holds. The cache is replaced when all is well.
pub(super) async fn start_anew(
    options: &Options,
    pinned: &[u8],
) -> Result<(Repository, Lock), Error> {
    let cache = Cache::new(&options.cache, &options.mirror);
    let lock = cache.lock().await?;
    let source = source(options, cache, Written::Later(Vec::new()))?;
    let repository = update(source, pinned).await?;
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

fn source(options: &Options, cache: Cache, written: Written) -> Result<Source, Error> {
    let remote = match options.offline {
        true => None,
        false => Some(Remote::new(&options.mirror)?),
    };
    Ok(Source {
        cache,
        remote,
        mirror: options.mirror.clone(),
        now: options.now,
        written: Mutex::new(written),
    })
}

/// The whole way from the pinned root. The cache is locked.
pub(super) async fn update(source: Source, pinned: &[u8]) -> Result<Repository, Error> {
    let root = root(&source, pinned).await?;
    let timestamp = timestamp(&source, &root).await?;
    let (snapshot_json, snapshot) = snapshot(&source, &root, &timestamp).await?;
    let targets = targets(&source, &root, &snapshot).await?;
    Ok(Repository {
        source,
        root,
        timestamp_expires: timestamp.expires,
        timestamp_signed: timestamp.signed_at(),
        snapshot_json,
        snapshot,
        targets,
    })
}

/// 5.3: from the pinned root to the newest, one by one.
async fn root(source: &Source, pinned: &[u8]) -> Result<Root, Error> {
    let mut root = Root::pinned(pinned)?;
    let mut newest = pinned.to_vec();
    let mut fetched = 0;
    loop {
        let name = format!("{}.root.json", root.version().saturating_add(1));
        if let Some((json, next)) = cached_root(source, &root, &name)? {
            (root, newest) = (next, json);
            continue;
        }
        let Some(remote) = source.remote.as_ref().filter(|_| fetched < MAX_ROTATIONS) else {
            break;
        };
        let Some(json) = remote.get(&name, MAX_ROOT).await? else {
            break;
        };
        let next = root.next(&json)?;
        // 5.3.11, before the new root is kept: an update that ends here must not forget it.
        if root.is_rotated_by(&next) {
            source.forget("timestamp.json")?;
            source.forget("snapshot.json")?;
        }
        if source.cache.keeps_roots() {
            source.keep(&format!("root_history/{name}"), &json)?;
        }
        source.keep("root.json", &json)?;
        fetched += 1;
        (root, newest) = (next, json);
    }
    source.keep("root.json", &newest)?;
    source.expiry("root", "root", root.version(), root.expires())?;
    Ok(root)
}

/// The root after `root`, if the cache has it.
fn cached_root(source: &Source, root: &Root, name: &str) -> Result<Option<(Vec<u8>, Root)>, Error> {
    if !source.cache.keeps_roots() || !source.believes_cache() {
        return Ok(None);
    }
    let history = source.cache.read(&format!("root_history/{name}"))?;
    // cosign keeps the newest root only.
    let newest = source.cache.read("root.json")?;
    let found = [history, newest]
        .into_iter()
        .flatten()
        .find_map(|json| root.next(&json).ok().map(|next| (json, next)));
    Ok(found)
}

/// 5.4: the newest timestamp, not older than the one that was trusted.
async fn timestamp(source: &Source, root: &Root) -> Result<Metadata<TimestampBody>, Error> {
    let name = "timestamp.json";
    let trusted = trusted::<TimestampBody>(source, root, name)?;
    let mut json = source.fetch(name, name, MAX_TIMESTAMP).await?;
    let mut timestamp = root.verify::<TimestampBody>(&json)?;
    if let Some((trusted_json, trusted)) = trusted
        && trusted.compare(&timestamp)? == Offer::Same
    {
        (json, timestamp) = (trusted_json, trusted);
    }
    source.expiry(
        "timestamp",
        "timestamp",
        timestamp.version,
        timestamp.expires,
    )?;
    source.keep(name, &json)?;
    Ok(timestamp)
}

/// 5.5: the snapshot that the timestamp describes, in which nothing went back.
async fn snapshot(
    source: &Source,
    root: &Root,
    timestamp: &Metadata<TimestampBody>,
) -> Result<Trusted<SnapshotBody>, Error> {
    let name = "snapshot.json";
    let trusted = trusted::<SnapshotBody>(source, root, name)?;
    let described = Described {
        role: "snapshot",
        name: "snapshot",
        cached: name,
        meta: timestamp.snapshot(),
        by: "timestamp",
        consistent: root.consistent_snapshot(),
        limit: MAX_SNAPSHOT,
    };
    let (json, snapshot) = source
        .described::<SnapshotBody>(&described, &root.signers("snapshot")?)
        .await?;
    if let Some((_, trusted)) = trusted {
        trusted.compare(&snapshot)?;
    }
    source.keep(name, &json)?;
    Ok((json, snapshot))
}

/// 5.6: the top-level targets that the snapshot describes.
async fn targets(
    source: &Source,
    root: &Root,
    snapshot: &Metadata<SnapshotBody>,
) -> Result<Metadata<TargetsBody>, Error> {
    let name = "targets.json";
    let described = Described {
        role: "targets",
        name: "targets",
        cached: name,
        meta: snapshot.describes("targets")?,
        by: "snapshot",
        consistent: root.consistent_snapshot(),
        limit: MAX_TARGETS,
    };
    let (json, targets) = source
        .described::<TargetsBody>(&described, &root.signers("targets")?)
        .await?;
    source.keep(name, &json)?;
    Ok(targets)
}

/// What the cache has of a role, if this root signs it; it serves to notice that something went back. Whether it has
/// expired does not matter for that.
fn trusted<T: Role>(source: &Source, root: &Root, name: &str) -> Result<Option<Trusted<T>>, Error> {
    if !source.believes_cache() {
        return Ok(None);
    }
    let json = source.cache.read(name)?;
    Ok(json.and_then(|json| {
        let metadata = root.verify(&json).ok()?;
        Some((json, metadata))
    }))
}
