//! All cryptography of this crate.
//!
//! Signatures are checked by one of two engines that accept and refuse the same: [`aws_lc`], and [`portable`] where
//! aws-lc-rs, which is C, cannot be built (`wasm32`) or where the feature `portable` asks for it. Nothing outside this
//! file knows which. What needs a private key is in [`private`], which has one engine only; on `wasm32` it is not
//! there. The reasons are in `docs/decisions/0003-portable-engine.md`.

use sealmark_formats::Digest;

use crate::{KeyType, Scheme};

pub(crate) mod ed25519;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod private;

#[cfg(all(not(target_arch = "wasm32"), any(test, not(feature = "portable"))))]
mod aws_lc;
#[cfg(any(target_arch = "wasm32", feature = "portable"))]
mod portable;

#[cfg(not(any(target_arch = "wasm32", feature = "portable")))]
use aws_lc as chosen;
#[cfg(any(target_arch = "wasm32", feature = "portable"))]
use portable as chosen;

#[cfg(all(test, not(target_arch = "wasm32"), feature = "portable"))]
mod differential;

/// Whether the bytes are a key: a point on the curve, or an RSA key that passes the engine's checks.
pub(crate) fn is_public_key(key_type: KeyType, raw: &[u8]) -> bool {
    match key_type {
        KeyType::Ed25519 => ed25519::is_public_key(raw),
        _ => chosen::is_public_key(key_type, raw),
    }
}

/// ECDSA and RSA. The key is one that [`is_public_key`] accepted; a digest by another hash than the scheme's is refused.
pub(crate) fn verify_digest(
    key_type: KeyType,
    scheme: Scheme,
    raw: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> bool {
    chosen::verify_digest(key_type, scheme, raw, digest, signature)
}

/// RSA with PKCS#1 v1.5 over a SHA-1 digest.
pub(crate) fn verify_rsa_sha1(raw: &[u8], sha1: &[u8], signature: &[u8]) -> bool {
    chosen::verify_rsa_sha1(raw, sha1, signature)
}

/// Pure Ed25519.
pub(crate) fn verify_ed25519(raw: &[u8], message: &[u8], signature: &[u8]) -> bool {
    chosen::verify_ed25519(raw, message, signature)
}
