//! How a signature is made with a key: hash, and padding where there is a choice.

use core::fmt;

use sealmark_formats::HashAlgorithm;

use crate::{Curve, KeyType};

/// The signature schemes that are checked.
///
/// ECDSA signatures are ASN.1 DER, of either half of `s`. The salt of RSA-PSS is as long as the hash, and its mask
/// uses the same hash. Ed25519ph has no context.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)] // the names say it all
pub enum Scheme {
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    Ed25519,
    Ed25519ph,
}

/// What each kind of key accepts when nothing but the key says how a signature was made: the key's own hash first,
/// then what other clients are known to write.
impl KeyType {
    /// The schemes that are tried for this key, in this order.
    ///
    /// With P-384 and P-521 keys from files, cosign 2 hashes with SHA-256, so that is tried second.
    pub fn schemes(self) -> &'static [Scheme] {
        use Scheme::*;
        match self {
            Self::Ecdsa(Curve::P256) => &[EcdsaSha256],
            Self::Ecdsa(Curve::P384) => &[EcdsaSha384, EcdsaSha256],
            Self::Ecdsa(Curve::P521) => &[EcdsaSha512, EcdsaSha256],
            Self::Ed25519 => &[Ed25519, Ed25519ph],
            Self::Rsa { .. } => &[
                RsaPkcs1Sha256,
                RsaPssSha256,
                RsaPkcs1Sha384,
                RsaPkcs1Sha512,
                RsaPssSha384,
                RsaPssSha512,
            ],
        }
    }

    /// The schemes of this key for a digest made with `hash`, when something else says what the hash is.
    pub fn schemes_with(self, hash: HashAlgorithm) -> &'static [Scheme] {
        use Scheme::*;
        match (self, hash) {
            (Self::Ecdsa(_), HashAlgorithm::Sha256) => &[EcdsaSha256],
            (Self::Ecdsa(_), HashAlgorithm::Sha384) => &[EcdsaSha384],
            (Self::Ecdsa(_), HashAlgorithm::Sha512) => &[EcdsaSha512],
            (Self::Rsa { .. }, HashAlgorithm::Sha256) => &[RsaPkcs1Sha256, RsaPssSha256],
            (Self::Rsa { .. }, HashAlgorithm::Sha384) => &[RsaPkcs1Sha384, RsaPssSha384],
            (Self::Rsa { .. }, HashAlgorithm::Sha512) => &[RsaPkcs1Sha512, RsaPssSha512],
            (Self::Ed25519, HashAlgorithm::Sha512) => &[Ed25519ph],
            (Self::Ed25519, _) => &[],
        }
    }
}

impl Scheme {
    /// The hash of the data that is signed; none for pure Ed25519, which signs the data itself.
    pub fn hash(self) -> Option<HashAlgorithm> {
        match self {
            Self::EcdsaSha256 | Self::RsaPkcs1Sha256 | Self::RsaPssSha256 => {
                Some(HashAlgorithm::Sha256)
            }
            Self::EcdsaSha384 | Self::RsaPkcs1Sha384 | Self::RsaPssSha384 => {
                Some(HashAlgorithm::Sha384)
            }
            Self::EcdsaSha512 | Self::RsaPkcs1Sha512 | Self::RsaPssSha512 | Self::Ed25519ph => {
                Some(HashAlgorithm::Sha512)
            }
            Self::Ed25519 => None,
        }
    }

    /// Whether keys of this kind make such signatures.
    pub fn fits(self, key: KeyType) -> bool {
        match self {
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 => {
                matches!(key, KeyType::Ecdsa(_))
            }
            Self::Ed25519 | Self::Ed25519ph => key == KeyType::Ed25519,
            _ => matches!(key, KeyType::Rsa { .. }),
        }
    }

    /// For people, with the kind of key: `ECDSA P-384 with SHA-384`, `RSA 2048 PSS with SHA-256`.
    pub fn describe(self, key: KeyType) -> String {
        let name = self.to_string();
        match (key, name.split_once(' ')) {
            (KeyType::Ecdsa(curve), Some(("ECDSA", rest))) => {
                format!("ECDSA {} {rest}", curve.name())
            }
            (KeyType::Rsa { bits }, Some(("RSA", rest))) => format!("RSA {bits} {rest}"),
            _ => name,
        }
    }
}

/// For people: `ECDSA with SHA-384`, `RSA PKCS#1 v1.5 with SHA-256`, `Ed25519`.
impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA with SHA-256",
            Self::EcdsaSha384 => "ECDSA with SHA-384",
            Self::EcdsaSha512 => "ECDSA with SHA-512",
            Self::RsaPkcs1Sha256 => "RSA PKCS#1 v1.5 with SHA-256",
            Self::RsaPkcs1Sha384 => "RSA PKCS#1 v1.5 with SHA-384",
            Self::RsaPkcs1Sha512 => "RSA PKCS#1 v1.5 with SHA-512",
            Self::RsaPssSha256 => "RSA PSS with SHA-256",
            Self::RsaPssSha384 => "RSA PSS with SHA-384",
            Self::RsaPssSha512 => "RSA PSS with SHA-512",
            Self::Ed25519 => "Ed25519",
            Self::Ed25519ph => "Ed25519ph",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_read_like_the_standards_names() {
        let p384 = KeyType::Ecdsa(Curve::P384);
        assert_eq!(
            Scheme::EcdsaSha384.describe(p384),
            "ECDSA P-384 with SHA-384"
        );
        assert_eq!(
            Scheme::RsaPkcs1Sha256.describe(KeyType::Rsa { bits: 3072 }),
            "RSA 3072 PKCS#1 v1.5 with SHA-256"
        );
        assert_eq!(Scheme::Ed25519ph.describe(KeyType::Ed25519), "Ed25519ph");
    }

    #[test]
    fn the_keys_own_hash_comes_first() {
        for curve in Curve::ALL {
            let key = KeyType::Ecdsa(curve);
            assert_eq!(key.schemes()[0].hash(), Some(key.hash()));
            assert!(key.schemes().iter().all(|scheme| scheme.fits(key)));
        }
        let rsa = KeyType::Rsa { bits: 2048 };
        assert_eq!(rsa.schemes()[0].hash(), Some(rsa.hash()));
        assert_eq!(KeyType::Ed25519.schemes()[0], Scheme::Ed25519);
    }
}
