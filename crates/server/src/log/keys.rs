//! The keys of a log's trees, in files.
//!
//! Invariant: a key is durable before anything is signed with it, and is never replaced: anyone who has it can speak for
//! its tree, and without it nobody can. They are encrypted if there is a password when they are made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::shards::Interface;
use crate::{Error, durable};

/// The password for the files.
pub(super) type Password = Option<Zeroizing<Vec<u8>>>;

/// What an interface signs with: clients of v1 take promises of no other keys.
pub(super) fn algorithm(interface: Interface) -> Algorithm {
    match interface {
        Interface::V1 => Algorithm::EcdsaP256,
        Interface::V2 => Algorithm::Ed25519,
    }
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("keys")
}

/// Where the public key of a tree is.
pub(super) fn public_path(directory: &Path, tree: &str) -> PathBuf {
    folder(directory).join(format!("{tree}.pub"))
}

/// Where the private key of a tree is.
pub(super) fn private_path(directory: &Path, tree: &str) -> PathBuf {
    folder(directory).join(format!("{tree}.pem"))
}

fn trouble(path: &Path, problem: impl ToString) -> Error {
    Error::Key {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Whether a tree has its key.
pub(super) fn exists(directory: &Path, tree: &str) -> bool {
    private_path(directory, tree).exists()
}

/// Reads the key of a tree, which has one.
pub(super) fn read(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
) -> Result<PrivateKey, Error> {
    let private = read_private(directory, tree, interface, password)?;
    publish(directory, tree, &private)?;
    Ok(private)
}

/// As [`read`]; nothing is written.
pub(super) fn read_private(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
) -> Result<PrivateKey, Error> {
    let (path, file) = file(directory, tree)?;
    let private = PrivateKey::from_pem(&file, || {
        password.clone().ok_or(sealmark_keys::Error::WrongPassword)
    })
    .map_err(|error| trouble(&path, error))?;
    check(&path, private.public_key(), interface)?;
    Ok(private)
}

/// Whether the key of a tree cannot be read without a password.
pub(super) fn is_locked(directory: &Path, tree: &str) -> Result<bool, Error> {
    let (_, file) = file(directory, tree)?;
    Ok(PrivateKey::is_encrypted_pem(&file) == Some(true))
}

fn file(directory: &Path, tree: &str) -> Result<(PathBuf, Zeroizing<Vec<u8>>), Error> {
    let path = private_path(directory, tree);
    match durable::read(&path)? {
        Some(file) => Ok((path, Zeroizing::new(file))),
        None => {
            let problem = format!(
                "it is missing; tree {tree:?} of this log is signed with it, and with no other: restore it from a backup"
            );
            Err(trouble(&path, problem))
        }
    }
}

/// Refuses a key of another type.
pub(super) fn check(path: &Path, key: &PublicKey, interface: Interface) -> Result<(), Error> {
    let algorithm = algorithm(interface);
    if key.key_type() == algorithm.key_type() {
        return Ok(());
    }
    let problem = format!(
        "it is a {} key, this interface signs with {algorithm}",
        key.key_type()
    );
    Err(trouble(path, problem))
}

/// The public key of a tree.
pub(super) fn read_public(
    directory: &Path,
    tree: &str,
    interface: Interface,
) -> Result<PublicKey, Error> {
    let path = public_path(directory, tree);
    let file = durable::read(&path)?.ok_or_else(|| {
        trouble(
            &path,
            "it is missing; it is made again from the private key when the log is served",
        )
    })?;
    let key = PublicKey::from_pem(&file).map_err(|error| trouble(&path, error))?;
    check(&path, &key, interface)?;
    Ok(key)
}

/// Makes the key of a new tree.
pub(super) fn generate(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
) -> Result<PrivateKey, Error> {
    let path = private_path(directory, tree);
    let key = PrivateKey::generate(algorithm(interface)).map_err(|error| trouble(&path, error))?;
    write(directory, tree, &key, password)?;
    Ok(key)
}

/// Writes the key of a new tree.
pub(super) fn write(
    directory: &Path,
    tree: &str,
    key: &PrivateKey,
    password: &Password,
) -> Result<(), Error> {
    let folder = folder(directory);
    durable::create_directory(&folder)?;
    let path = private_path(directory, tree);
    let trouble = |error: sealmark_keys::Error| trouble(&path, error);
    let text = match password {
        Some(password) => Zeroizing::new(key.to_encrypted_pem(password).map_err(trouble)?),
        None => pem(&key.to_pkcs8_der().map_err(trouble)?),
    };
    // A temporary file has the mode 0600, and keeps it.
    durable::write(&path, text.as_bytes(), &folder)?;
    publish(directory, tree, key)
}

fn publish(directory: &Path, tree: &str, key: &PrivateKey) -> Result<(), Error> {
    let path = public_path(directory, tree);
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
