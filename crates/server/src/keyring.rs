//! The private keys of a service: made once, kept in its directory.
//!
//! ```text
//! keys/NAME.pem   the key, PKCS#8, mode 0600; encrypted if a password was given when it was made
//! keys/NAME.ref   or where it is: the reference of a key that is elsewhere, mode 0644. It goes before NAME.pem
//! keys/NAME.pub   its public part, mode 0644
//! ```
//!
//! Invariant: a key is durable before anything is signed with it, and is never replaced. A key that is elsewhere is the
//! one whose public part is here, or it is not used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, KeyType, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::elsewhere::{self, Kept};
use crate::{Error, durable};

/// A reference is not longer than this, in bytes: the longest are of PKCS#11, with a module's path in them.
const MAX_REFERENCE: usize = 4096;

/// Which keys a service can sign with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Suits {
    /// Keys of this algorithm alone.
    Only(Algorithm),
    /// This one if it is made here; whatever certificates are signed with from elsewhere.
    Certificates(Algorithm),
}

impl From<Algorithm> for Suits {
    fn from(algorithm: Algorithm) -> Self {
        Self::Only(algorithm)
    }
}

impl Suits {
    fn made(self) -> Algorithm {
        let (Self::Only(algorithm) | Self::Certificates(algorithm)) = self;
        algorithm
    }

    fn has(self, found: KeyType) -> bool {
        match self {
            Self::Only(algorithm) => found == algorithm.key_type(),
            Self::Certificates(_) => true,
        }
    }

    fn names(self) -> String {
        match self {
            Self::Only(algorithm) => algorithm.key_type().to_string(),
            Self::Certificates(_) => "ECDSA, RSA or Ed25519".to_owned(),
        }
    }
}

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

/// Where the reference of a key of this name is, if it is elsewhere.
pub(crate) fn reference_path(directory: &Path, name: &str) -> PathBuf {
    folder(directory).join(format!("{name}.ref"))
}

/// Whether there is a key of this name, here or elsewhere.
pub(crate) fn exists(directory: &Path, name: &str) -> bool {
    private_key_path(directory, name).exists() || reference_path(directory, name).exists()
}

