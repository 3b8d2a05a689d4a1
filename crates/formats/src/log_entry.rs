//! What transparency logs hold: the bodies of entries, and the bytes that are hashed and signed for them.
//!
//! A body is what a log has put into its tree, as a bundle's `canonicalizedBody` repeats it. [`EntryBody::parse`]
//! gives what it claims; that the log holds it is for the inclusion proof to show, and that it speaks of the same
//! signature as the bundle is for the verifier to compare. Formats: the JSON schemas under `pkg/types` of
//! <https://github.com/sigstore/rekor>, and `api/proto/rekor/v2` of <https://github.com/sigstore/rekor-tiles>.

use serde::Serialize;

use crate::digest::Digest;
use crate::encoding::ParseError;
use crate::jcs;

mod body;
mod field;
mod leaf;
mod rekor_v1;
mod verifier;

pub use leaf::{Leaf, dsse_v2_body, hashedrekord_v2_body, leaf_of_bundle};
pub use rekor_v1::{dsse_v1_body, hashedrekord_v1_body, intoto_v2_body};
pub use verifier::{KeyFormat, Verifier};

/// Larger bodies are refused, in bytes. Rekor v2 takes requests of up to 4 MiB; the body of an entry is smaller than
/// the request.
pub const MAX_BODY: usize = 4 << 20;
/// Entries with more signatures are refused. Rekor v2 allows 10; an envelope in Rekor v1 had no limit.
pub const MAX_SIGNATURES: usize = 64;
/// The largest integer up to which every one is a double, too.
const MAX_EXACT: u64 = 1 << 53;

/// The body of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryBody {
    /// Of a kind that is known. Whether a bundle's signature can be what it is about, [`EntryClaims::signed`] says.
    Claims(EntryClaims),
    /// Of any other kind; all that is known is its name.
    Other {
        /// `kind` of the body.
        kind: String,
        /// `apiVersion` of the body.
        version: String,
    },
}

/// What an entry says about a signature. Which digests there are depends on the kind:
///
/// | kind | version | `signed` | digests | signatures |
/// |---|---|---|---|---|
/// | `hashedrekord` | 0.0.1, 0.0.2 | data | artifact | one |
/// | `rekord` | 0.0.1 | data | artifact | one, also by a PGP, minisign or SSH key |
/// | `dsse` | 0.0.1 | envelope | payload, envelope | one or more |
/// | `dsse` | 0.0.2 | envelope | payload | one or more |
/// | `intoto` | 0.0.1 | envelope | envelope, payload if given | one, without the signature itself |
/// | `intoto` | 0.0.2 | envelope | payload, envelope if given | one or more |
/// | `cose` | 0.0.1 | COSE message | payload, envelope (the message) | one, without the signature itself |
/// | `rfc3161` | 0.0.1 | timestamp response | subject (the response) | none |
/// | `jar` | 0.0.1 | package | subject (the archive) | one, PKCS #7 in PEM |
/// | `rpm` | 0.0.1 | package | subject (the package) | one by a PGP key, without the signature itself |
/// | `alpine` | 0.0.1 | package | subject (the package) | one, without the signature itself |
/// | `helm` | 0.0.1 | package | subject (the chart) | one by a PGP key |
/// | `tuf` | 0.0.1 | TUF metadata | subject (the metadata) | one by a TUF root, without the signatures |
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryClaims {
    /// `kind` of the body: `hashedrekord`, `dsse`, …
    pub kind: String,
    /// `apiVersion` of the body: `0.0.1` or `0.0.2`.
    pub version: String,
    /// What the signatures are over.
    pub signed: SignedForm,
    /// Digest of the data that is signed: the artifact, or for an envelope in Rekor v2 its
    /// [pre-authentication encoding](crate::dsse::pae).
    pub artifact_digest: Option<Digest>,
    /// Digest of the payload of a DSSE envelope, decoded, or of a COSE message.
    pub payload_digest: Option<Digest>,
    /// Digest of a DSSE envelope, or of a COSE message, as it was sent to the log, byte for byte.
    pub envelope_digest: Option<Digest>,
    /// Digest of what the entry is about, where no signature is over that directly: of a whole package, say, whose
    /// signature is over a part of it. It is not to be compared with what a signature is over.
    pub subject_digest: Option<Digest>,
    /// The signatures, in the order of the body.
    pub signatures: Vec<EntrySignature>,
}

