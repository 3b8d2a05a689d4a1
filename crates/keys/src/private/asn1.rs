//! The ASN.1 around private keys: RSA keys (RFC 8017), EC private keys (RFC 5915) and PKCS#8 (RFC 5958).
//!
//! What is accepted here is strict DER of a kind of key that can be used; whether the numbers in it are a key is
//! checked by the engine.

use der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Reader, TagNumber};
use pkcs8::PrivateKeyInfoRef;

use crate::asn1::{Family, RsaPublic, curve, family, malformed};
use crate::{Curve, Error};

/// What kind of key a PKCS#8 structure holds; RSA keys are checked for their size.
pub(crate) fn pkcs8(bytes: &[u8]) -> Result<Family, Error> {
    const WHAT: &str = "PKCS#8 private key";
    let info = PrivateKeyInfoRef::from_der(bytes).map_err(malformed(WHAT))?;
    let family = family(&info.algorithm, WHAT)?;
    if matches!(family, Family::Rsa) {
        rsa_private(info.private_key.as_bytes())?;
    }
    Ok(family)
}

/// RSAPrivateKey (RFC 8017, A.1.2): checks modulus and exponent; the rest is for the engine.
pub(crate) fn rsa_private(bytes: &[u8]) -> Result<(), Error> {
    const WHAT: &str = "RSA private key";
    let (n, e) = AnyRef::from_der(bytes)
        .and_then(|any| {
            any.sequence(|r| {
                let _version = UintRef::decode(r)?;
                let numbers = (UintRef::decode(r)?, r.decode()?);
                while !r.is_finished() {
                    AnyRef::decode(r)?;
                }
                Ok::<_, der::Error>(numbers)
            })
        })
        .map_err(malformed(WHAT))?;
    RsaPublic::new(n, e, WHAT).map(drop)
}

/// The curve of an ECPrivateKey (RFC 5915, section 3) that stands alone, and so has to name it.
pub(crate) fn ec_private(bytes: &[u8]) -> Result<Curve, Error> {
    const WHAT: &str = "EC private key";
    let parameters = AnyRef::from_der(bytes)
        .and_then(|any| {
            any.sequence(|r| {
                let _version = UintRef::decode(r)?;
                let _scalar = <&OctetStringRef>::decode(r)?;
                let parameters = ContextSpecific::<AnyRef<'_>>::decode_explicit(r, TagNumber(0))?
                    .map(|p| p.value);
                while !r.is_finished() {
                    AnyRef::decode(r)?;
                }
                Ok::<_, der::Error>(parameters)
            })
        })
        .map_err(malformed(WHAT))?;
    let parameters = parameters.ok_or_else(|| Error::Malformed {
        what: WHAT,
        reason: "the curve is missing".into(),
    })?;
    let oid = parameters
        .decode_as::<ObjectIdentifier>()
        .map_err(|_| Error::UnsupportedKey("ECDSA with explicit curve parameters".into()))?;
    curve(oid)
}