/// Something is wrong with the key in this file.
pub(crate) fn trouble(path: &Path, problem: impl ToString) -> Error {
    Error::Key {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Refuses a key of a type that the service does not sign with.
pub(crate) fn check(path: &Path, key: &PublicKey, suits: impl Into<Suits>) -> Result<(), Error> {
    let (found, suits) = (key.key_type(), suits.into());
    if suits.has(found) {
        return Ok(());
    }
    Err(trouble(
        path,
        format!(
            "it is a {found} key, this service signs with {}",
            suits.names()
        ),
    ))
}

/// Refuses to go on without a private key that was there when `later` was made: a new one would be another's.
pub(crate) fn not_lost(directory: &Path, name: &str, later: &Path) -> Result<(), Error> {
    if exists(directory, name) || !later.exists() {
        return Ok(());
    }
    Err(Error::Key {
        path: private_key_path(directory, name),
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
    suits: impl Into<Suits>,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<PrivateKey, Error> {
    key_at(directory, name, suits, password, None)
}

/// Reads a key, or makes it, or has it where a reference says. The key that there is must be that of the reference.
pub(crate) fn key_at(
    directory: &Path,
    name: &str,
    suits: impl Into<Suits>,
    password: Option<&Zeroizing<Vec<u8>>>,
    reference: Option<&str>,
) -> Result<PrivateKey, Error> {
    let suits = suits.into();
    not_lost(directory, name, &public_key_path(directory, name))?;
    if let Some(key) = agreed(directory, name, suits, reference)? {
        return Ok(key);
    }
    match read(directory, name, suits, password)? {
        Some(key) => {
            publish(directory, name, &key)?;
            Ok(key)
        }
        None => generate_at(directory, name, suits, password, reference),
    }
}

/// Has a key that there is where a reference says from now on, if it is the same key. `None` if there is no key yet, or
/// no other reference than the one that is known.
pub(crate) fn agreed(
    directory: &Path,
    name: &str,
    suits: Suits,
    reference: Option<&str>,
) -> Result<Option<PrivateKey>, Error> {
    let Some(reference) = reference else {
        return Ok(None);
    };
    let known = read_reference(directory, name)?;
    if !exists(directory, name) || known.as_deref() == Some(reference) {
        return Ok(None);
    }
    let key = opened(directory, name, suits, reference)?;
    let Some(public) = read_public(directory, name)? else {
        return Err(trouble(
            &public_key_path(directory, name),
            "it is missing, so that nobody knows whether the key elsewhere is the same: start without the reference once, which makes it",
        ));
    };
    if public != *key.public_key() {
        let here = match known {
            Some(known) => format!("is at {known}"),
            None => "is in the directory".to_owned(),
        };
        return Err(trouble(
            &public_key_path(directory, name),
            format!(
                "{reference} is another key, {}; this service's, {}, {here}. Leave the reference out to go on with that; to exchange keys, stop the server and run `sealmark serve rotate … --key {reference}`: what was signed before stays good then",
                key.public_key().id(),
                public.id()
            ),
        ));
    }
    write_reference(directory, name, reference)?;
    Ok(Some(key))
}

/// Reads a key, if there is one, here or elsewhere. Nothing is written.
pub(crate) fn read(
    directory: &Path,
    name: &str,
    suits: impl Into<Suits>,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<Option<PrivateKey>, Error> {
    let suits = suits.into();
    if let Some(reference) = read_reference(directory, name)? {
        let key = opened(directory, name, suits, &reference)?;
        let public = read_public(directory, name)?;
        return match public.is_none_or(|public| public == *key.public_key()) {
            true => Ok(Some(key)),
            false => Err(trouble(
                &reference_path(directory, name),
                format!(
                    "{reference} is another key now than the one of {}, with which this service has signed: name the version of the key that it had, or exchange keys with `sealmark serve rotate`",
                    public_key_path(directory, name).display()
                ),
            )),
        };
    }
    let path = private_key_path(directory, name);
    let Some(file) = durable::read(&path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let key = PrivateKey::from_pem(&file, || {
        let password = password.cloned();
        password.ok_or(sealmark_keys::Error::WrongPassword)
    })
    .map_err(|error| trouble(&path, error))?;
    check(&path, key.public_key(), suits)?;
    Ok(Some(key))
}

/// Opens a key that is elsewhere, if the service can sign with it.
fn opened(
    directory: &Path,
    name: &str,
    suits: Suits,
    reference: &str,
) -> Result<PrivateKey, Error> {
    let path = reference_path(directory, name);
    open(reference, suits).map_err(|problem| trouble(&path, problem))
}

/// As [`opened`], for a key that has no place yet; the error is the problem alone.
pub(crate) fn open(reference: &str, suits: Suits) -> Result<PrivateKey, String> {
    let key = elsewhere::open(reference).map_err(|error| match error.contains(reference) {
        true => error,
        false => format!("{reference}: {error}"),
    })?;
    match suits.has(key.key_type()) {
        true => Ok(key),
        false => Err(format!(
            "{reference} is a {} key, this service signs with {}",
            key.key_type(),
            suits.names()
        )),
    }
}

/// The reference of a key that is elsewhere.
fn read_reference(directory: &Path, name: &str) -> Result<Option<String>, Error> {
    let path = reference_path(directory, name);
    let Some(file) = durable::read(&path)? else {
        return Ok(None);
    };
    let text = String::from_utf8(file).ok();
    let text = text.map(|text| text.trim().to_owned());
    let text = text.filter(|text| is_reference(text));
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(trouble(&path, "it is not one line with a key's reference")),
    }
}

fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_REFERENCE && !text.contains(char::is_control)
}

fn write_reference(directory: &Path, name: &str, reference: &str) -> Result<(), Error> {
    let path = reference_path(directory, name);
    if !is_reference(reference) {
        return Err(trouble(
            &path,
            format!("a reference is one line of at most {MAX_REFERENCE} bytes"),
        ));
    }
    let folder = folder(directory);
    durable::create_directory(&folder)?;
    durable::write(&path, format!("{reference}\n").as_bytes(), &folder)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
        .map_err(Error::io("make readable", &path))
}

/// Reads the public part of a key, if it is there.
pub(crate) fn read_public(directory: &Path, name: &str) -> Result<Option<PublicKey>, Error> {
    let path = public_key_path(directory, name);
    let key = durable::read(&path)?.map(|file| PublicKey::from_pem(&file));
    key.transpose().map_err(|error| trouble(&path, error))
}

/// Where a private key is; `None` if nobody here knows.
pub(crate) fn kept(directory: &Path, name: &str) -> Result<Option<Kept>, Error> {
    if let Some(reference) = read_reference(directory, name)? {
        return Ok(Some(Kept::At(reference)));
    }
    let file = durable::read(&private_key_path(directory, name))?.map(Zeroizing::new);
    Ok(file.map(
        |file| match PrivateKey::is_encrypted_pem(&file) == Some(true) {
            true => Kept::Encrypted,
            false => Kept::Plain,
        },
    ))
}

/// Makes a key, in the place of one that nothing was ever signed with; or has it where the reference says.
pub(crate) fn generate_at(
    directory: &Path,
    name: &str,
    suits: impl Into<Suits>,
    password: Option<&Zeroizing<Vec<u8>>>,
    reference: Option<&str>,
) -> Result<PrivateKey, Error> {
    let suits = suits.into();
    if let Some(reference) = reference {
        let key = opened(directory, name, suits, reference)?;
        write_reference(directory, name, reference)?;
        publish(directory, name, &key)?;
        return Ok(key);
    }
    let path = private_key_path(directory, name);
    let key = PrivateKey::generate(suits.made()).map_err(|error| trouble(&path, error))?;
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
    // What a crash has left of a key that was to be elsewhere would go before this one.
    let reference = reference_path(directory, name);
    if reference.exists() {
        durable::remove(&reference)?;
    }
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
