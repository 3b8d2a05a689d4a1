//! When the metadata of a repository ends, read from its files: beside a process that has it open, or without one.

use std::path::Path;

use super::metadata::{Document, Role, Root};
use super::{Error, disk, keys};
use crate::elsewhere::Kept;
use crate::{durable, keyring};

/// How often it is begun anew when files are replaced meanwhile.
const ATTEMPTS: usize = 5;

/// The newest metadata of a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Which role.
    pub role: Role,
    /// The newest version.
    pub version: u64,
    /// When it was signed, in seconds since 1970.
    pub signed: i64,
    /// When it expires, in seconds since 1970.
    pub expires: i64,
    /// Where the key that signs it is; `None` if it is not here, and nobody here knows.
    pub key: Option<Kept>,
}

impl Seen {
    /// Whether nobody has signed it anew although that was due for a day: no process serves the repository, or it
    /// cannot sign.
    pub fn is_overdue(&self, now: i64) -> bool {
        // The timestamp is due again after twelve hours.
        const LATE: i64 = 12 * 60 * 60;
        self.expires.saturating_sub(now) < self.role.renewal() - LATE
    }
}

/// The roles of the repository in `directory`, the root first.
///
/// # Errors
/// If files cannot be read, or are not what they should be.
pub fn look(directory: &Path) -> Result<[Seen; 4], crate::Error> {
    let mut attempt = 1;
    loop {
        match look_once(directory) {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn look_once(directory: &Path) -> Result<[Seen; 4], crate::Error> {
    let folder = directory.join(disk::REPOSITORY);
    let read = |role: Role, file: &str| -> Result<Document, crate::Error> {
        let path = folder.join(file);
        let content = durable::read(&path)?.ok_or_else(|| "it is missing".to_owned());
        let document = content.and_then(|content| Document::read(role, &content));
        document.map_err(|problem| Error::Damaged { path, problem }.into())
    };
    let below = |above: &Document, role: Role| {
        let version = &above.signed["meta"][format!("{role}.json")]["version"];
        read(role, &format!("{version}.{role}.json"))
    };
    let timestamp = read(Role::Timestamp, "timestamp.json")?;
    let snapshot = below(&timestamp, Role::Snapshot)?;
    let targets = below(&snapshot, Role::Targets)?;
    let roots = durable::list(&folder)?;
    let roots = roots.iter().filter_map(|file| disk::versioned(file));
    let newest = roots
        .filter(|(_, role)| *role == Role::Root)
        .max_by_key(|it| it.0);
    let file = format!("{}.root.json", newest.map_or(1, |(version, _)| version));
    let root = Root::of(read(Role::Root, &file)?).map_err(|problem| Error::Damaged {
        path: folder.join(&file),
        problem,
    })?;
    let kept = |key| -> Result<Option<Kept>, crate::Error> {
        match keys::name_of(directory, key)? {
            Some(name) => keyring::kept(directory, &name),
            None => Ok(None),
        }
    };
    let root_key = kept(&root.key)?;
    let online = match root.online.last() {
        Some(key) => kept(key)?,
        None => None,
    };
    let seen = |document: &Document, key: &Option<Kept>| Seen {
        role: document.role,
        version: document.version,
        signed: document.signed_at(),
        expires: document.expires,
        key: key.clone(),
    };
    Ok([
        seen(&root.document, &root_key),
        seen(&targets, &online),
        seen(&snapshot, &online),
        seen(&timestamp, &online),
    ])
}
