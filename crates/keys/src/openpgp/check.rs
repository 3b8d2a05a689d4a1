//! Whether a key made a signature (RFC 4880, section 5.2.4).

use sealmark_formats::digest::sha1_for_legacy_use_only;
use sealmark_formats::{Digest, HashAlgorithm, Hasher};

use super::key::{ECDSA, ED25519, EDDSA, Key, RSA, RSA_SIGN_ONLY};
use super::signature::{BINARY, Signature, SignatureV3, TEXT};
use super::{Fault, MAX_CHECKS};
use crate::asn1;
use crate::{KeyType, PublicKey, Scheme};

/// Checks the signatures that hold a keyring together, and counts them.
#[derive(Default)]
pub(super) struct Checks(usize);

impl Checks {
    /// Whether `key` signed what these pieces are together.
    pub(super) fn binds(
        &mut self,
        key: &Key,
        pieces: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), Fault> {
        self.0 += 1;
        if self.0 > MAX_CHECKS {
            return Err(Fault::not_here(format!(
                "OpenPGP keyrings with more than {MAX_CHECKS} signatures by their own keys"
            )));
        }
        let claim = Claim::of(signature);
        let hashed = claim.hash(&pieces.concat(), Use::Binding)?;
        claim.check(key, &hashed)
    }
}

/// What a signature is for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Use {
    /// It holds the parts of a key together. SHA-1 is enough for that: who gives the key could give any other.
    Binding,
    /// It is over data that the log vouches for.
    Data,
}

/// What a signature is over.
pub(super) enum Hashed {
    Sha2(Digest),
    Sha1(Vec<u8>),
}

/// A signature of either version.
pub(super) struct Claim<'a> {
    kind: u8,
    algorithm: u8,
    hash: u8,
    trailer: Vec<u8>,
    hash_tag: [u8; 2],
    numbers: &'a [Vec<u8>],
}

impl<'a> Claim<'a> {
    pub(super) fn of(signature: &'a Signature) -> Self {
        Self {
            kind: signature.kind,
            algorithm: signature.algorithm,
            hash: signature.hash,
            trailer: signature.trailer(),
            hash_tag: signature.hash_tag,
            numbers: &signature.numbers,
        }
    }

    pub(super) fn of_v3(signature: &'a SignatureV3) -> Self {
        Self {
            kind: signature.kind,
            algorithm: signature.algorithm,
            hash: signature.hash,
            trailer: signature.trailer.to_vec(),
            hash_tag: signature.hash_tag,
            numbers: &signature.numbers,
        }
    }

    /// Hashes a file as the signature's type has it.
    pub(super) fn hash_file(&self, data: &[u8]) -> Result<Hashed, Fault> {
        match self.kind {
            BINARY => self.hash(data, Use::Data),
            TEXT => self.hash(&canonical_text(data), Use::Data),
            other => Err(Fault::unsupported(format!(
                "OpenPGP signatures of the type {other:02x} over data"
            ))),
        }
    }

    /// Hashes data, and what the signature says of itself.
    fn hash(&self, data: &[u8], what_for: Use) -> Result<Hashed, Fault> {
        let hash = match self.hash {
            8 => HashAlgorithm::Sha256,
            9 => HashAlgorithm::Sha384,
            10 => HashAlgorithm::Sha512,
            2 if what_for == Use::Binding => {
                let bytes = [data, &self.trailer].concat();
                return Ok(Hashed::Sha1(sha1_for_legacy_use_only(&bytes)));
            }
            2 => {
                return Err(Fault::not_here(
                    "signatures over SHA-1, of which one can be over two files; sign with SHA-256 or SHA-512",
                ));
            }
            other => {
                let name = match other {
                    1 => "MD5",
                    3 => "RIPEMD-160",
                    11 => "SHA-224",
                    _ => "unknown",
                };
                return Err(Fault::not_here(format!(
                    "OpenPGP signatures over the hash {other} ({name})"
                )));
            }
        };
        let mut hasher = Hasher::new(hash);
        hasher.update(data);
        hasher.update(&self.trailer);
        Ok(Hashed::Sha2(hasher.finish()))
    }

