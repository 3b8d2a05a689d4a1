//! The trusted root: which authorities and logs a verifier believes, with their keys and when they count.
//!
//! Format: `sigstore_trustroot.proto` in <https://github.com/sigstore/protobuf-specs>, in protobuf JSON. Every key and
//! certificate is there with the time in which it may be believed; a value of these types never has an empty key, an
//! empty chain, a log without an id, or a range that ends before it begins. Whether the bytes are keys and
//! certificates is found by whoever uses them.

use jiff::Timestamp;

use crate::digest::HashAlgorithm;
use crate::encoding::ParseError;

mod json;

/// Media type that every client writes today.
pub const MEDIA_TYPE_V0_1: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
/// Media types that are read; the specification also names the second form of 0.1, and 0.2 adds operators.
pub const MEDIA_TYPES: [&str; 4] = [
    MEDIA_TYPE_V0_1,
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// A larger document is refused: the public one has 7 kB, and one for 100 rotated authorities would have 300 kB.
pub const MAX_SIZE: usize = 4 << 20;
/// More entries of one kind are refused: each may be tried for each signature.
pub const MAX_ENTRIES: usize = 256;
/// A longer chain is refused; Fulcio and timestamp authorities use two or three certificates.
pub const MAX_CHAIN: usize = 16;

/// Whom a verifier believes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedRoot {
    /// The media type as it is written in the document.
    pub media_type: String,
    /// Transparency logs of signatures.
    pub tlogs: Vec<LogInstance>,
    /// Authorities that certify signers.
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate transparency logs.
    pub ctlogs: Vec<LogInstance>,
    /// RFC 3161 timestamp authorities.
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// A log with one key (`TransparencyLogInstance`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogInstance {
    /// Where the log is; for Rekor v2 its host is the origin of checkpoints.
    pub base_url: String,
    /// The hash of the Merkle tree.
    pub hash_algorithm: HashAlgorithm,
    /// The key, DER: a `SubjectPublicKeyInfo` where `key_details` starts with `PKIX_`, else the key alone.
    pub public_key: Vec<u8>,
    /// Name of the algorithm (`PublicKeyDetails`): `PKIX_ECDSA_P256_SHA_256`, `PKIX_ED25519`, …
    pub key_details: String,
    /// When the key may be believed.
    pub valid_for: TimeRange,
    /// What entries name the log by: SHA-256 of the key, or the hash whose first four bytes are the checkpoint key id.
    pub log_id: Vec<u8>,
    /// What checkpoints name the key by.
    pub checkpoint_key_id: Option<Vec<u8>>,
    /// Who runs the log.
    pub operator: Option<String>,
}

/// An authority with one chain (`CertificateAuthority`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateAuthority {
    /// `O` of the authority's name; says nothing about trust.
    pub organization: String,
    /// `CN` of the authority's name; says nothing about trust.
    pub common_name: String,
    /// Where the authority is.
    pub uri: String,
    /// DER certificates in the order of the document: the one that signs first, the anchor last.
    pub cert_chain: Vec<Vec<u8>>,
    /// When the chain may be believed.
    pub valid_for: TimeRange,
    /// Who runs the authority.
    pub operator: Option<String>,
}

/// A span of time. Both ends belong to it; a missing end is open.
///
/// This is the only meaning of a range in the program, for keys, chains and services alike.
///
/// ```
/// use sealmark_formats::trusted_root::TimeRange;
/// let range = TimeRange {
///     start: Some("2024-01-01T00:00:00Z".parse().unwrap()),
///     end: Some("2024-12-31T23:59:59Z".parse().unwrap()),
/// };
/// assert!(range.contains(range.start.unwrap()) && range.contains(range.end.unwrap()));
/// assert!(!range.contains_seconds(range.end.unwrap().as_second() + 1));
/// assert!(TimeRange::ALWAYS.contains_seconds(0));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TimeRange {
    /// The first moment, if there is one.
    pub start: Option<Timestamp>,
    /// The last moment, if there is one.
    pub end: Option<Timestamp>,
}

impl TimeRange {
    /// Without beginning and end.
    pub const ALWAYS: Self = Self {
        start: None,
        end: None,
    };

    /// Whether `time` is in the range, ends included.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }

    /// Whether a time in seconds since 1970 is in the range, ends included; a time beyond the calendar never is,
    /// unless that side is open.
    pub fn contains_seconds(&self, unix_seconds: i64) -> bool {
        let time = Timestamp::from_second(unix_seconds).unwrap_or(if unix_seconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        self.contains(time)
    }
}

impl TrustedRoot {
    /// A root that trusts nobody.
    pub fn empty() -> Self {
        Self {
            media_type: MEDIA_TYPE_V0_1.to_owned(),
            tlogs: Vec::new(),
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: Vec::new(),
        }
    }

    /// Parses a trusted root.
    ///
    /// # Errors
    /// If it is not JSON of this shape, its media type is unknown, something in it is empty, a range ends before it
    /// begins, or it is over a bound.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        json::parse(json)
    }

    /// The compact protobuf JSON form, with the fields in the order of the specification.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }
}
