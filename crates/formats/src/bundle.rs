//! Sigstore bundles: a signature with everything that is needed to verify it.
//!
//! Format: `sigstore_bundle.proto` and its parts in <https://github.com/sigstore/protobuf-specs>, in protobuf JSON.
//! A [`Bundle`] has exactly one content and one kind of verification material, whatever its version.

use crate::digest::{Digest, HashAlgorithm};
use crate::dsse::Envelope;
use crate::encoding::{ParseError, decode_base64};

mod json;
mod version;

pub use version::Version;

/// Media type of bundles version 0.3, also the `artifactType` of their manifests.
pub const MEDIA_TYPE_V0_3: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What the media type of every bundle starts with.
pub const MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// More log entries than this are refused, as sigstore-go does.
pub const MAX_LOG_ENTRIES: usize = 32;
/// More certificates in a chain than this are refused; real chains have two or three.
pub const MAX_CERTIFICATES: usize = 16;
/// More timestamps than this are refused, as sigstore-go does.
pub const MAX_TIMESTAMPS: usize = 32;
/// More hashes in an inclusion proof are refused: a path in a tree of 2^64 leaves has 64.
pub const MAX_HASHES: usize = 64;

/// A bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The media type as it is written in the bundle.
    pub media_type: String,
    /// The version that the media type names.
    pub version: Version,
    /// Who made the signature, as the bundle claims.
    pub material: Material,
    /// Entries in transparency logs.
    pub log_entries: Vec<LogEntry>,
    /// RFC 3161 responses, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// What is signed.
    pub content: Content,
}

/// Who made the signature, as the bundle claims. No reason to trust anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Material {
    /// A public key that the verifier must already have.
    PublicKey {
        /// Which key: usually base64 of the SHA-256 of its SPKI; peers write other things too.
        hint: String,
    },
    /// The signer's certificate, DER.
    Certificate(Vec<u8>),
    /// The signer's certificate first, then issuers, DER.
    CertificateChain(Vec<Vec<u8>>),
}

impl Material {
    /// The SHA-256 of the key's SPKI, if the hint is one; as much a claim as the hint.
    pub fn key_digest(&self) -> Option<Digest> {
        match self {
            Self::PublicKey { hint } => {
                let bytes = decode_base64(hint).ok()?;
                Digest::from_bytes(HashAlgorithm::Sha256, &bytes)
            }
            Self::Certificate(_) | Self::CertificateChain(_) => None,
        }
    }
}

/// What is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// A signature over the artifact itself.
    MessageSignature(MessageSignature),
    /// A signature over a statement about the artifact. The envelope has exactly one signature.
    Dsse(Envelope),
}

/// A signature over the artifact itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageSignature {
    /// The digest that the bundle claims the artifact has.
    pub digest: Option<Digest>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// An entry in a transparency log (`TransparencyLogEntry`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// Index in the log, across shards for Rekor v1.
    pub log_index: u64,
    /// SHA-256 of the log's key, or the key id of its checkpoints.
    pub log_id: Vec<u8>,
    /// Kind of the entry: `hashedrekord`, `dsse`, …
    pub kind: String,
    /// Version of the kind: `0.0.1`.
    pub kind_version: String,
    /// Seconds since 1970; 0 where the log gives no time.
    pub integrated_time: i64,
    /// The signed entry timestamp.
    pub inclusion_promise: Option<Vec<u8>>,
    /// The proof that the entry is in the log.
    pub inclusion_proof: Option<InclusionProof>,
    /// The entry in canonical form.
    pub canonicalized_body: Vec<u8>,
}

/// The proof that an entry is in a log (`InclusionProof`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// Index in the tree that the proof is for.
    pub log_index: u64,
    /// Root hash of that tree.
    pub root_hash: Vec<u8>,
    /// Size of that tree.
    pub tree_size: u64,
    /// Hashes from the leaf's sibling upwards.
    pub hashes: Vec<Vec<u8>>,
    /// The signed note of that tree.
    pub checkpoint: String,
}

impl LogEntry {
    /// Parses an entry that stands alone, as a Rekor v2 answers with it.
    ///
    /// # Errors
    /// If it is not JSON of the entry's shape, or is over a bound.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        json::parse_log_entry(json)
    }

    /// The compact JSON form, as it stands in a bundle.
    pub fn to_json(&self) -> Vec<u8> {
        json::write_one_log_entry(self)
    }
}

impl Bundle {
    /// Parses a bundle.
    ///
    /// # Errors
    /// If it is not JSON of the bundle's shape, its version is unknown, it has none or several contents or kinds of
    /// material, its envelope has not exactly one signature, or it is over a bound.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        json::parse(json)
    }

    /// A bundle version 0.3.
    pub fn new(material: Material, content: Content) -> Self {
        Self {
            media_type: MEDIA_TYPE_V0_3.to_owned(),
            version: Version::V0_3,
            material,
            log_entries: Vec::new(),
            timestamps: Vec::new(),
            content,
        }
    }

    /// The compact JSON form, with the fields in the order in which cosign writes them.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }
}
