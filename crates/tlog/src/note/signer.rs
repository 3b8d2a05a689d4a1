//! What keys are in notes: how a line names a key, and what exactly is signed.

use sealmark_formats::{HashAlgorithm, Hasher};
use sealmark_keys::{KeyType, PublicKey, Scheme, VerifyError};

use super::NoteSignature;
use crate::{Error, Hash, cosignature};

/// The bytes that stand for the algorithm in hashed key names, <https://c2sp.org/signed-note#signatures>.
const ED25519: &[u8] = &[0x01];
const COSIGNATURE_V1: &[u8] = &[0x04];
/// Rekor v2's own, `pkg/note` of rekor-tiles.
const RSA_PKCS1: &[u8] = b"\xffPKIX-RSA-PKCS#1v1.5";

/// The forms in which a key signs notes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// Ed25519 over the text, type 0x01.
    Ed25519,
    /// Ed25519 over the text and a time, type 0x04: <https://c2sp.org/tlog-cosignature>.
    CosignatureV1,
    /// RSA PKCS#1 v1.5 with SHA-256 over the text, as Rekor v2 names such keys.
    Rsa,
    /// Any key over the text, named by the SHA-256 of its SubjectPublicKeyInfo without the key's name: ECDSA (type
    /// 0x02), and every type of key in Rekor v1.
    Spki,
}

impl KeyKind {
    /// The kinds that a key of this type can be.
    pub fn of(key: &PublicKey) -> &'static [Self] {
        match key.key_type() {
            KeyType::Ed25519 => &[Self::Ed25519, Self::CosignatureV1, Self::Spki],
            KeyType::Rsa { .. } => &[Self::Rsa, Self::Spki],
            _ => &[Self::Spki],
        }
    }

    /// The hash that names the key: four bytes of it in a note, all 32 as the log id of a Rekor v2.
    pub fn key_hash(self, name: &str, key: &PublicKey) -> Hash {
        let spki = key.spki_der();
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        let mut named = |algorithm: &[u8]| {
            hasher.update(name.as_bytes());
            hasher.update(b"\n");
            hasher.update(algorithm);
        };
        match self {
            Self::Ed25519 => named(ED25519),
            Self::CosignatureV1 => named(COSIGNATURE_V1),
            Self::Rsa => named(RSA_PKCS1),
            Self::Spki => {}
        }
        hasher.update(match self {
            Self::Ed25519 | Self::CosignatureV1 => raw_ed25519(spki),
            Self::Rsa | Self::Spki => spki,
        });
        Hash::try_from(hasher.finish().bytes()).expect("a SHA-256 digest has 32 bytes")
    }

    /// Checks the line; gives the time of a cosignature.
    pub(super) fn verify(
        self,
        text: &str,
        line: &NoteSignature,
        key: &PublicKey,
    ) -> Result<Option<u64>, Error> {
        let wrong = |cause: VerifyError| Error::Signature {
            signer: line.signer(),
            cause,
        };
        if self == Self::CosignatureV1 {
            let Some((timestamp, signature)) = cosignature::split(&line.signature) else {
                return Err(Error::SignatureForm {
                    signer: line.signer(),
                    reason: "a cosignature is a time of 8 bytes and a signature of 64",
                });
            };
            let message = cosignature::message(timestamp, text);
            key.verify_scheme(Scheme::Ed25519, message.as_bytes(), signature)
                .map_err(wrong)?;
            return Ok(Some(timestamp));
        }
        let (text, signature) = (text.as_bytes(), line.signature.as_slice());
        match key.key_type() {
            KeyType::Ed25519 => key.verify_scheme(Scheme::Ed25519, text, signature),
            KeyType::Rsa { .. } => key.verify_scheme(Scheme::RsaPkcs1Sha256, text, signature),
            // Rekor v1 signs with SHA-256 whatever the curve, Rekor v2 with the curve's own hash.
            KeyType::Ecdsa(_) => key.verify(text, signature).map(|_| ()),
        }
        .map_err(wrong)?;
        Ok(None)
    }
}

/// A signature line that was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedSignature {
    /// Which line, from 0.
    pub line: usize,
    /// The name on the line; it is part of what was checked unless `kind` is [`KeyKind::Spki`].
    pub name: String,
    /// What the key is in this line.
    pub kind: KeyKind,
    /// When a cosignature was made, as its signer says, in seconds since 1970.
    pub timestamp: Option<u64>,
}

/// The key itself: RFC 8410 puts its 32 bytes at the end of the SPKI, and `PublicKey` allows no other form.
pub(super) fn raw_ed25519(spki: &[u8]) -> &[u8] {
    &spki[spki.len().saturating_sub(32)..]
}

pub(super) fn describe(name: Option<&str>, key: &PublicKey) -> String {
    let kind = key.algorithm_name();
    match name {
        Some(name) => format!("{name:?} with the {kind} key {}", key.id()),
        None => format!("the {kind} key {}", key.id()),
    }
}
