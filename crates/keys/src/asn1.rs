//! The ASN.1 around public keys: SubjectPublicKeyInfo (RFC 5280) and RSA keys (RFC 8017).
//!
//! What is accepted here is strict DER of a kind of key that can be used; whether the numbers in it are a key is
//! checked by the engine.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

use crate::{Curve, Error, KeyType};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The smallest RSA modulus, as in NIST SP 800-131A and every Sigstore client.
const MIN_RSA_BITS: usize = 2048;
/// The largest RSA modulus: checking costs grow with the square of it, and a stranger chooses it.
const MAX_RSA_BITS: usize = 8192;

/// Names of kinds of keys that people have and that cannot be used, for errors.
const OTHER_KINDS: [(&str, &str); 12] = [
    (
        "1.2.840.113549.1.1.10",
        "RSASSA-PSS (RSA restricted to PSS)",
    ),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.3.101.110", "X25519 (key agreement)"),
    ("1.3.101.111", "X448 (key agreement)"),
    ("1.3.101.113", "Ed448"),
    ("1.3.132.0.10", "ECDSA secp256k1"),
    ("1.3.132.0.33", "ECDSA P-224"),
    ("1.3.36.3.3.2.8.1.1.7", "ECDSA brainpoolP256r1"),
    ("1.2.156.10197.1.301", "SM2"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

fn unsupported(oid: ObjectIdentifier) -> Error {
    let oid = oid.to_string();
    let name = OTHER_KINDS
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, name)| *name);
    Error::UnsupportedKey(name.map_or_else(|| format!("OID {oid}"), str::to_owned))
}

pub(crate) fn malformed(what: &'static str) -> impl Fn(der::Error) -> Error {
    move |error| Error::Malformed {
        what,
        reason: error.to_string(),
    }
}

/// What the algorithm identifier of a key names. The size of an RSA key is not in it.
#[derive(Clone, Copy)]
pub(crate) enum Family {
    Ec(Curve),
    Ed25519,
    Rsa,
}

pub(crate) fn family(
    algorithm: &AlgorithmIdentifierRef<'_>,
    what: &'static str,
) -> Result<Family, Error> {
    match algorithm.oid {
        EC_PUBLIC_KEY => {
            let parameters = algorithm.parameters.ok_or_else(|| Error::Malformed {
                what,
                reason: "the curve is missing".into(),
            })?;
            let oid = parameters.decode_as::<ObjectIdentifier>().map_err(|_| {
                Error::UnsupportedKey("ECDSA with explicit curve parameters".into())
            })?;
            curve(oid).map(Family::Ec)
        }
        ED25519 => Ok(Family::Ed25519),
        RSA_ENCRYPTION => Ok(Family::Rsa),
        other => Err(unsupported(other)),
    }
}

pub(crate) fn curve(oid: ObjectIdentifier) -> Result<Curve, Error> {
    match oid {
        P256 => Ok(Curve::P256),
        P384 => Ok(Curve::P384),
        P521 => Ok(Curve::P521),
        other => Err(unsupported(other)),
    }
}

/// A SubjectPublicKeyInfo: the kind of key, and the key as the engine takes it (the uncompressed point, the
/// RSAPublicKey structure, or the 32 bytes of Ed25519).
pub(crate) fn spki(bytes: &[u8]) -> Result<(KeyType, Vec<u8>), Error> {
    const WHAT: &str = "public key (SubjectPublicKeyInfo)";
    let info = SubjectPublicKeyInfoRef::from_der(bytes).map_err(malformed(WHAT))?;
    let family = family(&info.algorithm, WHAT)?;
    let key = info
        .subject_public_key
        .as_bytes()
        .ok_or_else(|| Error::Malformed {
            what: WHAT,
            reason: "the bits of the key are not whole bytes".into(),
        })?;
    public(family, key)
}

/// A public key as the engine takes it, checked as far as can be without arithmetic on curves.
pub(crate) fn public(family: Family, key: &[u8]) -> Result<(KeyType, Vec<u8>), Error> {
    let bad = |what, reason: &str| Error::Malformed {
        what,
        reason: reason.into(),
    };
    let key_type = match family {
        Family::Ec(curve) => {
            if matches!(key.first(), Some(2 | 3)) {
                return Err(bad(
                    "ECDSA public key",
                    "compressed points are not supported",
                ));
            }
            if key.first() != Some(&4) || key.len() != 1 + 2 * curve.scalar_len() {
                return Err(bad(
                    "ECDSA public key",
                    "the point has the wrong form or length",
                ));
            }
            KeyType::Ecdsa(curve)
        }
        Family::Ed25519 => {
            if key.len() != 32 {
                return Err(bad("Ed25519 public key", "it is not 32 bytes long"));
            }
            KeyType::Ed25519
        }
        Family::Rsa => KeyType::Rsa {
            bits: RsaPublic::from_der(key)?.bits(),
        },
    };
    Ok((key_type, key.to_vec()))
}