    /// Checks that the key signed what was hashed.
    pub(super) fn check(&self, key: &Key, hashed: &Hashed) -> Result<(), Fault> {
        let wrong = |reason: &str| Fault::structural(format!("a signature is wrong: {reason}"));
        let bytes = match hashed {
            Hashed::Sha2(digest) => digest.bytes(),
            Hashed::Sha1(bytes) => bytes,
        };
        if !bytes.starts_with(&self.hash_tag) {
            return Err(wrong("it is over something else"));
        }
        if key.algorithm != self.algorithm {
            return Err(wrong("it is of another algorithm than the key"));
        }
        let public = key.public_key()?;
        let good = match (hashed, self.algorithm, self.numbers) {
            (_, RSA | RSA_SIGN_ONLY, [number]) => {
                let Some(signature) = padded(number, rsa_len(&public)) else {
                    return Err(wrong("it is longer than the key"));
                };
                match hashed {
                    Hashed::Sha2(digest) => {
                        verifies(&public, rsa_scheme(digest), digest, &signature)
                    }
                    Hashed::Sha1(sha1) => {
                        public.verify_rsa_sha1_for_legacy_use_only(sha1, &signature)
                    }
                }
            }
            (Hashed::Sha2(digest), ECDSA, [r, s]) => asn1::two_numbers(r, s, "ECDSA signature")
                .is_ok_and(|der| verifies(&public, ecdsa_scheme(digest), digest, &der)),
            (Hashed::Sha1(_), ECDSA, _) => {
                return Err(Fault::not_here("ECDSA signatures over SHA-1"));
            }
            (_, EDDSA, [r, s]) => match (padded(r, 32), padded(s, 32)) {
                (Some(r), Some(s)) => public
                    .verify_scheme(Scheme::Ed25519, bytes, &[r, s].concat())
                    .is_ok(),
                _ => false,
            },
            (_, ED25519, [signature]) => public
                .verify_scheme(Scheme::Ed25519, bytes, signature)
                .is_ok(),
            _ => false,
        };
        match good {
            true => Ok(()),
            false => Err(wrong("the key did not make it")),
        }
    }
}

fn verifies(key: &PublicKey, scheme: Scheme, digest: &Digest, signature: &[u8]) -> bool {
    key.verify_digest_scheme(scheme, digest, signature).is_ok()
}

fn rsa_scheme(digest: &Digest) -> Scheme {
    match digest.algorithm() {
        HashAlgorithm::Sha256 => Scheme::RsaPkcs1Sha256,
        HashAlgorithm::Sha384 => Scheme::RsaPkcs1Sha384,
        HashAlgorithm::Sha512 => Scheme::RsaPkcs1Sha512,
    }
}

fn ecdsa_scheme(digest: &Digest) -> Scheme {
    match digest.algorithm() {
        HashAlgorithm::Sha256 => Scheme::EcdsaSha256,
        HashAlgorithm::Sha384 => Scheme::EcdsaSha384,
        HashAlgorithm::Sha512 => Scheme::EcdsaSha512,
    }
}

fn rsa_len(key: &PublicKey) -> usize {
    match key.key_type() {
        KeyType::Rsa { bits } => bits.div_ceil(8),
        _ => 0,
    }
}

/// With zeros in front; `None` if it is longer.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let zeros = length.checked_sub(number.len())?;
    Some([&vec![0; zeros], number].concat())
}

/// Lines end with CR LF (section 5.2.4), as Go makes them: what follows a CR is left alone.
fn canonical_text(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len() + data.len() / 32);
    let mut after_cr = false;
    for byte in data {
        if !after_cr && *byte == b'\n' {
            text.push(b'\r');
        }
        text.push(*byte);
        after_cr = !after_cr && *byte == b'\r';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_text_end_with_cr_lf() {
        for (text, canonical) in [
            ("a\nb", "a\r\nb"),
            ("a\r\nb\n", "a\r\nb\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("a\rb\n", "a\rb\r\n"),
            ("a\r\r\n", "a\r\r\r\n"),
        ] {
            assert_eq!(
                canonical_text(text.as_bytes()),
                canonical.as_bytes(),
                "{text:?}"
            );
        }
    }
}
