//! The password of a directory's private keys: where it lies in the directory, wrapped by a key in a KMS, and how it is
//! changed.
//!
//! ```text
//! password.kms      the wrapped password, mode 0600; made once, before any key; what is in it is the caller's
//! password.change   a change that is decided and not finished: which files it replaces, and the next password.kms
//! keys/NAME.pem.next   the next file of a key
//! ```
//!
//! Invariants: a wrapped password is durable before a key is encrypted with it, and no start replaces it. A change
//! writes every key beside the old one first, then `password.change`, and only then puts the new ones in their places: until
//! that file is there the old password is good for all keys, and from then on the new one is, as soon as somebody has
//! [finished](finish) it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sealmark_keys::PrivateKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keyring::trouble;
use crate::marker::LOCK;
use crate::{Error, durable};

/// The wrapped password.
pub const FILE: &str = "password.kms";
/// A change that is decided.
const CHANGE: &str = "password.change";
/// What the next file of a key ends with.
const NEXT: &str = ".next";
/// Neither file is larger, in bytes: a change names some hundred files at most.
const MAX_FILE: u64 = 1 << 20;
/// How deep below the directory of an instance there are folders of keys: `ct/2/keys`.
const DEPTH: usize = 3;
/// Random bytes of a password: as many as the key has that is made of it.
const RANDOM: usize = 32;

/// A password, as it may be given to a function.
pub type Password = Zeroizing<Vec<u8>>;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Change {
    layout: u32,
    /// The files that have a next one beside them; their paths are relative in the directory, absolute elsewhere.
    files: Vec<PathBuf>,
    /// The next `password.kms`; none if there is to be none.
    wrapped: Option<String>,
}

fn bounded(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::io("read", path))?,
    };
    let mut content = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut content);
    read.map_err(Error::io("read", path))?;
    match content.len() as u64 > MAX_FILE {
        true => Err(trouble(path, "it is larger than any that is written")),
        false => Ok(Some(content)),
    }
}

/// What `password.kms` says, if there is one.
///
/// # Errors
/// If it cannot be read, or is too large.
pub fn read(directory: &Path) -> Result<Option<Vec<u8>>, Error> {
    bounded(&directory.join(FILE))
}

/// Whether there is nothing in the directory yet, so that keys are still to be made.
///
/// # Errors
/// If it cannot be listed.
pub fn is_new(directory: &Path) -> Result<bool, Error> {
    let own = |name: &String| name == LOCK || is_own(name) || name.starts_with(".tmp");
    Ok(durable::list(directory)?.iter().all(own))
}

/// Whether a file of this name in a directory of another kind is one of this module.
pub(crate) fn is_own(name: &str) -> bool {
    name == FILE
}

/// The URL of the instance in the directory, if it is one.
///
/// # Errors
/// If the file that says so cannot be read.
pub fn url(directory: &Path) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Known {
        url: String,
    }
    let content = bounded(&directory.join("sealmark-instance"))?;
    let known = content.and_then(|content| serde_json::from_slice::<Known>(&content).ok());
    Ok(known.map(|known| known.url))
}

/// A new password, of letters and digits, so that other tools can be given it.
///
/// # Errors
/// If the system has no random numbers.
pub fn random() -> Result<Password, Error> {
    let mut bytes = Zeroizing::new([0; RANDOM]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Error::Impossible("the system gives no random numbers".to_owned()))?;
    Ok(Zeroizing::new(STANDARD_NO_PAD.encode(*bytes).into_bytes()))
}

/// Writes `password.kms`, unless somebody else has just done so: then `false`, and that one is to be used.
///
/// # Errors
/// If it cannot be written.
pub fn create(directory: &Path, content: &str) -> Result<bool, Error> {
    durable::create_directory(directory)?;
    durable::write_new(&directory.join(FILE), content.as_bytes(), directory)
}

/// Puts the files of a change in their places that was decided and not finished; `false` if there is none.
///
/// # Errors
/// [`Error::InUse`]; if files cannot be read or written.
pub fn finish(directory: &Path) -> Result<bool, Error> {
    if !directory.join(CHANGE).exists() {
        return Ok(false);
    }
    let _lock = durable::lock(&directory.join(LOCK))?;
    finish_locked(directory)
}

/// Whether a change was decided and is not finished.
pub(crate) fn is_changing(directory: &Path) -> bool {
    directory.join(CHANGE).exists()
}

