//! The private keys of a service: made once, kept in its directory.
//!
//! ```text
//! keys/NAME.pem   the key, PKCS#8, mode 0600; encrypted if a password was given when it was made
//! keys/NAME.pub   its public part, mode 0644
//! ```
//!
//! Invariant: a key is durable before anything is signed with it, and is never replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::{Error, durable};

fn folder(directory: &Path) -> PathBuf {
    directory.join("keys")
}

/// Where the public key of this name is.
pub(crate) fn public_key_path(directory: &Path, name: &str) -> PathBuf {
    folder(directory).join(format!("{name}.pub"))
}

/// Where the private key of this name is.
pub(crate) fn private_key_path(directory: &Path, name: &str) -> PathBuf {
    folder(directory).join(format!("{name}.pem"))
}

/// Something is wrong with the key in this file.
pub(crate) fn trouble(path: &Path, problem: impl ToString) -> Error {
    Error::Key {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Refuses a key of another type than this algorithm's.
pub(crate) fn check(path: &Path, key: &PublicKey, algorithm: Algorithm) -> Result<(), Error> {
    if key.key_type() == algorithm.key_type() {
        return Ok(());
    }
    let found = key.key_type();
    Err(trouble(
        path,
        format!("it is a {found} key, this service signs with {algorithm}"),
    ))
}

/// Refuses to go on without a private key that was there when `later` was made: a new one would be another's.
pub(crate) fn not_lost(directory: &Path, name: &str, later: &Path) -> Result<(), Error> {
    let path = private_key_path(directory, name);
    if path.exists() || !later.exists() {
        return Ok(());
    }
    Err(Error::Key {
        path,
        problem: format!(
            "it is missing, although {} was made with it: restore it from a backup; no other key is made in its place",
            later.display()
        ),
    })
}

/// Reads a key, or makes it.
pub(crate) fn key(
    directory: &Path,
    name: &str,
    algorithm: Algorithm,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<PrivateKey, Error> {
    not_lost(directory, name, &public_key_path(directory, name))?;
    match read(directory, name, algorithm, password)? {
        Some(key) => {
            publish(directory, name, &key)?;
            Ok(key)
        }
        None => generate(directory, name, algorithm, password),
    }
}

/// Reads a key, if there is one. Nothing is written.
pub(crate) fn read(
    directory: &Path,
    name: &str,
    algorithm: Algorithm,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<Option<PrivateKey>, Error> {
    let path = private_key_path(directory, name);
    let Some(file) = durable::read(&path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let key = PrivateKey::from_pem(&file, || {
        let password = password.cloned();
        password.ok_or(sealmark_keys::Error::WrongPassword)
    })
    .map_err(|error| trouble(&path, error))?;
    check(&path, key.public_key(), algorithm)?;
    Ok(Some(key))
}

/// Reads the public part of a key, if it is there.
pub(crate) fn read_public(directory: &Path, name: &str) -> Result<Option<PublicKey>, Error> {
    let path = public_key_path(directory, name);
    let key = durable::read(&path)?.map(|file| PublicKey::from_pem(&file));
    key.transpose().map_err(|error| trouble(&path, error))
}

/// Whether a key cannot be read without a password; `None` if it is not there.
pub(crate) fn is_locked(directory: &Path, name: &str) -> Result<Option<bool>, Error> {
    let file = durable::read(&private_key_path(directory, name))?.map(Zeroizing::new);
    Ok(file.map(|file| PrivateKey::is_encrypted_pem(&file) == Some(true)))
}

/// Makes a key, in the place of one that nothing was ever signed with.
pub(crate) fn generate(
    directory: &Path,
    name: &str,
    algorithm: Algorithm,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<PrivateKey, Error> {
    let path = private_key_path(directory, name);
    let key = PrivateKey::generate(algorithm).map_err(|error| trouble(&path, error))?;
    write(directory, name, &key, password)?;
    Ok(key)
}

/// Writes a new key.
pub(crate) fn write(
    directory: &Path,
    name: &str,
    key: &PrivateKey,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<(), Error> {
    let folder = folder(directory);
    durable::create_directory(&folder)?;
    let path = private_key_path(directory, name);
    let failed = |error: sealmark_keys::Error| trouble(&path, error);
    let text = match password {
        Some(password) => Zeroizing::new(key.to_encrypted_pem(password).map_err(failed)?),
        None => pem(&key.to_pkcs8_der().map_err(failed)?),
    };
    // A temporary file has the mode 0600, and keeps it.
    durable::write(&path, text.as_bytes(), &folder)?;
    publish(directory, name, key)
}

/// Writes the public part of a key, unless it is there.
pub(crate) fn publish(directory: &Path, name: &str, key: &PrivateKey) -> Result<(), Error> {
    let path = public_key_path(directory, name);
    let wanted = key.public_key().to_pem();
    if durable::read(&path)?.as_deref() == Some(wanted.as_bytes()) {
        return Ok(());
    }
    durable::write(&path, wanted.as_bytes(), &folder(directory))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
        .map_err(Error::io("make readable", &path))
}

/// RFC 7468.
fn pem(der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(2 * der.len() + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}
