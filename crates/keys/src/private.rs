//! Private keys: generated, and read from and written to PKCS#8.
//!
//! A `PrivateKey` always knows its public key, and the two belong together. Secret bytes are overwritten when they
//! are dropped, and never shown by `Debug` or an error.

use core::fmt;
use std::sync::Arc;

use sealmark_formats::Digest;
use zeroize::Zeroizing;

use crate::engine::private::KeyPair;
use crate::{Algorithm, Error, KeyType, PublicKey};

mod asn1;
mod key_file;
mod pbes2;
mod sealed_box;
mod secretbox;
mod sign;

pub use sealed_box::seal_for;
pub use sign::StreamSigner;

/// A key that signs. Clones share one copy of the secret.
#[derive(Clone)]
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

/// Where the secret is.
#[derive(Clone)]
enum Secret {
    Here(Arc<KeyPair>),
    Elsewhere(Arc<dyn Elsewhere>),
}

/// What is signed by a key that is not in this process.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The digest of the data, by the key's own hash.
    Digest(&'a Digest),
    /// The data itself, for Ed25519.
    Message(&'a [u8]),
}

/// A key whose secret is not in this process: in a service, or on a token.
pub trait Elsewhere: Send + Sync {
    /// Signs in the key's own scheme, and waits for it: ECDSA as ASN.1 DER, RSA and Ed25519 as they are. What it gives is
    /// checked with the public key by who called.
    ///
    /// # Errors
    /// A whole message: what was asked of whom, and why it was not done.
    fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, String>;
}

impl PrivateKey {
    /// Makes a new key from the system's secure randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Self::from_pair(KeyPair::generate(algorithm)?)
    }

    /// Reads PKCS#8 (RFC 5958, versions 1 and 2) in DER, unencrypted.
    pub fn from_pkcs8_der(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > crate::MAX_KEY_FILE {
            return Err(Error::TooLarge);
        }
        let family = asn1::pkcs8(bytes)?;
        Self::from_pair(KeyPair::from_pkcs8(family, bytes)?)
    }

    /// Reads a SEC1 `EC PRIVATE KEY` (RFC 5915), which must name its curve.
    pub(crate) fn from_sec1_der(bytes: &[u8]) -> Result<Self, Error> {
        let curve = asn1::ec_private(bytes)?;
        Self::from_pair(KeyPair::from_sec1(curve, bytes)?)
    }

    /// Reads a PKCS#1 `RSA PRIVATE KEY` (RFC 8017, A.1.2).
    pub(crate) fn from_pkcs1_der(bytes: &[u8]) -> Result<Self, Error> {
        asn1::rsa_private(bytes)?;
        Self::from_pair(KeyPair::from_pkcs1(bytes)?)
    }

    fn from_pair(pair: KeyPair) -> Result<Self, Error> {
        let (family, raw) = pair.public();
        let public = PublicKey::from_raw(crate::asn1::public(family, raw)?)?;
        Ok(Self {
            secret: Secret::Here(Arc::new(pair)),
            public,
        })
    }

    /// A key of which only the public part is here.
    pub fn elsewhere(public: PublicKey, key: Arc<dyn Elsewhere>) -> Self {
        Self {
            secret: Secret::Elsewhere(key),
            public,
        }
    }

    /// The key as PKCS#8 in DER, unencrypted, in version 1 (Go, and so cosign, refuses version 2). EC keys carry
    /// the named curve and the public key.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] if the secret is not here.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &self.secret {
            Secret::Here(pair) => pair.to_pkcs8(),
            Secret::Elsewhere(_) => Err(Error::Elsewhere(
                "the private key does not leave the place where it is".to_owned(),
            )),
        }
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// What the key is.
    pub fn key_type(&self) -> KeyType {
        self.public.key_type()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, {})", self.key_type(), self.public.id())
    }
}
