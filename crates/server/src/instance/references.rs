//! Which keys of an instance are elsewhere, read from its files.
//!
//! Invariant: nothing is written, locked, or asked for where it is.

use std::path::{Path, PathBuf};

use sealmark_keys::PublicKey;

use super::generations::Generations;
use super::rotate::known;
use crate::elsewhere::Kept;
use crate::{Error, durable, keyring};

/// A key that is elsewhere.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Of which service: `ca`, `ct`, `log`, `tsa`, `tuf`.
    pub service: &'static str,
    /// The name that its files have in the folder `keys`, below the generation's folder.
    pub name: String,
    /// Where it is.
    pub reference: String,
    /// What it was when it came into use; missing if the first start was cut off.
    pub public: Option<PublicKey>,
}

/// The keys of the instance in `directory` that are elsewhere: those of all generations.
///
/// # Errors
/// [`Error::Impossible`] if there is no instance; if files cannot be read, or are not what they should be.
pub fn references(directory: &Path) -> Result<Vec<Reference>, Error> {
    let created = known(directory)?.created;
    let mut folders: Vec<(&'static str, PathBuf)> = Vec::new();
    for service in ["ca", "ct", "tsa"] {
        let generations = Generations::read(&directory.join(service), created)?;
        let all = generations.all().iter();
        folders.extend(all.map(|its| (service, generations.folder(its.number))));
    }
    folders.extend(["log", "tuf"].map(|service| (service, directory.join(service))));
    let mut found = Vec::new();
    for (service, folder) in folders {
        let keys = folder.join("keys");
        if !keys.is_dir() {
            continue;
        }
        let mut files = durable::list(&keys)?;
        files.sort();
        for file in files {
            let Some(name) = file.strip_suffix(".ref") else {
                continue;
            };
            if let Some(Kept::At(reference)) = keyring::kept(&folder, name)? {
                found.push(Reference {
                    service,
                    name: name.to_owned(),
                    reference,
                    public: keyring::read_public(&folder, name)?,
                });
            }
        }
    }
    Ok(found)
}
