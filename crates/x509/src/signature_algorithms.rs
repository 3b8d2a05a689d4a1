//! The signature algorithms of certificates, for the path builder, which has no cryptography of its own: every check is
//! by `sealmark-keys`, as all others are.
//!
//! A CA's key must be one that [`PublicKey`] takes. So, as with Go, points are not compressed, and RSA exponents have 31
//! bits at most.

use der::Tag;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sealmark_keys::{PublicKey, Scheme};

use crate::element::encode;

/// Which keys make which signatures.
pub(crate) static ALL: &[&dyn SignatureVerificationAlgorithm] = &[
    &Algorithm(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA256,
        Scheme::EcdsaSha256,
    ),
    &Algorithm(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA384,
        Scheme::EcdsaSha384,
    ),
    &Algorithm(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA512,
        Scheme::EcdsaSha512,
    ),
    &Algorithm(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA256,
        Scheme::EcdsaSha256,
    ),
    &Algorithm(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA384,
        Scheme::EcdsaSha384,
    ),
    &Algorithm(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA512,
        Scheme::EcdsaSha512,
    ),
    &Algorithm(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA256,
        Scheme::EcdsaSha256,
    ),
    &Algorithm(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA384,
        Scheme::EcdsaSha384,
    ),
    &Algorithm(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA512,
        Scheme::EcdsaSha512,
    ),
    &Algorithm(alg_id::ED25519, alg_id::ED25519, Scheme::Ed25519),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1Sha256,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1Sha384,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA512,
        Scheme::RsaPkcs1Sha512,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        RSA_SHA256_NO_NULL,
        Scheme::RsaPkcs1Sha256,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        RSA_SHA384_NO_NULL,
        Scheme::RsaPkcs1Sha384,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        RSA_SHA512_NO_NULL,
        Scheme::RsaPkcs1Sha512,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA256,
        Scheme::RsaPssSha256,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA384,
        Scheme::RsaPssSha384,
    ),
    &Algorithm(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA512,
        Scheme::RsaPssSha512,
    ),
];

// The identifiers of PKCS#1 v1.5 without their NULL, which verifiers have to accept (RFC 4055, section 5).
const RSA_SHA256_NO_NULL: AlgorithmIdentifier = without_null(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b,
]);
const RSA_SHA384_NO_NULL: AlgorithmIdentifier = without_null(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c,
]);
const RSA_SHA512_NO_NULL: AlgorithmIdentifier = without_null(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d,
]);

const fn without_null(oid: &'static [u8]) -> AlgorithmIdentifier {
    AlgorithmIdentifier::from_slice(oid)
}

/// The algorithm of the key, that of the signature, and what both together are.
#[derive(Debug)]
struct Algorithm(AlgorithmIdentifier, AlgorithmIdentifier, Scheme);

impl Algorithm {
    /// The key of which the path builder gives only the content.
    fn key(&self, content: &[u8]) -> Option<PublicKey> {
        let algorithm = encode(Tag::Sequence, &self.0).ok()?;
        let bits = encode(Tag::BitString, &[&[0], content].concat()).ok()?;
        let spki = encode(Tag::Sequence, &[algorithm, bits].concat()).ok()?;
        PublicKey::from_spki_der(&spki).ok()
    }
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.1
    }

    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.key(public_key)
            .and_then(|key| key.verify_scheme(self.2, message, signature).ok())
            .ok_or(InvalidSignature)
    }
}