/// What the signatures of an entry are over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignedForm {
    /// Data, by the digest `artifact_digest`: a blob, a payload, or in Rekor v2 also an envelope.
    Data,
    /// A DSSE envelope.
    Envelope,
    /// A `COSE_Sign1` message (RFC 9052).
    CoseMessage,
    /// A part of a package, in the package's own way.
    Package,
    /// A timestamp's content (RFC 3161), by a timestamp authority.
    TimestampResponse,
    /// Metadata of a TUF repository.
    TufMetadata,
}

impl SignedForm {
    /// Whether a signature of a Sigstore bundle, or of what cosign wrote before them, is made this way, so that an
    /// entry can be about it.
    pub fn is_of_bundles(self) -> bool {
        matches!(self, Self::Data | Self::Envelope)
    }
}

impl core::fmt::Display for SignedForm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Envelope => "a DSSE envelope",
            Self::CoseMessage => "a COSE message",
            Self::Package => "a package with a signature of its own format",
            Self::TimestampResponse => "a timestamp",
            Self::TufMetadata => "TUF metadata",
        })
    }
}

/// A signature that an entry records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntrySignature {
    /// The signature, as its format writes it. `None` in kinds that record no more than the key.
    pub signature: Option<Vec<u8>>,
    /// The key or certificate that the log checked the signature with.
    pub verifier: Verifier,
    /// `PublicKeyDetails` of sigstore_common.proto, in Rekor v2 only: `PKIX_ECDSA_P256_SHA_256`.
    pub key_details: Option<String>,
}

impl EntryBody {
    /// Parses a body.
    ///
    /// # Errors
    /// If it is not JSON, or a field of a known kind is missing or not what it should be; the error names the field by
    /// its JSON path. Also if it is over [`MAX_BODY`] or has more than [`MAX_SIGNATURES`].
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        body::parse(json)
    }

    /// `kind` of the body.
    pub fn kind(&self) -> &str {
        match self {
            Self::Claims(claims) => &claims.kind,
            Self::Other { kind, .. } => kind,
        }
    }

    /// `apiVersion` of the body.
    pub fn version(&self) -> &str {
        match self {
            Self::Claims(claims) => &claims.version,
            Self::Other { version, .. } => version,
        }
    }
}

/// The bytes that a Rekor v1 signs as its promise to include an entry, the signed entry timestamp (SET).
///
/// `body` is the canonical body in standard base64, `integrated_time` is in seconds since 1970, `log_id` the SHA-256
/// of the log's SPKI in lower-case hex, and `log_index` counts across the shards of the log.
///
/// ```
/// let bytes = sealmark_formats::log_entry::set_payload("e30=", 1_689_177_396, "c0d2", 7);
/// assert_eq!(
///     bytes,
///     br#"{"body":"e30=","integratedTime":1689177396,"logID":"c0d2","logIndex":7}"#,
/// );
/// ```
pub fn set_payload(body: &str, integrated_time: i64, log_id: &str, log_index: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Payload<'a> {
        body: &'a str,
        #[serde(rename = "integratedTime")]
        integrated_time: i64,
        #[serde(rename = "logID")]
        log_id: &'a str,
        #[serde(rename = "logIndex")]
        log_index: u64,
    }
    let payload = Payload {
        body,
        integrated_time,
        log_id,
        log_index,
    };
    // Beyond that, the scheme writes integers as doubles.
    let exact = integrated_time.unsigned_abs() <= MAX_EXACT && log_index <= MAX_EXACT;
    match exact {
        true => jcs::in_order_to_vec(&payload),
        false => jcs::to_vec(&payload),
    }
    .expect("strings and integers can be written as JSON")
}