fn finish_locked(directory: &Path) -> Result<bool, Error> {
    let path = directory.join(CHANGE);
    let Some(content) = bounded(&path)? else {
        return Ok(false);
    };
    let change: Change = serde_json::from_slice(&content).map_err(|error| trouble(&path, error))?;
    if change.layout != 1 {
        return Err(Error::UnknownLayout {
            path,
            found: format!("layout {}", change.layout),
            known: 1,
        });
    }
    for file in &change.files {
        let file = directory.join(file);
        let next = next(&file);
        if next.exists() {
            durable::rename(&next, &file)?;
        }
    }
    let wrapped = directory.join(FILE);
    match change.wrapped {
        Some(content) => durable::write(&wrapped, content.as_bytes(), directory)?,
        None => drop(durable::remove(&wrapped)?),
    }
    durable::remove(&path)
}

fn next(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(NEXT);
    name.into()
}

/// Encrypts all private keys of a directory that is not served with another password, or for the first time. `also` are
/// files of keys elsewhere that are encrypted like them. Says how many there are.
///
/// # Errors
/// [`Error::InUse`]; [`Error::Key`] if a key cannot be read with the old password: nothing has changed then; if files cannot be
/// read or written.
pub fn change(
    directory: &Path,
    old: Option<&Password>,
    new: &Password,
    wrapped: Option<&str>,
    also: &[PathBuf],
) -> Result<usize, Error> {
    let _lock = durable::lock(&directory.join(LOCK))?;
    if is_changing(directory) {
        return Err(Error::Impossible(
            "a change of the password is not finished: try again, and it will be".to_owned(),
        ));
    }
    let mut files = Vec::new();
    keys_below(directory, Path::new(""), 0, &mut files)?;
    files.extend_from_slice(also);
    for file in &files {
        let path = directory.join(file);
        let key = durable::read(&path)?.map(Zeroizing::new);
        let key = key.ok_or_else(|| trouble(&path, "there is no such file"))?;
        let failed = |error: sealmark_keys::Error| trouble(&path, error);
        let key = PrivateKey::from_pem(&key, || {
            let old = old.cloned();
            old.ok_or(sealmark_keys::Error::WrongPassword)
        })
        .map_err(failed)?;
        let encrypted = Zeroizing::new(key.to_encrypted_pem(new).map_err(failed)?);
        let again = PrivateKey::from_pem(encrypted.as_bytes(), || {
            Ok::<_, sealmark_keys::Error>(new.clone())
        });
        if again.map_err(failed)?.public_key() != key.public_key() {
            return Err(trouble(&path, "it is another key after it was encrypted"));
        }
        let folder = path.parent().unwrap_or(directory);
        // A temporary file has the mode 0600, and keeps it.
        durable::write(&next(&path), encrypted.as_bytes(), folder)?;
    }
    let count = files.len();
    let change = Change {
        layout: 1,
        files,
        wrapped: wrapped.map(str::to_owned),
    };
    let path = directory.join(CHANGE);
    let json = serde_json::to_vec(&change).map_err(|error| trouble(&path, error))?;
    durable::write(&path, &json, directory)?;
    finish_locked(directory)?;
    Ok(count)
}

/// The files `keys/NAME.pem` below a folder. What a change has left that was never decided is removed.
fn keys_below(
    directory: &Path,
    folder: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let is_keys = folder.file_name().is_some_and(|name| name == "keys");
    for name in durable::list(&directory.join(folder))? {
        let path = folder.join(&name);
        let there = directory.join(&path);
        let kind = fs::symlink_metadata(&there).map_err(Error::io("look at", &there))?;
        if kind.is_dir() && depth < DEPTH {
            keys_below(directory, &path, depth + 1, found)?;
        } else if is_keys && name.ends_with(NEXT) {
            durable::remove(&there)?;
        } else if is_keys && name.ends_with(".pem") {
            found.push(path);
        }
    }
    Ok(())
}

/// Copies the wrapped password.
pub(crate) fn copy(directory: &Path, to: &Path) -> Result<(), Error> {
    if let Some(content) = read(directory)? {
        durable::write(&to.join(FILE), &content, to)?;
    }
    Ok(())
}

