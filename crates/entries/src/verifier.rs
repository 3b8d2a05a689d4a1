//! The key or certificate that an entry comes with: what its signature is checked with, and what it is found by.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Curve, KeyType, PublicKey, Scheme};
use sealmark_x509::{Certificate, Purpose, verify_chain};

/// Certificates of one chain, as Rekor bounds them.
const MAX_CHAIN: usize = 10;

/// A key, or a certificate with the issuers that were sent with it.
#[derive(Debug)]
pub struct Verifier {
    /// What signatures are checked with.
    pub key: PublicKey,
    /// Canonical: as Go writes PEM.
    pub pem: String,
    /// What entries with it are found by, beside the hash of [`pem`](Self::pem).
    names: Vec<String>,
}

impl Verifier {
    /// Reads PEM. A chain of more than one certificate must lead to its last one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        if !contains(pem, b"-----BEGIN CERTIFICATE-----") {
            let key = PublicKey::from_pem(pem).map_err(|error| error.to_string())?;
            return Ok(Self::of_key(key));
        }
        let chain = Certificate::chain_from_pem(pem).map_err(|error| error.to_string())?;
        if chain.len() > MAX_CHAIN {
            let count = chain.len();
            return Err(format!(
                "the chain has {count} certificates, at most {MAX_CHAIN} are taken"
            ));
        }
        let [leaf, issuers @ ..] = chain.as_slice() else {
            return Err("there is no certificate".to_owned());
        };
        if let [between @ .., _] = issuers {
            let (roots, at) = (&issuers[between.len()..], leaf.validity().not_before);
            verify_chain(
                leaf,
                between,
                roots,
                at.unix_seconds(),
                Purpose::CodeSigning,
            )
            .map_err(|error| error.to_string())?;
        }
        Self::of_certificate(leaf, chain.iter().map(Certificate::to_pem).collect())
    }

    /// A key alone.
    pub fn of_key(key: PublicKey) -> Self {
        Self {
            pem: key.to_pem(),
            key,
            names: Vec::new(),
        }
    }

    /// A certificate; `pem` is its canonical form, with its issuers if it has some.
    ///
    /// # Errors
    /// If its key is of no type that is known.
    pub fn of_certificate(leaf: &Certificate, pem: String) -> Result<Self, String> {
        let key = leaf.public_key().map_err(|error| error.to_string())?;
        let names = leaf.subject_alt_names().iter();
        let mut names: Vec<String> = names.map(|name| name.value().to_lowercase()).collect();
        names.push(leaf.fingerprint().to_string());
        names.extend(leaf.fulcio().issuer().map(issuer_key));
        Ok(Self {
            key: key.clone(),
            pem,
            names,
        })
    }

    /// The canonical form as bodies have it.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.pem)
    }

    /// What entries with it are found by: both forms of the key's hash, and of a certificate the names of its subject,
    /// its fingerprint, and who issued the token it was issued for. Rekor has the bare form of the hash for some kinds
    /// and the one with `sha256:` for others, so a search there misses some; it has neither issuers nor fingerprints.
    pub fn keys(&self) -> Vec<String> {
        let digest = Digest::sha256(self.pem.as_bytes());
        let mut keys = vec![digest.hex(), digest.to_string()];
        keys.extend(self.names.iter().cloned());
        keys
    }

    /// Checks a signature over a digest in the one scheme that logs allow for such a key and hash.
    pub fn verify_digest(&self, digest: &Digest, signature: &[u8]) -> Result<(), String> {
        let scheme = allowed(self.key.key_type(), digest.algorithm())
            .map(|(scheme, _)| scheme)
            .ok_or_else(|| {
                format!(
                    "a {} key over a {} digest is not among the signing algorithms that this log takes",
                    self.key.algorithm_name(),
                    digest.algorithm()
                )
            })?;
        self.key
            .verify_digest_scheme(scheme, digest, signature)
            .map_err(|error| error.to_string())
    }
}

/// What entries are found by whose certificate was issued for a token of this issuer. It is apart from the names of
/// subjects, which may be URLs too.
pub fn issuer_key(issuer: &str) -> String {
    format!("issuer:{}", issuer.to_lowercase())
}

/// A message that is hashed once, however many signatures and keys are tried on it: an entry may be megabytes long, and
/// have many of both.
pub struct Message<'a> {
    bytes: &'a [u8],
    digests: Vec<Digest>,
}

impl<'a> Message<'a> {
    /// Hashes it, once for each algorithm.
    pub fn new(bytes: &'a [u8]) -> Self {
        let digests = HashAlgorithm::ALL.iter();
        Self {
            bytes,
            digests: digests.map(|hash| Digest::of(*hash, bytes)).collect(),
        }
    }

    /// Whether this key made the signature, in any scheme that is acceptable for it.
    pub fn is_signed_by(&self, verifier: &Verifier, signature: &[u8]) -> bool {
        let key = &verifier.key;
        match key.key_type() {
            KeyType::Ed25519 => key.verify(self.bytes, signature).is_ok(),
            _ => {
                let mut digests = self.digests.iter();
                digests.any(|digest| key.verify_digest(digest, signature).is_ok())
            }
        }
    }
}

/// What a log takes signatures in: the default set of Rekor's `client-signing-algorithms`, but for pure Ed25519, which
/// does not sign digests. The name is that of `PublicKeyDetails`.
pub fn allowed(key: KeyType, hash: HashAlgorithm) -> Option<(Scheme, &'static str)> {
    match (key, hash) {
        (KeyType::Ecdsa(Curve::P256), HashAlgorithm::Sha256) => {
            Some((Scheme::EcdsaSha256, "PKIX_ECDSA_P256_SHA_256"))
        }
        (KeyType::Ecdsa(Curve::P384), HashAlgorithm::Sha384) => {
            Some((Scheme::EcdsaSha384, "PKIX_ECDSA_P384_SHA_384"))
        }
        (KeyType::Ecdsa(Curve::P521), HashAlgorithm::Sha512) => {
            Some((Scheme::EcdsaSha512, "PKIX_ECDSA_P521_SHA_512"))
        }
        (KeyType::Ed25519, HashAlgorithm::Sha512) => Some((Scheme::Ed25519ph, "PKIX_ED25519_PH")),
        (KeyType::Rsa { bits }, HashAlgorithm::Sha256) => {
            let name = match bits {
                2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
                3072 => "PKIX_RSA_PKCS1V15_3072_SHA256",
                4096 => "PKIX_RSA_PKCS1V15_4096_SHA256",
                _ => return None,
            };
            Some((Scheme::RsaPkcs1Sha256, name))
        }
        _ => None,
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}
