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
use sealmark_keys::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

use crate::{Error, durable};

/// Where the public key of this name is.
pub(crate) fn public_key_path(directory: &Path, name: &str) -> PathBuf {
    directory.join("keys").join(format!("{name}.pub"))
}

/// Refuses to go on without a private key that was there when `later` was made: a new one would be another's.
pub(crate) fn not_lost(directory: &Path, name: &str, later: &Path) -> Result<(), Error> {
    let path = directory.join("keys").join(format!("{name}.pem"));
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
    let folder = directory.join("keys");
    durable::create_directory(&folder)?;
    let path = folder.join(format!("{name}.pem"));
    not_lost(directory, name, &public_key_path(directory, name))?;
    let trouble = |error: sealmark_keys::Error| Error::Key {
        path: path.clone(),
        problem: error.to_string(),
    };
    let private = match durable::read(&path)?.map(Zeroizing::new) {
        Some(file) => PrivateKey::from_pem(&file, || {
            let password = password.cloned();
            password.ok_or(sealmark_keys::Error::WrongPassword)
        })
        .map_err(trouble)?,
        None => {
            let key = PrivateKey::generate(algorithm).map_err(trouble)?;
            let pem = match password {
                Some(password) => Zeroizing::new(key.to_encrypted_pem(password).map_err(trouble)?),
                None => pem(&key.to_pkcs8_der().map_err(trouble)?),
            };
            // A temporary file has the mode 0600, and keeps it.
            durable::write(&path, pem.as_bytes(), &folder)?;
            key
        }
    };
    if private.key_type() != algorithm.key_type() {
        return Err(Error::Key {
            path,
            problem: format!(
                "it is a {} key, this service signs with {algorithm}",
                private.key_type()
            ),
        });
    }
    let public = public_key_path(directory, name);
    let wanted = private.public_key().to_pem();
    if durable::read(&public)?.as_deref() != Some(wanted.as_bytes()) {
        durable::write(&public, wanted.as_bytes(), &folder)?;
        fs::set_permissions(&public, fs::Permissions::from_mode(0o644))
            .map_err(Error::io("make readable", &public))?;
    }
    Ok(private)
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
