//! Signature checks: of data in memory, of a digest, and of a stream.
//!
//! Nothing but the key decides which schemes are acceptable ([`KeyType::schemes`]); a hint about the hash, which
//! usually comes from the same stranger as the signature, only changes what is hashed.

use core::fmt;

use sealmark_formats::{Digest, HashAlgorithm, Hasher};

use crate::engine::{self, ed25519};
use crate::{KeyType, PublicKey, Scheme, VerifyError};

impl PublicKey {
    /// Checks a signature over `message` in every scheme acceptable for this key, the key's own hash first, and
    /// says which it was made with.
    ///
    /// | key | schemes, in this order |
    /// |---|---|
    /// | P-256 | SHA-256 |
    /// | P-384 | SHA-384, SHA-256 |
    /// | P-521 | SHA-512, SHA-256 |
    /// | RSA | PKCS#1 v1.5 SHA-256, PSS SHA-256, PKCS#1 v1.5 SHA-384 and SHA-512, PSS SHA-384 and SHA-512 |
    /// | Ed25519 | Ed25519, Ed25519ph |
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<Scheme, VerifyError> {
        let schemes = self.key_type().schemes();
        let mut digests: Vec<Digest> = Vec::new();
        for &scheme in schemes {
            let matches = match scheme.hash() {
                None => engine::verify_ed25519(self.raw(), message, signature),
                Some(hash) => {
                    let known = digests.iter().position(|d| d.algorithm() == hash);
                    let index = known.unwrap_or_else(|| {
                        digests.push(Digest::of(hash, message));
                        digests.len() - 1
                    });
                    self.matches(scheme, &digests[index], signature)
                }
            };
            if matches {
                return Ok(scheme);
            }
        }
        Err(self.mismatch(schemes.to_vec(), Vec::new()))
    }

    /// Checks a signature when only the digest of the data is known, in every scheme of this key that signs such a
    /// digest. An Ed25519 key accepts a SHA-512 digest, for Ed25519ph.
    ///
    /// # Errors
    /// [`VerifyError::DigestNotEnough`] for an Ed25519 key and any other digest: pure Ed25519 signs the data.
    pub fn verify_digest(&self, digest: &Digest, signature: &[u8]) -> Result<Scheme, VerifyError> {
        let schemes = self.key_type().schemes_with(digest.algorithm());
        if schemes.is_empty() {
            return Err(VerifyError::DigestNotEnough(digest.algorithm()));
        }
        let found = schemes
            .iter()
            .find(|scheme| self.matches(**scheme, digest, signature));
        found.copied().ok_or_else(|| {
            let not_tried = match self.key_type() {
                KeyType::Ed25519 => vec![Scheme::Ed25519],
                _ => Vec::new(),
            };
            self.mismatch(schemes.to_vec(), not_tried)
        })
    }

    /// Checks a signature over `message` in exactly this scheme, for formats that name it (certificates,
    /// timestamps, logs).
    pub fn verify_scheme(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let Some(hash) = scheme.hash() else {
            self.fits(scheme)?;
            return match engine::verify_ed25519(self.raw(), message, signature) {
                true => Ok(()),
                false => Err(self.mismatch(vec![scheme], Vec::new())),
            };
        };
        self.verify_digest_scheme(scheme, &Digest::of(hash, message), signature)
    }

    /// Checks a signature over a digest in exactly this scheme.
    pub fn verify_digest_scheme(
        &self,
        scheme: Scheme,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        self.fits(scheme)?;
        let hash = digest.algorithm();
        match scheme.hash() {
            None => Err(VerifyError::DigestNotEnough(hash)),
            Some(needed) if needed != hash => Err(VerifyError::DigestNotForScheme { scheme, hash }),
            Some(_) if self.matches(scheme, digest, signature) => Ok(()),
            Some(_) => Err(self.mismatch(vec![scheme], Vec::new())),
        }
    }

    /// Checks an RSA signature of PKCS#1 v1.5 over a SHA-1 digest, as it is in old OpenPGP keys: not for anything that a
    /// stranger could have chosen.
    pub(crate) fn verify_rsa_sha1_for_legacy_use_only(
        &self,
        sha1: &[u8],
        signature: &[u8],
    ) -> bool {
        matches!(self.key_type(), KeyType::Rsa { .. })
            && engine::verify_rsa_sha1(self.raw(), sha1, signature)
    }

    /// Starts the check of a signature over data that comes in pieces, in constant memory.
    ///
    /// `hint` is the hash that a bundle's `messageDigest` names, or that a caller was told to use. What is hashed,
    /// while the data passes by once:
    ///
    /// | key | without a hint | with a hint |
    /// |---|---|---|
    /// | P-256, RSA | SHA-256 | the hint, and SHA-256 if that is another |
    /// | P-384 | SHA-384 and SHA-256 | the hint, and SHA-384 if that is another |
    /// | P-521 | SHA-512 and SHA-256 | the hint, and SHA-512 if that is another |
    /// | Ed25519 | SHA-512 twice: for Ed25519 and for Ed25519ph | also the hint if it is another |
    ///
    /// Without a hint a P-384 or P-521 signature may be one over SHA-256 (see [`KeyType::schemes`]), and the data
    /// may not come again, so both are computed. An RSA signature over SHA-384 or SHA-512 needs the hint;
    /// [`VerifyError::Mismatch`] lists as `not_tried` what another pass with a hint could still find.
    pub fn stream_verifier(&self, signature: &[u8], hint: Option<HashAlgorithm>) -> StreamVerifier {
        let own = self.hash();
        let mut hashes = vec![hint.unwrap_or(own)];
        if hint.is_some() {
            hashes.push(own);
        } else if let KeyType::Ecdsa(_) = self.key_type() {
            hashes.extend(
                self.key_type()
                    .schemes()
                    .iter()
                    .filter_map(|scheme| scheme.hash()),
            );
        }
        let mut hashers: Vec<Hasher> = Vec::with_capacity(2);
        for (index, hash) in hashes.iter().enumerate() {
            if !hashes[..index].contains(hash) {
                hashers.push(Hasher::new(*hash));
            }
        }
        let pure = match self.key_type() {
            KeyType::Ed25519 => ed25519::StreamVerifier::new(self.raw(), signature),
            _ => None,
        };
        StreamVerifier {
            key: self.clone(),
            signature: signature.to_vec(),
            hint,
            hashers,
            pure,
        }
    }

