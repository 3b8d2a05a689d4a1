//! The engine in Rust alone, for targets that aws-lc-rs cannot be built for.
//!
//! It checks signatures and does nothing else: no secret ever comes here, so nothing needs to run in constant time. It
//! accepts and refuses the same as [`super::aws_lc`], which the tests compare it with.

mod ecdsa;
pub(super) mod rsa;

use ed25519_dalek::{Signature, Verifier as _};
use sealmark_formats::Digest;

use super::ed25519;
use crate::asn1::RsaPublic;
use crate::{Curve, KeyType, Scheme};

pub(super) fn is_public_key(key_type: KeyType, raw: &[u8]) -> bool {
    match key_type {
        KeyType::Ecdsa(Curve::P256) => ecdsa::key::<p256::NistP256>(raw).is_some(),
        KeyType::Ecdsa(Curve::P384) => ecdsa::key::<p384::NistP384>(raw).is_some(),
        KeyType::Ecdsa(Curve::P521) => ecdsa::key::<p521::NistP521>(raw).is_some(),
        KeyType::Ed25519 => ed25519::verifying_key(raw).is_some(),
        KeyType::Rsa { .. } => RsaPublic::from_der(raw).is_ok(),
    }
}

pub(super) fn verify_digest(
    key_type: KeyType,
    scheme: Scheme,
    raw: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> bool {
    use Scheme::*;
    if scheme.hash() != Some(digest.algorithm()) {
        return false;
    }
    match (key_type, scheme) {
        (KeyType::Ecdsa(curve), EcdsaSha256 | EcdsaSha384 | EcdsaSha512) => match curve {
            Curve::P256 => ecdsa::verify::<p256::NistP256>(raw, digest, signature),
            Curve::P384 => ecdsa::verify::<p384::NistP384>(raw, digest, signature),
            Curve::P521 => ecdsa::verify::<p521::NistP521>(raw, digest, signature),
        },
        (KeyType::Rsa { .. }, RsaPkcs1Sha256 | RsaPkcs1Sha384 | RsaPkcs1Sha512) => {
            rsa::verify_pkcs1(raw, digest, signature)
        }
        (KeyType::Rsa { .. }, RsaPssSha256 | RsaPssSha384 | RsaPssSha512) => {
            rsa::verify_pss(raw, digest, signature)
        }
        _ => false,
    }
}

pub(super) fn verify_rsa_sha1(raw: &[u8], sha1: &[u8], signature: &[u8]) -> bool {
    rsa::verify_pkcs1_sha1(raw, sha1, signature)
}

pub(super) fn verify_ed25519(raw: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Some(key), Ok(signature)) = (
        ed25519::verifying_key(raw),
        Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}
