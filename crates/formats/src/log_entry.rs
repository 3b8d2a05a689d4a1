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
pub use verifier::Verifier;

/// Larger bodies are refused, in bytes. Rekor v2 takes requests of up to 4 MiB; the body of an entry is smaller than
/// the request.
pub const MAX_BODY: usize = 4 << 20;
/// Entries with more signatures are refused. Rekor v2 allows 10; an envelope in Rekor v1 had no limit.
pub const MAX_SIGNATURES: usize = 64;

/// The body of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryBody {
    /// Of a kind whose claims can be compared with a signature.
    Claims(EntryClaims),
    /// Of any other kind, e.g. `rekord` or `helm`; all that is known is its name.
    Other {
        /// `kind` of the body.
        kind: String,
        /// `apiVersion` of the body.
        version: String,
    },
}

/// What an entry says about a signature. Which digests there are depends on the kind:
///
/// | kind | version | `artifact_digest` | `payload_digest` | `envelope_digest` | signatures |
/// |---|---|---|---|---|---|
/// | `hashedrekord` | 0.0.1, 0.0.2 | yes | | | one |
/// | `dsse` | 0.0.1 | | yes | yes | one or more |
/// | `dsse` | 0.0.2 | | yes | | one or more |
/// | `intoto` | 0.0.1 | | if given | yes | one, without the signature itself |
/// | `intoto` | 0.0.2 | | yes | if given | one or more |
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryClaims {
    /// `kind` of the body: `hashedrekord`, `dsse` or `intoto`.
    pub kind: String,
    /// `apiVersion` of the body: `0.0.1` or `0.0.2`.
    pub version: String,
    /// Digest of the data that is signed: the artifact, or for an envelope in Rekor v2 its
    /// [pre-authentication encoding](crate::dsse::pae).
    pub artifact_digest: Option<Digest>,
    /// Digest of the payload of a DSSE envelope, decoded.
    pub payload_digest: Option<Digest>,
    /// Digest of a DSSE envelope as it was sent to the log, byte for byte.
    pub envelope_digest: Option<Digest>,
    /// The signatures, in the order of the body.
    pub signatures: Vec<EntrySignature>,
}

/// A signature that an entry records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntrySignature {
    /// The raw signature. `None` in `intoto` 0.0.1, which records no more than the key.
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
    jcs::to_vec(&Payload {
        body,
        integrated_time,
        log_id,
        log_index,
    })
    .expect("strings and integers can be written as JSON")
}