    fn matches(&self, scheme: Scheme, digest: &Digest, signature: &[u8]) -> bool {
        match scheme {
            Scheme::Ed25519 => false,
            Scheme::Ed25519ph => ed25519::verify_prehashed(self.raw(), digest.bytes(), signature),
            _ => engine::verify_digest(self.key_type(), scheme, self.raw(), digest, signature),
        }
    }

    fn fits(&self, scheme: Scheme) -> Result<(), VerifyError> {
        if scheme.fits(self.key_type()) {
            return Ok(());
        }
        Err(VerifyError::SchemeNotForKey {
            key: self.key_type(),
            scheme,
        })
    }

    fn mismatch(&self, tried: Vec<Scheme>, not_tried: Vec<Scheme>) -> VerifyError {
        VerifyError::Mismatch {
            key: self.key_type(),
            tried,
            not_tried,
        }
    }

    /// Whether this is an RSA key that made a PKCS#1 v1.5 signature over the SHA-1 of `message`.
    ///
    /// Whoever can choose a message can make two with one SHA-1. It is only for formats that have nothing else, of
    /// which the signatures of Alpine's packages are one; it is none of the schemes that a key accepts otherwise.
    pub fn is_rsa_sha1_signature_for_legacy_use_only(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let sha1 = sealmark_formats::digest::sha1_for_legacy_use_only(message);
        self.verify_rsa_sha1_for_legacy_use_only(&sha1, signature)
    }
}

/// A signature check over data that comes in pieces; made by [`PublicKey::stream_verifier`].
///
/// ```
/// use sealmark_keys::{Algorithm, PrivateKey, Scheme};
/// let key = PrivateKey::generate(Algorithm::Ed25519)?;
/// let mut check = key.public_key().stream_verifier(&key.sign(b"a message")?, None);
/// check.update(b"a mess");
/// check.update(b"age");
/// let (scheme, digest) = check.finish().unwrap();
/// assert_eq!(scheme, Scheme::Ed25519);
/// # Ok::<(), sealmark_keys::Error>(())
/// ```
pub struct StreamVerifier {
    key: PublicKey,
    signature: Vec<u8>,
    hint: Option<HashAlgorithm>,
    /// One per algorithm. The first is that of the hint if there is one.
    hashers: Vec<Hasher>,
    /// `None` if the key is not Ed25519, or the signature cannot be one of Ed25519.
    pure: Option<ed25519::StreamVerifier>,
}

impl StreamVerifier {
    /// Adds the next piece of the data.
    pub fn update(&mut self, data: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.update(data);
        }
        if let Some(pure) = &mut self.pure {
            pure.update(data);
        }
    }

    /// Checks the signature over all pieces.
    ///
    /// Gives the scheme, and the digest of the data: by the hint's algorithm if there was a hint, otherwise by that
    /// of the scheme (SHA-512 for Ed25519).
    pub fn finish(self) -> Result<(Scheme, Digest), VerifyError> {
        let (digest, result) = self.finish_with_digest();
        result.map(|scheme| (scheme, digest))
    }

    /// As [`finish`](Self::finish), with a digest of the data also when the signature does not match, so that the
    /// caller can tell other data from another key. In that case it is by the hint's or the key's own algorithm.
    pub fn finish_with_digest(self) -> (Digest, Result<Scheme, VerifyError>) {
        let Self {
            key,
            signature,
            hint,
            hashers,
            pure,
        } = self;
        let digests: Vec<Digest> = hashers.into_iter().map(Hasher::finish).collect();
        let result = Self::decide(&key, &signature, &digests, pure);
        let wanted = hint
            .or_else(|| result.as_ref().ok().and_then(|scheme| scheme.hash()))
            .unwrap_or_else(|| key.hash());
        let digest = digests.iter().find(|digest| digest.algorithm() == wanted);
        // Both the hint's and the key's own algorithm are always among the hashers, and the hash of a scheme that
        // matched is that of one of the digests.
        let digest = digest.unwrap_or(&digests[0]).clone();
        (digest, result)
    }

    fn decide(
        key: &PublicKey,
        signature: &[u8],
        digests: &[Digest],
        pure: Option<ed25519::StreamVerifier>,
    ) -> Result<Scheme, VerifyError> {
        let mut tried = Vec::new();
        if key.key_type() == KeyType::Ed25519 {
            tried.push(Scheme::Ed25519);
            if pure.is_some_and(ed25519::StreamVerifier::finish) {
                return Ok(Scheme::Ed25519);
            }
        }
        for digest in digests {
            for &scheme in key.key_type().schemes_with(digest.algorithm()) {
                tried.push(scheme);
                if key.matches(scheme, digest, signature) {
                    return Ok(scheme);
                }
            }
        }
        let schemes = key.key_type().schemes().iter().copied();
        let not_tried = schemes.filter(|scheme| !tried.contains(scheme)).collect();
        Err(key.mismatch(tried, not_tried))
    }
}

impl fmt::Debug for StreamVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamVerifier")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
