//! Public keys, and their ids.
//!
//! A `PublicKey` holds a point on its curve or an RSA key of an acceptable size; two are equal if and only if
//! their SubjectPublicKeyInfo are.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};

use crate::{Error, KeyType, asn1, engine, pem};

/// A public key that signatures can be checked with.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    key_type: KeyType,
    /// As the engine takes it, see [`asn1::spki`].
    raw: Vec<u8>,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads a PEM file with a `PUBLIC KEY` (RFC 5280 SubjectPublicKeyInfo) or an `RSA PUBLIC KEY` (RFC 8017).
    ///
    /// # Errors
    /// For any other kind of PEM, e.g. a certificate, the error names it and says what to do; files larger than
    /// [`MAX_KEY_FILE`](crate::MAX_KEY_FILE) are refused unread.
    pub fn from_pem(file: &[u8]) -> Result<Self, Error> {
        let block = pem::decode(file)?;
        match block.label.as_str() {
            "PUBLIC KEY" => Self::from_spki_der(&block.content),
            "RSA PUBLIC KEY" => Self::from_raw(asn1::public(asn1::Family::Rsa, &block.content)?),
            other => Err(pem::wrong_kind("a public key (PUBLIC KEY)", other)),
        }
    }

    /// Reads a SubjectPublicKeyInfo in DER, e.g. that of a certificate.
    pub fn from_spki_der(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > crate::MAX_KEY_FILE {
            return Err(Error::TooLarge);
        }
        let key = Self::from_raw(asn1::spki(bytes)?)?;
        // One key, one encoding, one id. What is left to differ are parameters that Go refuses, too.
        if key.spki != bytes {
            let reason = "the algorithm's parameters are not those of RFC 3279 or RFC 8410".into();
            return Err(Error::Malformed {
                what: "public key",
                reason,
            });
        }
        Ok(key)
    }

    /// From a key that [`asn1::public`] accepted.
    pub(crate) fn from_raw((key_type, raw): (KeyType, Vec<u8>)) -> Result<Self, Error> {
        if !engine::is_public_key(key_type, &raw) {
            let (what, reason) = match key_type {
                KeyType::Ecdsa(_) => ("ECDSA public key", "the point is not on the curve"),
                KeyType::Ed25519 => (
                    "Ed25519 public key",
                    "the point is not on the curve, not in canonical form, or of small order",
                ),
                KeyType::Rsa { .. } => ("RSA public key", "the numbers are not an RSA key"),
            };
            return Err(Error::Malformed {
                what,
                reason: reason.into(),
            });
        }
        let spki = asn1::encode_spki(key_type, &raw)?;
        Ok(Self {
            key_type,
            raw,
            spki,
        })
    }

    /// An RSA key from its modulus and exponent, big-endian, with or without leading zeros.
    pub(crate) fn from_rsa_numbers(n: &[u8], e: &[u8]) -> Result<Self, Error> {
        Self::from_raw(asn1::public(
            asn1::Family::Rsa,
            &asn1::two_numbers(n, e, "RSA public key")?,
        )?)
    }

    /// The key as a PEM `PUBLIC KEY`, as cosign writes it to `cosign.pub`.
    pub fn to_pem(&self) -> String {
        core::mem::take(&mut *pem::encode("PUBLIC KEY", &self.spki))
    }

    /// The key as SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// What the key is.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The name of the kind of key as in [`Algorithm::name`](crate::Algorithm::name): `ecdsa-p256`, `rsa-3072`.
    pub fn algorithm_name(&self) -> String {
        self.key_type.name()
    }

    /// The hash that belongs to this key: SHA-256 for P-256 and RSA, SHA-384 for P-384, SHA-512 for P-521 and
    /// Ed25519.
    pub fn hash(&self) -> HashAlgorithm {
        self.key_type.hash()
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        KeyId(Digest::sha256(&self.spki))
    }

    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.key_type, self.id())
    }
}

/// Names a public key: SHA-256 over its SubjectPublicKeyInfo in DER.
///
/// It is displayed as `sha256:` and hex.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id as in the `publicKey.hint` of a Sigstore bundle: standard base64, padded.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.0.bytes())
    }

    /// The 32 bytes of the id.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The id as a digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
