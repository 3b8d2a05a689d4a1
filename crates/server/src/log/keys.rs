//! The keys of a log's trees: as the [`keyring`] has them, each named as its tree.
//!
//! Invariant: a tree is signed with the key that it has, and with no other: one that is missing is never made again.

use std::path::{Path, PathBuf};

use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::shards::Interface;
use crate::elsewhere::Kept;
use crate::keyring::Suits;
use crate::{Error, keyring};

pub(super) use keyring::public_key_path as public_path;

/// The password for the files.
pub(super) type Password = Option<Zeroizing<Vec<u8>>>;

/// What an interface signs with: clients of v1 take promises of no other keys, and witnesses of v2
/// cosign no other checkpoints.
fn suits(interface: Interface) -> Suits {
    match interface {
        Interface::V1 => Suits::Only(Algorithm::EcdsaP256),
        Interface::V2 => Suits::Only(Algorithm::Ed25519),
    }
}

/// Whether a tree has its key.
pub(super) fn exists(directory: &Path, tree: &str) -> bool {
    keyring::exists(directory, tree)
}

fn private_path(directory: &Path, tree: &str) -> PathBuf {
    keyring::private_key_path(directory, tree)
}

/// Reads the key of a tree, which has one; if a reference is given, it must be of the same key.
pub(super) fn read(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
    reference: Option<&str>,
) -> Result<PrivateKey, Error> {
    if let Some(key) = keyring::agreed(directory, tree, suits(interface), reference)? {
        return Ok(key);
    }
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
    let key = keyring::read(directory, tree, suits(interface), password.as_ref())?;
    key.ok_or_else(|| missing(directory, tree))
}

/// Where the key of a tree is.
pub(super) fn kept(directory: &Path, tree: &str) -> Result<Kept, Error> {
    keyring::kept(directory, tree)?.ok_or_else(|| missing(directory, tree))
}

fn missing(directory: &Path, tree: &str) -> Error {
    let problem = format!(
        "it is missing; tree {tree:?} of this log is signed with it, and with no other: restore it from a backup"
    );
    keyring::trouble(&private_path(directory, tree), problem)
}

/// Refuses a key of another type.
pub(super) fn check(path: &Path, key: &PublicKey, interface: Interface) -> Result<(), Error> {
    keyring::check(path, key, suits(interface))
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

/// Makes the key of a new tree, or has it where a reference says.
pub(super) fn generate(
    directory: &Path,
    tree: &str,
    interface: Interface,
    password: &Password,
    reference: Option<&str>,
) -> Result<PrivateKey, Error> {
    let password = password.as_ref();
    keyring::generate_at(directory, tree, suits(interface), password, reference)
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
