//! The private keys of a TUF repository, which come and go.
//!
//! Invariant: a key is durable before a root names it, and is deleted only when the newest root, durable, does not.

use std::path::Path;

use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::Error;
use super::metadata::{Key, Root};
use crate::{durable, keyring};

/// What the names of root keys begin with.
pub(super) const ROOT: &str = "root";
/// What those of the keys for everything else begin with.
pub(super) const ONLINE: &str = "online";
/// All clients know it, and Sigstore's public repository has nothing else.
const ALGORITHM: Algorithm = Algorithm::EcdsaP256;

/// The key that root version `version` is to be the first to name: a new one, but for one that a crash has left, or the
/// one of a reference.
pub(super) fn make(
    directory: &Path,
    kind: &str,
    version: u64,
    password: Option<&Zeroizing<Vec<u8>>>,
    reference: Option<&str>,
) -> Result<PrivateKey, crate::Error> {
    let name = format!("{kind}-{version}");
    keyring::key_at(directory, &name, ALGORITHM, password, reference)
}

/// The names of the keys that are known, here or elsewhere.
fn known(directory: &Path) -> Result<Vec<String>, crate::Error> {
    let mut all = names(directory, ".pem")?;
    all.extend(names(directory, ".ref")?);
    let mut all: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// What metadata calls a key.
pub(super) fn id(directory: &Path, key: &PrivateKey) -> Result<Key, crate::Error> {
    Key::of(key.public_key()).ok_or_else(|| crate::Error::Key {
        path: directory.join("keys"),
        problem: format!("TUF has no one scheme for a {} key", key.key_type()),
    })
}

/// The names of the keys that are there, by the ending of their files, and the versions in them.
fn names(directory: &Path, ending: &str) -> Result<Vec<(String, u64)>, crate::Error> {
    let mut found = Vec::new();
    for file in durable::list(&directory.join("keys"))? {
        let Some(name) = file.strip_suffix(ending) else {
            continue;
        };
        let version = name.rsplit_once('-').and_then(|(kind, version)| {
            let version = [ROOT, ONLINE].contains(&kind).then_some(version)?;
            version.parse().ok()
        });
        found.extend(version.map(|version| (name.to_owned(), version)));
    }
    Ok(found)
}

/// The key that signs roots, if it is here, and those that sign the rest.
pub(super) fn of_root(
    directory: &Path,
    root: &Root,
    password: Option<&Zeroizing<Vec<u8>>>,
    reference: Option<&str>,
) -> Result<(Option<PrivateKey>, Vec<PrivateKey>), crate::Error> {
    let mut here = Vec::new();
    for name in known(directory)? {
        // The only online key may have been moved.
        let place = reference.filter(|_| {
            let named = public(directory, &name).ok().flatten();
            root.online.len() == 1 && named.as_ref() == root.online.last()
        });
        let key = keyring::key_at(directory, &name, ALGORITHM, password, place)?;
        here.push((id(directory, &key)?.id, key));
    }
    let find = |wanted: &Key| {
        let found = here.iter().find(|(id, _)| *id == wanted.id);
        found.map(|(_, key)| key.clone())
    };
    let mut online = Vec::new();
    for wanted in &root.online {
        online.push(find(wanted).ok_or_else(|| Error::OnlineKeyGone {
            id: wanted.id.clone(),
            keys: directory.join("keys"),
        })?);
    }
    Ok((find(&root.key), online))
}

/// The file of a key that the newest root names.
pub(super) fn name_of(directory: &Path, wanted: &Key) -> Result<Option<String>, crate::Error> {
    for name in known(directory)? {
        if public(directory, &name)?.as_ref() == Some(wanted) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Deletes the keys that the newest root no longer names.
pub(super) fn forget(directory: &Path, root: &Root) -> Result<(), crate::Error> {
    for (name, version) in names(directory, ".pub")? {
        let Some(key) = public(directory, &name)? else {
            continue;
        };
        // One with a later version was made for a root that is still to come.
        let wanted =
            version > root.document.version || key == root.key || root.online.contains(&key);
        if !wanted {
            let keys = directory.join("keys");
            durable::remove(&keys.join(format!("{name}.pem")))?;
            let reference = keys.join(format!("{name}.ref"));
            if reference.exists() {
                durable::remove(&reference)?;
            }
            durable::remove(&keys.join(format!("{name}.pub")))?;
        }
    }
    Ok(())
}

fn public(directory: &Path, name: &str) -> Result<Option<Key>, crate::Error> {
    let file = durable::read(&keyring::public_key_path(directory, name))?;
    let key = file.and_then(|file| PublicKey::from_pem(&file).ok());
    Ok(key.and_then(|key| Key::of(&key)))
}