/// Refuses to copy keys whose password is being changed.
pub(crate) fn refuse_while_changing(directory: &Path) -> Result<(), Error> {
    match is_changing(directory) {
        true => Err(Error::Impossible(
            "the password of the private keys is being changed: nothing was copied; finish that with `sealmark serve password`, or start the server, and try again"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use sealmark_keys::Algorithm;

    use super::*;
    use crate::keyring;

    const NAMES: [(&str, &str); 2] = [("ca", "root"), ("ca/2", "ca")];

    fn password(text: &str) -> Password {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    /// A directory whose keys are not encrypted: encrypting takes its time.
    fn plain() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (folder, name) in NAMES {
            let folder = directory.path().join(folder);
            keyring::key(&folder, name, Algorithm::EcdsaP256, None).unwrap();
        }
        directory
    }

    /// Which of the keys the password is good for.
    fn good(directory: &Path, password: Option<&Password>) -> Vec<bool> {
        let read = |(folder, name): &(&str, &str)| {
            let folder = directory.join(folder);
            keyring::read(&folder, name, Algorithm::EcdsaP256, password).is_ok()
        };
        NAMES.iter().map(read).collect()
    }

    #[test]
    fn a_change_that_is_cut_off_anywhere_leaves_one_password_for_all_keys() {
        let (new, other) = (password("new"), password("other"));
        let mut cuts = 0;
        let mut undecided = 0;
        loop {
            let directory = plain();
            let directory = directory.path();
            durable::fail_after(Some(cuts));
            let changed = change(directory, None, &new, Some("{}"), &[]);
            durable::fail_after(None);
            let decided = is_changing(directory);
            assert!(!decided || changed.is_err());
            assert_eq!(refuse_while_changing(directory).is_err(), decided);
            if decided {
                assert!(change(directory, None, &new, None, &[]).is_err());
            }
            assert_eq!(finish(directory).unwrap(), decided);
            // Without a password only those can be read that are not encrypted.
            let is_new = decided || changed.is_ok();
            assert_eq!(good(directory, None), [!is_new; 2], "cut {cuts}");
            assert_eq!(read(directory).unwrap().is_some(), is_new, "cut {cuts}");
            if changed.is_ok() {
                assert_eq!(good(directory, Some(&new)), [true; 2]);
                // The wrong one changes nothing.
                assert!(change(directory, Some(&other), &other, None, &[]).is_err());
                assert_eq!(good(directory, Some(&new)), [true; 2]);
                break;
            }
            if !decided {
                undecided += 1;
            }
            // It can be had in the end, and nothing is left.
            if undecided == 2 {
                let changed = change(directory, None, &other, None, &[]);
                assert_eq!(changed.unwrap(), 2);
                assert_eq!(good(directory, Some(&other)), [true; 2]);
                assert_eq!(read(directory).unwrap(), None);
                let keys = durable::list(&directory.join("ca/keys")).unwrap();
                assert!(keys.iter().all(|name| !name.ends_with(NEXT)), "{keys:?}");
            }
            cuts += 1;
        }
        assert!(cuts > 5 && undecided > 1, "{cuts} {undecided}");
    }

    #[test]
    fn keys_elsewhere_change_with_those_of_the_directory() {
        let directory = plain();
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("tuf-root.key");
        fs::copy(directory.path().join("ca/keys/root.pem"), &file).unwrap();
        let new = password("new");
        let also = [file.clone()];
        let changed = change(directory.path(), None, &new, None, &also);
        assert_eq!(changed.unwrap(), 3);
        let is_encrypted = PrivateKey::is_encrypted_pem(&fs::read(&file).unwrap());
        assert_eq!(is_encrypted, Some(true));
        let missing = [elsewhere.path().join("none")];
        let refused = change(directory.path(), Some(&new), &new, None, &missing);
        assert!(refused.unwrap_err().to_string().contains("no such file"));
    }

    #[test]
    fn a_wrapped_password_is_made_once_and_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("new");
        assert!(is_new(&directory).unwrap());
        assert!(create(&directory, "first").unwrap());
        assert!(!create(&directory, "second").unwrap());
        assert_eq!(read(&directory).unwrap(), Some(b"first".to_vec()));
        assert!(is_new(&directory).unwrap());
        let mode = fs::metadata(directory.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(directory.join(FILE), vec![0; 2 << 20]).unwrap();
        assert!(read(&directory).unwrap_err().to_string().contains("larger"));
        assert_ne!(random().unwrap(), random().unwrap());
        assert_eq!(random().unwrap().len(), 43);
    }
}
