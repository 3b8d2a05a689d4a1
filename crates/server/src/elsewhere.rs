//! Keys that are not in a service's directory: in a KMS, in a Vault, on a token, or in a file of their own.
//!
//! This crate knows a key only by its reference, a text that stands in `keys/NAME.ref`; how such a key is reached is
//! told by the program, once ([`install`]), as it is the same for every directory that a process opens.
//!
//! Invariant: a reference that is written was opened before, and has the public key that stands beside it.

use std::sync::OnceLock;

use sealmark_keys::{Algorithm, PrivateKey};

use crate::keyring::Suits;
use crate::{Error, keyring};

/// Opens the key of a reference; may block. The error is a whole message: which key, and why not.
pub type Open = Box<dyn Fn(&str) -> Result<PrivateKey, String> + Send + Sync>;

static OPEN: OnceLock<Open> = OnceLock::new();

/// Tells how keys are reached, for the rest of the process. `false` if that was told before, which stays.
pub fn install(open: Open) -> bool {
    OPEN.set(open).is_ok()
}

/// Opens a key.
pub(crate) fn open(reference: &str) -> Result<PrivateKey, String> {
    match OPEN.get() {
        Some(open) => open(reference),
        None => Err("this program does not use keys that are elsewhere".to_owned()),
    }
}

/// Where the keys of an instance's services are to be: a reference, or in the directory. It matters for keys that are
/// still to be made; of those that there are, the directory knows where they are, and a reference given here must be of
/// the same key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Places {
    /// The key that signs certificates, which is not the root's: ECDSA, RSA or Ed25519.
    pub ca: Option<String>,
    /// The CT log's: ECDSA P-256.
    pub ct: Option<String>,
    /// That of the transparency log's tree of v1: ECDSA P-256.
    pub log: Option<String>,
    /// That of its tree of v2: Ed25519.
    pub log_v2: Option<String>,
    /// The timestamp authority's, which is not its root's: ECDSA, RSA or Ed25519.
    pub tsa: Option<String>,
    /// The key that signs targets, snapshot and timestamp of the TUF repository: ECDSA P-256.
    pub tuf: Option<String>,
}

impl Places {
    /// Opens all keys, before a directory is made that remembers where they are.
    pub(crate) fn check(&self, log: &[Option<String>; 2]) -> Result<(), Error> {
        let certificates = Suits::Certificates(Algorithm::EcdsaP256);
        let p256 = Suits::Only(Algorithm::EcdsaP256);
        for (place, suits) in [
            (&self.ca, certificates),
            (&self.tsa, certificates),
            (&self.ct, p256),
            (&self.tuf, p256),
            (&log[0], p256),
            (&log[1], Suits::Only(Algorithm::Ed25519)),
        ] {
            if let Some(place) = place {
                keyring::open(place, suits).map_err(Error::KeyElsewhere)?;
            }
        }
        Ok(())
    }
}

/// Where a private key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// In the directory, encrypted.
    Encrypted,
    /// In the directory, protected by the mode of its file alone.
    Plain,
    /// Where this reference says.
    At(String),
}
