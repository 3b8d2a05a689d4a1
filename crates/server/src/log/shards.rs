//! What a log consists of: its trees, oldest first, for each interface.
//!
//! A log that is rotated goes on in a new tree, with a new key. The trees before it are frozen and are read for ever:
//! for Rekor v1 all of them together are one log, with one run of indices; for Rekor v2 each is a log of its own, with a
//! name of its own.
//!
//! ```text
//! {"layout": 2, "shards": [{"tree": "v1", "interface": "v1", "host": "log.example", "treeID": "1234", "created": 1795000000,
//!                           "frozen": 1796000000}, …]}
//! ```
//!
//! Invariant: this file decides. It is replaced as a whole, so a change of the log is made or not made, whenever a
//! process dies; what the engine lacks of it, it gets when the log is opened next. Trees and keys that the file does not
//! name are never made up: they are missing, and the log is not opened.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;

use aws_lc_rs::rand;
use sealmark_tlog::tile::LengthPrefix;
use serde::{Deserialize, Serialize};

use crate::{Error, durable};

/// The file.
pub(super) const MARKER: &str = "sealmark-log";
/// Locked while a process has the log open.
pub(super) const LOCK: &str = "lock";
/// Locked, shared, while somebody copies the directory: no tree is added meanwhile.
pub(super) const BACKUP_LOCK: &str = "backup.lock";
const LAYOUT: u32 = 2;

/// A way to use the log.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// Rekor's REST interface of version 1.
    V1,
    /// Rekor's interface of version 2, read from tiles.
    V2,
}

impl Interface {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// How bundles of its entries are written: chains and big envelopes make bodies of v1 of more than 65,535 bytes.
    pub(super) fn prefix(self) -> LengthPrefix {
        match self {
            Self::V1 => LengthPrefix::Four,
            Self::V2 => LengthPrefix::Two,
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// A tree, as the file has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Record {
    /// Its name in the engine; its key is `keys/TREE.pem`.
    pub(super) tree: String,
    pub(super) interface: Interface,
    /// What its checkpoints call it.
    pub(super) host: String,
    /// Where clients of it go, if that was said when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Of v1.
    #[serde(rename = "treeID", default, skip_serializing_if = "Option::is_none")]
    pub(super) tree_id: Option<String>,
    /// When, in seconds since 1970: its key was not in use before.
    pub(super) created: u64,
    /// Since when it takes no entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) frozen: Option<u64>,
    #[serde(default, skip_serializing_if = "Stage::is_ready")]
    pub(super) stage: Stage,
}

/// How far a tree has got.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The engine has it.
    #[default]
    Ready,
    /// The engine may not have it yet.
    Pending,
    /// An import is filling it, or did not finish. It is no part of the log.
    Importing,
}

impl Stage {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_ready(&self) -> bool {
        *self == Self::Ready
    }
}

impl Record {
    /// The origin line of its checkpoints.
    pub(super) fn origin(&self) -> String {
        match &self.tree_id {
            Some(id) => format!("{} - {id}", self.host),
            None => self.host.clone(),
        }
    }

    /// The number in `tree_id`; 0 for v2.
    pub(super) fn number(&self) -> u64 {
        let id = self.tree_id.as_deref();
        id.and_then(|id| id.parse().ok()).unwrap_or(0)
    }
}

/// The file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shards {
    layout: u32,
    /// Oldest first. The last one of an interface is its current one.
    pub(super) shards: Vec<Record>,
}

/// The file as it was before a log could have several trees of an interface.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct First {
    #[serde(rename = "layout")]
    _layout: u32,
    host: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    created: u64,
}

