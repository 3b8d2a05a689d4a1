//! Keys and signatures in the formats that Rekor's `rekord` knows: OpenPGP, minisign, X.509, OpenSSH.
//!
//! Invariant: what comes out is in the canonical form that Rekor gives it, and a signature is one that verified.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{KeyType, Scheme, minisign, openpgp, ssh};

use crate::verifier::Verifier;

/// A format, as `signature.format` and `publicKey.format` name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// OpenPGP: armored or not.
    Pgp,
    /// minisign and signify.
    Minisign,
    /// A key or certificates in PEM.
    X509,
    /// OpenSSH.
    Ssh,
}

impl Format {
    /// The names of all, as refusals list them.
    pub const NAMES: &'static str = "pgp minisign x509 ssh";

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "pgp" => Self::Pgp,
            "minisign" => Self::Minisign,
            "x509" => Self::X509,
            "ssh" => Self::Ssh,
            _ => return None,
        })
    }
}

/// A public key in one of the formats.
#[derive(Debug)]
pub enum ForeignKey {
    /// A keyring.
    Pgp(Box<openpgp::KeyRing>),
    /// A key of minisign or signify.
    Minisign(minisign::PublicKey),
    /// A key or certificates in PEM.
    X509(Box<Verifier>),
    /// A line of `authorized_keys`.
    Ssh(ssh::PublicKey),
}

impl ForeignKey {
    /// Reads a key.
    ///
    /// # Errors
    /// Why it is none, or is not supported.
    pub fn read(format: Format, file: &[u8]) -> Result<Self, String> {
        let key = match format {
            Format::Pgp => openpgp::KeyRing::parse(file).map(|keys| Self::Pgp(Box::new(keys))),
            Format::Minisign => minisign::PublicKey::parse(file).map(Self::Minisign),
            Format::X509 => {
                return Verifier::from_pem(file).map(|verifier| Self::X509(Box::new(verifier)));
            }
            Format::Ssh => ssh::PublicKey::parse(file).map(Self::Ssh),
        };
        key.map_err(|error| error.to_string())
    }

    /// The canonical form.
    pub fn canonical(&self) -> String {
        match self {
            Self::Pgp(keys) => keys.to_armor(),
            Self::Minisign(key) => key.canonical(),
            Self::X509(verifier) => verifier.pem.clone(),
            Self::Ssh(key) => key.canonical(),
        }
    }

    /// The canonical form as bodies have it.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.canonical())
    }

    /// What entries with it are found by: both forms of its hash, and the names of whom it belongs to, in lower case.
    pub fn keys(&self) -> Vec<String> {
        if let Self::X509(verifier) = self {
            return verifier.keys();
        }
        let digest = Digest::sha256(self.canonical().as_bytes());
        let mut keys = vec![digest.hex(), digest.to_string()];
        match self {
            Self::Pgp(ring) => keys.extend(ring.emails().iter().map(|email| email.to_lowercase())),
            Self::Ssh(key) if openpgp::is_email(key.comment()) => {
                keys.push(key.comment().to_lowercase());
            }
            _ => {}
        }
        keys
    }

    /// Checks a signature in the same format over data, and gives its canonical form.
    pub(crate) fn verify(&self, signature: &[u8], data: &[u8]) -> Result<Vec<u8>, String> {
        let canonical = match self {
            Self::Pgp(keys) => openpgp::Detached::parse(signature).and_then(|signature| {
                signature.verify(keys, data)?;
                Ok(signature.canonical())
            }),
            Self::Minisign(key) => minisign::Signature::parse(signature).and_then(|signature| {
                signature.verify(key, data)?;
                Ok(signature.canonical().into_bytes())
            }),
            Self::Ssh(key) => ssh::Signature::parse(signature).and_then(|signature| {
                signature.verify(key, data)?;
                Ok(signature.canonical().into_bytes())
            }),
            Self::X509(verifier) => {
                let key = &verifier.key;
                // Rekor hashes with SHA-256, whatever the key.
                let scheme = match key.key_type() {
                    KeyType::Ecdsa(_) => Scheme::EcdsaSha256,
                    KeyType::Rsa { .. } => Scheme::RsaPkcs1Sha256,
                    KeyType::Ed25519 => Scheme::Ed25519,
                };
                return match key.verify_scheme(scheme, data, signature) {
                    Ok(()) => Ok(signature.to_vec()),
                    Err(error) => Err(error.to_string()),
                };
            }
        };
        canonical.map_err(|error| error.to_string())
    }
}
