//! The thing whose evidence is verified: an image by digest, a file by its digests or its bytes.

use sealmark_formats::bundle::Material;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{KeyType, PublicKey};
use sealmark_x509::Certificate;

use crate::evidence::{Content, Evidence};
use crate::policy::{Policy, Signer};
use crate::signed::{Payload, Signed, Statements};

/// An artifact.
pub struct Artifact<'a> {
    /// The digest that names it.
    pub digest: Digest,
    /// Digests by other algorithms, for signatures over a file's bytes; see [`needed_hashes`].
    pub more_digests: Vec<Digest>,
    /// The bytes, for Ed25519 signatures over a file: these are over the bytes and not over a digest.
    pub bytes: Option<&'a dyn Bytes>,
}

/// Bytes that can be read from start to end, as often as needed.
pub trait Bytes {
    /// Gives every piece to `sink`, in order.
    ///
    /// # Errors
    /// A text that says what could not be read and why.
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String>;
}

impl Artifact<'_> {
    /// An artifact known by digest alone.
    pub fn by_digest(digest: Digest) -> Self {
        Self {
            digest,
            more_digests: Vec::new(),
            bytes: None,
        }
    }

    /// All digests.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        core::iter::once(&self.digest).chain(&self.more_digests)
    }
}

/// The hash algorithms under which a file's digest is needed to check signatures over its bytes: SHA-256 always, and
/// what the policy's keys or the evidence ask for.
pub fn needed_hashes(evidence: &[Evidence], policy: &Policy) -> Vec<HashAlgorithm> {
    let mut hashes = vec![HashAlgorithm::Sha256];
    // A bare Ed25519 signature is over the bytes; only its pre-hashed form needs a digest (RFC 8032, section 5.1).
    hashes.extend(
        policy
            .demands
            .iter()
            .flat_map(|demand| &demand.signers)
            .filter_map(|signer| match signer {
                Signer::Key(key) if key.key_type() == KeyType::Ed25519 => {
                    Some(HashAlgorithm::Sha512)
                }
                Signer::Key(key) => Some(key.hash()),
                Signer::Identity(_) => None,
            }),
    );
    hashes.extend(
        evidence
            .iter()
            .filter_map(|evidence| match &evidence.content {
                Content::Bundle(bundle) => match &bundle.content {
                    sealmark_formats::bundle::Content::MessageSignature(message) => {
                        message.digest.as_ref().map(Digest::algorithm)
                    }
                    sealmark_formats::bundle::Content::Dsse(_) => None,
                },
                _ => None,
            }),
    );
    hashes.extend(evidence.iter().filter_map(certificate_hash));
    hashes.extend(evidence.iter().flat_map(of_subjects));
    hashes.sort();
    hashes.dedup();
    hashes
}

/// The hash that goes with the key of the signer's certificate, where a signature is over the artifact itself.
fn certificate_hash(evidence: &Evidence) -> Option<HashAlgorithm> {
    let leaf = match &evidence.content {
        Content::Blob(detached) => {
            let chain = Certificate::chain_from_pem(detached.certificate.as_ref()?).ok()?;
            chain.into_iter().next()?
        }
        Content::Bundle(bundle) => {
            let der = match &bundle.material {
                Material::Certificate(der) => der,
                Material::CertificateChain(chain) => chain.first()?,
                Material::PublicKey { .. } => return None,
            };
            Certificate::from_der(der).ok()?
        }
        _ => return None,
    };
    leaf.public_key().ok().map(PublicKey::hash)
}

/// The algorithms by which a statement names its subjects.
fn of_subjects(evidence: &Evidence) -> Vec<HashAlgorithm> {
    match Signed::read(&evidence.content, true).map(|signed| signed.payload) {
        Ok(Payload::Claims {
            claims: Statements::InToto(statement),
            ..
        }) => statement
            .subject
            .iter()
            .flat_map(|subject| subject.digest.keys())
            .filter_map(|name| HashAlgorithm::from_name(name))
            .collect(),
        _ => Vec::new(),
    }
}