/// The SubjectPublicKeyInfo as every Sigstore client writes it; the key's id is made over these bytes.
pub(crate) fn encode_spki(key_type: KeyType, key: &[u8]) -> Result<Vec<u8>, Error> {
    let (oid, parameters) = match &key_type {
        KeyType::Ecdsa(Curve::P256) => (EC_PUBLIC_KEY, Some(AnyRef::from(&P256))),
        KeyType::Ecdsa(Curve::P384) => (EC_PUBLIC_KEY, Some(AnyRef::from(&P384))),
        KeyType::Ecdsa(Curve::P521) => (EC_PUBLIC_KEY, Some(AnyRef::from(&P521))),
        KeyType::Ed25519 => (ED25519, None),
        KeyType::Rsa { .. } => (RSA_ENCRYPTION, Some(AnyRef::NULL)),
    };
    let encode = || {
        SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(key)?,
        }
        .to_der()
    };
    encode().map_err(malformed("public key"))
}

/// The structure of two numbers that RSA keys (RFC 8017, A.1.1) and ECDSA signatures (RFC 3279, section 2.2.3) are.
/// The numbers are big-endian, with or without leading zeros.
pub(crate) fn two_numbers(a: &[u8], b: &[u8], what: &'static str) -> Result<Vec<u8>, Error> {
    let encode = || {
        let (a, b) = (UintRef::new(a)?, UintRef::new(b)?);
        let length = (a.encoded_len()? + b.encoded_len()?)?;
        let mut der = der::Header::new(der::Tag::Sequence, length).to_der()?;
        a.encode_to_vec(&mut der)?;
        b.encode_to_vec(&mut der)?;
        Ok(der)
    };
    encode().map_err(malformed(what))
}

/// The numbers of an RSA public key: neither too weak nor too costly, and such as keys have.
pub(crate) struct RsaPublic<'a> {
    /// Big-endian, without leading zeros; odd, from [`MIN_RSA_BITS`] to [`MAX_RSA_BITS`] long.
    pub(crate) modulus: &'a [u8],
    /// Odd, from 3 to 2^31 - 1.
    pub(crate) exponent: u32,
}

impl<'a> RsaPublic<'a> {
    /// Reads RSAPublicKey (RFC 8017, A.1.1).
    pub(crate) fn from_der(bytes: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "RSA public key";
        let (n, e) = AnyRef::from_der(bytes)
            .and_then(|any| {
                any.sequence(|r| Ok::<_, der::Error>((UintRef::decode(r)?, UintRef::decode(r)?)))
            })
            .map_err(malformed(WHAT))?;
        Self::new(n, e, WHAT)
    }

    pub(crate) fn new(n: UintRef<'a>, e: UintRef<'_>, what: &'static str) -> Result<Self, Error> {
        let key = Self {
            modulus: n.as_bytes(),
            exponent: match e.as_bytes() {
                bytes if bytes.len() <= 4 => bytes.iter().fold(0, |e, b| e << 8 | u32::from(*b)),
                _ => 0,
            },
        };
        let bits = key.bits();
        if bits < MIN_RSA_BITS {
            return Err(Error::WeakRsa { bits });
        }
        if bits > MAX_RSA_BITS {
            return Err(Error::LargeRsa { bits });
        }
        if key.modulus.last().is_some_and(|last| last & 1 == 0) {
            return Err(Error::Malformed {
                what,
                reason: "the modulus is even".into(),
            });
        }
        // Go's limit, and so that of most verifiers: no more than 31 bits.
        if key.exponent < 3 || key.exponent & 1 == 0 || key.exponent > 0x7fff_ffff {
            return Err(Error::RsaExponent);
        }
        Ok(key)
    }

    /// Length of the modulus.
    pub(crate) fn bits(&self) -> usize {
        let first = self.modulus.first();
        first.map_or(0, |first| {
            self.modulus.len() * 8 - first.leading_zeros() as usize
        })
    }
}