impl Shards {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            layout: LAYOUT,
            shards: Vec::new(),
        }
    }

    /// Reads the file; `None` if there is nothing in the directory.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(MARKER);
        let Some(found) = durable::read(&path)? else {
            let own = [LOCK, BACKUP_LOCK, crate::password::FILE];
            let foreign =
                |name: &String| !own.contains(&name.as_str()) && !name.starts_with(".tmp");
            if durable::list(directory)?.iter().any(foreign) {
                return Err(Error::ForeignDirectory {
                    path: directory.to_owned(),
                    expected: "a transparency log of sealmark",
                });
            }
            return Ok(None);
        };
        let damaged = |problem: String| {
            Error::Log(sealmark_log::Error::Damaged {
                place: path.display().to_string(),
                reason: problem,
            })
        };
        #[derive(Deserialize)]
        struct Layout {
            layout: u32,
        }
        let layout: Layout =
            serde_json::from_slice(&found).map_err(|error| damaged(error.to_string()))?;
        let shards = match layout.layout {
            1 => serde_json::from_slice(&found).map(Self::of_first),
            LAYOUT => serde_json::from_slice(&found),
            other => {
                return Err(Error::UnknownLayout {
                    path,
                    found: format!("layout {other}"),
                    known: LAYOUT,
                });
            }
        };
        let shards = shards.map_err(|error: serde_json::Error| damaged(error.to_string()))?;
        shards.check().map_err(damaged)?;
        Ok(Some(shards))
    }

    /// The engine of a log of that time may lack a tree, if its first start was cut short.
    fn of_first(first: First) -> Self {
        let record = |interface: Interface, tree_id: Option<String>| Record {
            tree: interface.to_string(),
            interface,
            host: first.host.clone(),
            url: None,
            tree_id,
            created: first.created,
            frozen: None,
            stage: Stage::Pending,
        };
        let shards = vec![
            record(Interface::V1, Some(first.tree_id.clone())),
            record(Interface::V2, None),
        ];
        Self {
            layout: LAYOUT,
            shards,
        }
    }

    /// What no program writes is not taken.
    fn check(&self) -> Result<(), String> {
        for (at, record) in self.shards.iter().enumerate() {
            let name = &record.tree;
            let known =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
                return Err(format!("{name:?} cannot be the name of a tree"));
            }
            let before = &self.shards[..at];
            let is_part = |record: &Record| record.stage != Stage::Importing;
            if before.iter().any(|other| other.tree == *name) {
                return Err(format!("it has the tree {name:?} twice"));
            }
            let has_id = |other: &Record| is_part(other) && other.tree_id == record.tree_id;
            if is_part(record) && record.tree_id.is_some() && before.iter().any(has_id) {
                return Err(format!("the tree {name:?} has the treeID of another"));
            }
            let is_v1 = record.interface == Interface::V1;
            if is_v1 && record.number() == 0 {
                return Err(format!("the treeID of {name:?} is not a positive number"));
            }
            if !is_v1 && record.tree_id.is_some() {
                return Err(format!("the tree {name:?} of v2 has a treeID"));
            }
            let mut newer = self.shards[at + 1..].iter();
            if is_part(record)
                && record.frozen.is_none()
                && newer.any(|other| is_part(other) && other.interface == record.interface)
            {
                return Err(format!(
                    "the tree {name:?} is not frozen, and has a successor"
                ));
            }
        }
        Ok(())
    }

    /// Replaces the file. Who adds or ends a tree by that holds [`keep_from_copying`].
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(MARKER);
        let json = serde_json::to_vec(self).map_err(|error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        durable::write(&path, &json, directory)
    }

    /// The trees that make up an interface, oldest first.
    pub(super) fn of(&self, interface: Interface) -> impl Iterator<Item = &Record> {
        self.shards
            .iter()
            .filter(move |record| record.interface == interface && record.stage != Stage::Importing)
    }

    /// A name that no tree has or had.
    pub(super) fn next_name(&self, interface: Interface) -> String {
        let all = self.shards.iter();
        match all.filter(|record| record.interface == interface).count() {
            0 => interface.to_string(),
            count => format!("{interface}-{}", count + 1),
        }
    }

    /// A new tree, after those that there are.
    pub(super) fn add(
        &mut self,
        interface: Interface,
        host: &str,
        created: u64,
    ) -> Result<&mut Record, Error> {
        let tree_id = match interface {
            Interface::V1 => Some(new_tree_id()?.to_string()),
            Interface::V2 => None,
        };
        Ok(self.push(Record {
            tree: self.next_name(interface),
            interface,
            host: host.to_owned(),
            url: None,
            tree_id,
            created,
            frozen: None,
            stage: Stage::Pending,
        }))
    }

    pub(super) fn push(&mut self, record: Record) -> &mut Record {
        self.shards.push(record);
        self.shards.last_mut().expect("one was just pushed")
    }
}

/// Until what is given is dropped, nobody begins to copy the directory: a copy is made of this file first and the trees
/// after it, so a tree that begins or ends between would be in the copy as one that nobody knows.
pub(super) fn keep_from_copying(directory: &Path) -> Result<File, Error> {
    let path = directory.join(BACKUP_LOCK);
    let lock = File::create(&path).map_err(Error::io("create", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Impossible(format!(
            "{} is being copied (backup): wait until that is done; nothing was changed",
            directory.display()
        ))),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

/// A positive number of 63 bits: Rekor's tree ids are signed.
fn new_tree_id() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| Error::Key {
        path: "a tree id".into(),
        problem: "the system gave no randomness".to_owned(),
    })?;
    Ok((u64::from_be_bytes(bytes) >> 1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_program_writes_is_refused() {
        let shard = |more: &str| {
            format!(r#"{{"tree":"v1","interface":"v1","host":"a","treeID":"7","created":1{more}}}"#)
        };
        let second = shard("").replace(r#""v1","interface""#, r#""v1-2","interface""#);
        for (shards, problem) in [
            (format!("{0},{0}", shard(r#","frozen":2"#)), "twice"),
            (
                format!("{},{second}", shard(r#","frozen":2"#)),
                "treeID of another",
            ),
            (
                format!("{},{}", shard(""), second.replace('7', "8")),
                "has a successor",
            ),
            (shard("").replace('7', "x"), "not a positive number"),
            (
                shard("").replace(r#""tree":"v1""#, r#""tree":"../v1""#),
                "name of a tree",
            ),
            (
                shard("").replace(r#""interface":"v1""#, r#""interface":"v2""#),
                "has a treeID",
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let json = format!(r#"{{"layout":2,"shards":[{shards}]}}"#);
            std::fs::write(directory.path().join(MARKER), json).unwrap();
            let error = Shards::read(directory.path()).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(MARKER), "{error}");
        }
    }

    #[test]
    fn a_log_of_the_first_layout_has_one_tree_of_each_interface() {
        let directory = tempfile::tempdir().unwrap();
        let json = r#"{"layout":1,"host":"log.example","treeID":"42","created":9}"#;
        std::fs::write(directory.path().join(MARKER), json).unwrap();
        let shards = Shards::read(directory.path()).unwrap().unwrap();
        let origins: Vec<String> = shards.shards.iter().map(Record::origin).collect();
        assert_eq!(origins, ["log.example - 42", "log.example"]);
        assert_eq!(shards.next_name(Interface::V1), "v1-2");
    }
}
