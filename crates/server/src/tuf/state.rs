//! What a repository is at one moment: made, and read back.
//!
//! Invariant: what [`read`] gives is what a client that knows any root of the repository would accept, but for what has
//! expired.

use sealmark_formats::Digest;
use sealmark_keys::PrivateKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::disk::Disk;
use super::metadata::{Document, Key, Role, Root};
use super::{Error, keys};

/// The newest metadata, and the keys for what comes next.
pub(super) struct State {
    pub(super) root: Root,
    /// `None` if it was exported.
    pub(super) root_key: Option<PrivateKey>,
    /// Those that the root names, in its order.
    pub(super) online: Vec<PrivateKey>,
    pub(super) current: Current,
}

/// What the newest timestamp leads to, and itself.
pub(super) struct Current {
    pub(super) targets: Document,
    pub(super) snapshot: Document,
    pub(super) timestamp: Document,
}

impl State {
    pub(super) fn documents(&self) -> [&Document; 4] {
        let Current {
            targets,
            snapshot,
            timestamp,
        } = &self.current;
        [&self.root.document, targets, snapshot, timestamp]
    }
}

/// The files that targets metadata speaks of.
pub(super) fn target_files(targets: &Document) -> Vec<String> {
    let listed = targets.signed["targets"].as_object();
    let file = |(name, target): (&String, &Value)| {
        let hash = target["hashes"]["sha256"].as_str().unwrap_or_default();
        format!("targets/{hash}.{name}")
    };
    listed.into_iter().flatten().map(file).collect()
}

/// Makes a repository without targets, version 1 of everything. Until it is marked, nobody has seen anything of it.
pub(super) fn make(
    disk: &Disk,
    password: Option<&Zeroizing<Vec<u8>>>,
    online_key: Option<&str>,
    now: i64,
) -> Result<(), crate::Error> {
    let root_key = keys::make(&disk.directory, keys::ROOT, 1, password, None)?;
    let online = keys::make(&disk.directory, keys::ONLINE, 1, password, online_key)?;
    let id = |key: &PrivateKey| keys::id(&disk.directory, key);
    let content = Root::content(&id(&root_key)?, &[id(&online)?]);
    let sign = |role: Role, content, key| {
        Document::sign(role, 1, now.saturating_add(role.life()), content, &[key])
    };
    let root = sign(Role::Root, content, &root_key)?;
    let targets = sign(Role::Targets, json!({"targets": {}}), &online)?;
    let content = json!({"meta": {"targets.json": targets.described()}});
    let snapshot = sign(Role::Snapshot, content, &online)?;
    let content = json!({"meta": {"snapshot.json": snapshot.described()}});
    let timestamp = sign(Role::Timestamp, content, &online)?;
    for document in [root, targets, snapshot, timestamp] {
        disk.write(&document.file(), &document.bytes)?;
    }
    disk.mark()
}

/// Reads a repository, and checks all that a client would check but when it expires.
pub(super) fn read(
    disk: &Disk,
    password: Option<&Zeroizing<Vec<u8>>>,
    online_key: Option<&str>,
) -> Result<State, crate::Error> {
    let mut root: Option<Root> = None;
    let newest = disk.versions(Role::Root).last().copied().unwrap_or(1);
    for version in 1..=newest {
        let file = format!("{version}.root.json");
        let damaged = |problem: &str| disk.damaged(&file, problem);
        let next = Root::of(disk.document(Role::Root, &file)?).map_err(|it| damaged(&it))?;
        let by_last = root.is_none_or(|last| next.document.is_signed_by(&last.key));
        if next.document.version != version {
            return Err(damaged("it has another version than its name says").into());
        }
        if !by_last || !next.document.is_signed_by(&next.key) {
            return Err(damaged("its signatures are not those of the root keys").into());
        }
        root = Some(next);
    }
    let root = root.ok_or_else(|| disk.damaged("1.root.json", "it is missing"))?;
    let current = read_current(disk, &root)?;
    let (root_key, online) = keys::of_root(&disk.directory, &root, password, online_key)?;
    Ok(State {
        root,
        root_key,
        online,
        current,
    })
}

fn read_current(disk: &Disk, root: &Root) -> Result<Current, Error> {
    let below = |above: &Document, role: Role| -> Result<Document, Error> {
        let described = &above.signed["meta"][format!("{role}.json")];
        let file = format!("{}.{role}.json", described["version"]);
        let document = disk.document(role, &file)?;
        match document.described() == *described {
            true => Ok(document),
            false => {
                Err(disk.damaged(&file, format!("it is not as {} describes it", above.file())))
            }
        }
    };
    let timestamp = disk.document(Role::Timestamp, "timestamp.json")?;
    let snapshot = below(&timestamp, Role::Snapshot)?;
    let targets = below(&snapshot, Role::Targets)?;
    for document in [&timestamp, &snapshot, &targets] {
        let mut keys = root.online.iter();
        if !keys.any(|key: &Key| document.is_signed_by(key)) {
            let problem = format!("no key of {} signed it", root.document.file());
            return Err(disk.damaged(&document.file(), problem));
        }
    }
    for file in target_files(&targets) {
        let hash = disk
            .get(&file)
            .map(|content| Digest::sha256(&content).hex());
        let problem = match hash {
            None => "it is missing".to_owned(),
            Some(hash) if file.starts_with(&format!("targets/{hash}.")) => continue,
            Some(hash) => format!("its SHA-256 is {hash}"),
        };
        return Err(disk.damaged(&file, problem));
    }
    Ok(Current {
        targets,
        snapshot,
        timestamp,
    })
}
