//! What is done with private keys, by aws-lc-rs, and what that lacks of Ed25519, in [`ed25519`].
//!
//! Secrets are overwritten when they are dropped. There is no second engine for them: see
//! `docs/decisions/0003-portable-engine.md`.

use aws_lc_rs::digest as hash;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    self as sig, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use sealmark_formats::{Digest, HashAlgorithm};
use zeroize::Zeroizing;

use crate::asn1::Family;
use crate::{Algorithm, Curve, Error};

pub(crate) mod cipher;
pub(crate) mod ed25519;

/// Fills the slice with secure random bytes.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::Engine("make random bytes"))
}

/// The digest as the engine has it.
pub(super) fn import(digest: &Digest) -> Option<hash::Digest> {
    let algorithm = match digest.algorithm() {
        HashAlgorithm::Sha256 => &hash::SHA256,
        HashAlgorithm::Sha384 => &hash::SHA384,
        HashAlgorithm::Sha512 => &hash::SHA512,
    };
    hash::Digest::import_less_safe(digest.bytes(), algorithm).ok()
}

/// A private key in the engine, which overwrites its memory when it is dropped.
pub(crate) enum KeyPair {
    Ecdsa(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

fn signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &sig::ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

fn rejected(what: &'static str) -> impl Fn(aws_lc_rs::error::KeyRejected) -> Error {
    move |error| Error::Malformed {
        what,
        reason: error.to_string(),
    }
}

impl KeyPair {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        use aws_lc_rs::rsa::KeySize;
        let failed = |_| Error::Engine("generate a key");
        let rsa = |size| RsaKeyPair::generate(size).map(Self::Rsa).map_err(failed);
        match algorithm {
            Algorithm::EcdsaP256 => Self::generate_ecdsa(Curve::P256),
            Algorithm::EcdsaP384 => Self::generate_ecdsa(Curve::P384),
            Algorithm::EcdsaP521 => Self::generate_ecdsa(Curve::P521),
            Algorithm::Ed25519 => Ed25519KeyPair::generate()
                .map(Self::Ed25519)
                .map_err(failed),
            Algorithm::Rsa2048 => rsa(KeySize::Rsa2048),
            Algorithm::Rsa3072 => rsa(KeySize::Rsa3072),
            Algorithm::Rsa4096 => rsa(KeySize::Rsa4096),
        }
    }

    fn generate_ecdsa(curve: Curve) -> Result<Self, Error> {
        EcdsaKeyPair::generate(signing(curve))
            .map(|pair| Self::Ecdsa(curve, pair))
            .map_err(|_| Error::Engine("generate a key"))
    }

    /// PKCS#8 whose algorithm identifier names this family.
    pub(crate) fn from_pkcs8(family: Family, der: &[u8]) -> Result<Self, Error> {
        let rejected = rejected("PKCS#8 private key");
        match family {
            Family::Ec(curve) => EcdsaKeyPair::from_pkcs8(signing(curve), der)
                .map(|pair| Self::Ecdsa(curve, pair))
                .map_err(rejected),
            // Version 2 carries the public key, which is checked against the private one; version 1 does not.
            Family::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(Self::Ed25519)
                .map_err(rejected),
            Family::Rsa => RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(rejected),
        }
    }

    /// ECPrivateKey (RFC 5915) on this curve.
    pub(crate) fn from_sec1(curve: Curve, der: &[u8]) -> Result<Self, Error> {
        EcdsaKeyPair::from_private_key_der(signing(curve), der)
            .map(|pair| Self::Ecdsa(curve, pair))
            .map_err(rejected("EC private key"))
    }

    /// RSAPrivateKey (RFC 8017).
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, Error> {
        RsaKeyPair::from_der(der)
            .map(Self::Rsa)
            .map_err(rejected("RSA private key"))
    }

    /// The public key in the form of [`crate::asn1::public`].
    pub(crate) fn public(&self) -> (Family, &[u8]) {
        match self {
            Self::Ecdsa(curve, pair) => (Family::Ec(*curve), pair.public_key().as_ref()),
            Self::Ed25519(pair) => (Family::Ed25519, pair.public_key().as_ref()),
            Self::Rsa(pair) => (Family::Rsa, pair.public_key().as_ref()),
        }
    }

    /// PKCS#8, version 1: Go refuses version 2.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |_| Error::Engine("encode the private key");
        let copy = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match self {
            Self::Ecdsa(_, pair) => pair
                .to_pkcs8v1()
                .map(|der| copy(der.as_ref()))
                .map_err(failed),
            Self::Ed25519(pair) => pair
                .to_pkcs8v1()
                .map(|der| copy(der.as_ref()))
                .map_err(failed),
            Self::Rsa(pair) => {
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(failed)?;
                Ok(copy(der.as_ref()))
            }
        }
    }

    /// Signs a digest made with the key's own hash: ECDSA as ASN.1 DER, RSA PKCS#1 v1.5, Ed25519ph.
    pub(crate) fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Engine("sign");
        let imported = || import(digest).ok_or(Error::Engine("sign"));
        match self {
            Self::Ecdsa(_, pair) => Ok(pair
                .sign_digest(&imported()?)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
            Self::Ed25519(pair) => ed25519::sign_prehashed(&*seed(pair)?, digest.bytes()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&sig::RSA_PKCS1_SHA256, &imported()?, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

/// Pure Ed25519.
pub(crate) fn sign_ed25519(pair: &Ed25519KeyPair, message: &[u8]) -> Result<Vec<u8>, Error> {
    let signature = pair.try_sign(message).map_err(|_| Error::Engine("sign"))?;
    Ok(signature.as_ref().to_vec())
}

/// The 32 bytes that an Ed25519 private key is.
pub(crate) fn seed(pair: &Ed25519KeyPair) -> Result<Zeroizing<[u8; 32]>, Error> {
    use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
    let failed = Error::Engine("use the Ed25519 key");
    let Ok(seed) = pair.seed() else {
        return Err(failed);
    };
    let Ok(bytes) = AsBigEndian::<Curve25519SeedBin<'_>>::as_be_bytes(&seed) else {
        return Err(failed);
    };
    let array: Option<[u8; 32]> = bytes.as_ref().try_into().ok();
    array.map(Zeroizing::new).ok_or(failed)
}
