//! The keys of a log's trees: files as the [`keyring`] has them, each named as its tree.
//!
//! Invariant: a tree is signed with the key that it has, and with no other: one that is missing is never made again.

use std::path::{Path, PathBuf};

use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::shards::Interface;
use crate::{Error, keyring};

pub(super) use keyring::public_key_path as public_path;

/// The password for the files.
pub(super) type Password = Option<Zeroizing<Vec<u8>>>;

/// What an interface signs with: clients of v1 take promises of no other keys.
pub(super) fn algorithm(interface: Interface) -> Algorithm {
    match interface {
        Interface::V1 => Algorithm::EcdsaP256,
        Interface::V2 => Algorithm::Ed25519,
    }
}

/// Whether a tree has its key.
pub(super) fn exists(directory: &Path, tree: &str) -> bool {
    private_path(directory, tree).exists()
}

fn private_path(directory: &Path, tree: &str) -> PathBuf {
    keyring::private_key_path(directory, tree)
}

/// Reads the key of a tree, which has one.
pub(super) fn read(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
) -> Result<PrivateKey, Error> {
    let private = read_private(directory, tree, interface, password)?;
    keyring::publish(directory, tree, &private)?;
    Ok(private)
}

/// As [`read`]; nothing is written.
pub(super) fn read_private(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
) -> Result<PrivateKey, Error> {
    let key = keyring::read(directory, tree, algorithm(interface), password.as_ref())?;
    key.ok_or_else(|| missing(directory, tree))
}

/// Whether the key of a tree cannot be read without a password.
pub(super) fn is_locked(directory: &Path, tree: &str) -> Result<bool, Error> {
    keyring::is_locked(directory, tree)?.ok_or_else(|| missing(directory, tree))
}

fn missing(directory: &Path, tree: &str) -> Error {
    let problem = format!(
        "it is missing; tree {tree:?} of this log is signed with it, and with no other: restore it from a backup"
    );
    keyring::trouble(&private_path(directory, tree), problem)
}

/// Refuses a key of another type.
pub(super) fn check(path: &Path, key: &PublicKey, interface: Interface) -> Result<(), Error> {
    keyring::check(path, key, algorithm(interface))
}

/// The public key of a tree.
pub(super) fn read_public(
    directory: &Path,
    tree: &str,
    interface: Interface,
) -> Result<PublicKey, Error> {
    let path = public_path(directory, tree);
    let key = keyring::read_public(directory, tree)?.ok_or_else(|| {
        let problem = "it is missing; it is made again from the private key when the log is served";
        keyring::trouble(&path, problem)
    })?;
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
    keyring::generate(directory, tree, algorithm(interface), password.as_ref())
}

/// Writes the key of a new tree.
pub(super) fn write(
    directory: &Path,
    tree: &str,
    key: &PrivateKey,
    password: &Password,
) -> Result<(), Error> {
    keyring::write(directory, tree, key, password.as_ref())
}
