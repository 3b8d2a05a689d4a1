//! The engine of every target that aws-lc-rs can be built for.

use aws_lc_rs::signature::{
    self as sig, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm,
};
use sealmark_formats::Digest;

use super::private::import;
use crate::{Curve, KeyType, Scheme};

/// The verification algorithm of a scheme for a kind of key.
fn algorithm(key_type: KeyType, scheme: Scheme) -> Option<&'static dyn VerificationAlgorithm> {
    use Scheme::*;
    Some(match (key_type, scheme) {
        (KeyType::Ecdsa(Curve::P256), EcdsaSha256) => &sig::ECDSA_P256_SHA256_ASN1,
        (KeyType::Ecdsa(Curve::P256), EcdsaSha384) => &sig::ECDSA_P256_SHA384_ASN1,
        (KeyType::Ecdsa(Curve::P256), EcdsaSha512) => &sig::ECDSA_P256_SHA512_ASN1,
        (KeyType::Ecdsa(Curve::P384), EcdsaSha256) => &sig::ECDSA_P384_SHA256_ASN1,
        (KeyType::Ecdsa(Curve::P384), EcdsaSha384) => &sig::ECDSA_P384_SHA384_ASN1,
        (KeyType::Ecdsa(Curve::P384), EcdsaSha512) => &sig::ECDSA_P384_SHA512_ASN1,
        (KeyType::Ecdsa(Curve::P521), EcdsaSha256) => &sig::ECDSA_P521_SHA256_ASN1,
        (KeyType::Ecdsa(Curve::P521), EcdsaSha384) => &sig::ECDSA_P521_SHA384_ASN1,
        (KeyType::Ecdsa(Curve::P521), EcdsaSha512) => &sig::ECDSA_P521_SHA512_ASN1,
        (KeyType::Rsa { .. }, RsaPkcs1Sha256) => &sig::RSA_PKCS1_2048_8192_SHA256,
        (KeyType::Rsa { .. }, RsaPkcs1Sha384) => &sig::RSA_PKCS1_2048_8192_SHA384,
        (KeyType::Rsa { .. }, RsaPkcs1Sha512) => &sig::RSA_PKCS1_2048_8192_SHA512,
        (KeyType::Rsa { .. }, RsaPssSha256) => &sig::RSA_PSS_2048_8192_SHA256,
        (KeyType::Rsa { .. }, RsaPssSha384) => &sig::RSA_PSS_2048_8192_SHA384,
        (KeyType::Rsa { .. }, RsaPssSha512) => &sig::RSA_PSS_2048_8192_SHA512,
        (KeyType::Ed25519, Ed25519) => &sig::ED25519,
        _ => return None,
    })
}

pub(super) fn is_public_key(key_type: KeyType, raw: &[u8]) -> bool {
    key_type.schemes().first().is_some_and(|scheme| {
        algorithm(key_type, *scheme).is_some_and(|a| ParsedPublicKey::new(a, raw).is_ok())
    })
}

pub(super) fn verify_digest(
    key_type: KeyType,
    scheme: Scheme,
    raw: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> bool {
    let (Some(algorithm), Some(digest)) = (algorithm(key_type, scheme), import(digest)) else {
        return false;
    };
    UnparsedPublicKey::new(algorithm, raw)
        .verify_digest(&digest, signature)
        .is_ok()
}

// With the other engine chosen, this one is there to be compared with, and in this nothing is.
#[cfg_attr(feature = "portable", allow(dead_code))]
pub(super) fn verify_rsa_sha1(raw: &[u8], sha1: &[u8], signature: &[u8]) -> bool {
    let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let Ok(digest) = aws_lc_rs::digest::Digest::import_less_safe(sha1, algorithm) else {
        return false;
    };
    UnparsedPublicKey::new(&sig::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, raw)
        .verify_digest(&digest, signature)
        .is_ok()
}

pub(super) fn verify_ed25519(raw: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&sig::ED25519, raw)
        .verify(message, signature)
        .is_ok()
}
