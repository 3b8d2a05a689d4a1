//! What aws-lc-rs lacks of Ed25519 (RFC 8032): messages in pieces, and Ed25519ph. By ed25519-dalek, beside either engine.
//!
//! The acceptance of signatures is the same in both engines, and that of Go and the RFC's cofactorless equation:
//! `S` must be reduced, and `R` is compared as encoded. Public keys of small order are refused: nobody has their
//! private key, and some signatures are good by them over any message. So are those not encoded canonically, on which
//! the two engines differ.

use ed25519_dalek::{Signature, VerifyingKey, hazmat};
use sha2::Sha512;
use sha2::digest::consts::U64;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

/// Whether the bytes are a point that is not of small order, in its only canonical encoding. The engines differ on
/// other encodings, and a signature must not be good for a small file and bad for a large one.
pub(crate) fn is_public_key(raw: &[u8]) -> bool {
    verifying_key(raw)
        .is_some_and(|key| !key.is_weak() && key.to_edwards().compress().as_bytes() == raw)
}

pub(super) fn verifying_key(raw: &[u8]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(raw.try_into().ok()?).ok()
}

/// Checks a pure Ed25519 signature over data that comes in pieces.
pub(crate) struct StreamVerifier(ed25519_dalek::StreamVerifier);

impl StreamVerifier {
    /// `None` if the signature cannot be one: its length is not 64, or `S` is not reduced.
    pub(crate) fn new(raw: &[u8], signature: &[u8]) -> Option<Self> {
        let signature = Signature::from_slice(signature).ok()?;
        verifying_key(raw)?.verify_stream(&signature).ok().map(Self)
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn finish(self) -> bool {
        self.0.finalize_and_verify().is_ok()
    }
}

/// Checks an Ed25519ph signature, without context, over a SHA-512 digest.
pub(crate) fn verify_prehashed(raw: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let (Some(key), Ok(signature), Some(digest)) = (
        verifying_key(raw),
        Signature::from_slice(signature),
        Prehashed::new(digest),
    ) else {
        return false;
    };
    hazmat::raw_verify_prehashed::<Sha512, Prehashed>(&key, digest, None, &signature).is_ok()
}

/// A digest that is known already, where dalek wants to be given a hash function in progress.
#[derive(Clone)]
pub(super) struct Prehashed([u8; 64]);

impl Prehashed {
    pub(super) fn new(digest: &[u8]) -> Option<Self> {
        digest.try_into().ok().map(Self)
    }
}

impl Default for Prehashed {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl HashMarker for Prehashed {}

impl OutputSizeUser for Prehashed {
    type OutputSize = U64;
}

impl Update for Prehashed {
    /// dalek only finishes it.
    fn update(&mut self, _: &[u8]) {}
}

impl FixedOutput for Prehashed {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}
