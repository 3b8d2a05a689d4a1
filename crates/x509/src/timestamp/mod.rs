//! RFC 3161 timestamps: an authority's word that some bytes existed at a time.
//!
//! A token is CMS `SignedData` (RFC 5652) around a `TSTInfo`. [`TimestampToken::parse`] gives what it claims;
//! [`TimestampToken::verify`] decides, against the certificates of one authority, whether that is so.
//!
//! The structures are read here and not by the `cms` crate: that has no release for the ASN.1 crates in use, and reads
//! a token's set of certificates only if it is sorted, which those of many authorities are not. What is hashed or
//! signed is always the bytes as they came.

pub(crate) mod cms;
mod error;
mod request;
mod tst_info;
mod verification;

use der::Tag;
use sealmark_formats::Digest;

pub use error::TimestampError;
pub use request::{MAX_TIMESTAMP_REQUEST, TimestampRequest, TimestampRequestError};
pub use verification::VerifiedTimestamp;

use crate::Certificate;
use crate::element::Element;
use cms::SignedData;
use tst_info::TstInfo;

/// The largest reply or token that is read, in bytes: with the authority's whole chain inside they have about 8 KiB.
pub const MAX_TIMESTAMP: usize = 64 * 1024;

/// A timestamp token that is well formed. What it says is only claimed until [`verify`](Self::verify) says otherwise.
#[derive(Clone, Debug)]
pub struct TimestampToken {
    info: TstInfo,
    signed: SignedData,
}

impl TimestampToken {
    /// Reads a `TimeStampResp`, the reply of an authority and what bundles have, or a bare `TimeStampToken`.
    ///
    /// # Errors
    /// If it is longer than [`MAX_TIMESTAMP`], malformed, followed by other bytes, not granted, signed by any other
    /// number than one signer, or made with algorithms that are not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        Self::read(bytes, true)
    }

    /// Reads a `TimeStampResp`, and nothing else.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and if it is a bare token.
    pub fn parse_response(bytes: &[u8]) -> Result<Self, TimestampError> {
        Self::read(bytes, false)
    }

    fn read(bytes: &[u8], bare: bool) -> Result<Self, TimestampError> {
        if bytes.len() > MAX_TIMESTAMP {
            return Err(TimestampError::TooLarge(bytes.len()));
        }
        let malformed = |error: der::Error| TimestampError::malformed("reply", error);
        let outer = Element::only(bytes).map_err(malformed)?;
        outer.tag.assert_eq(Tag::Sequence).map_err(malformed)?;
        let mut fields = outer.elements().map_err(malformed)?;
        let first = fields.next().map_err(malformed)?;
        let token = if bare && first.tag == Tag::ObjectIdentifier {
            outer
        } else {
            first.tag.assert_eq(Tag::Sequence).map_err(malformed)?;
            check_status(&first)?;
            let token = fields.expect(Tag::Sequence).map_err(malformed)?;
            fields.finish().map_err(malformed)?;
            token
        };
        let signed = SignedData::parse(&token)?;
        let info = TstInfo::parse(&signed.content)?;
        Ok(Self { info, signed })
    }

    /// The time that is claimed, in whole seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.info.unix_seconds
    }

    /// What was timestamped: the digest of some bytes.
    pub fn imprint(&self) -> &Digest {
        &self.info.imprint
    }

    /// The serial number that is claimed, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.info.serial
    }

    /// The policy that is claimed, an object identifier in dots.
    pub fn policy(&self) -> &str {
        &self.info.policy
    }

    /// The nonce of the request, as the content of a DER integer, for whoever asked to compare.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.info.nonce.as_deref()
    }

    /// The certificates in the token; there are none if they were not asked for. None of them is to be trusted. Those
    /// that cannot be read are left out.
    pub fn certificates(&self) -> &[Certificate] {
        &self.signed.certificates
    }
}

/// `PKIStatusInfo` (RFC 3161, section 2.4.2): 0 is granted, 1 granted with modifications.
fn check_status(status_info: &Element<'_>) -> Result<(), TimestampError> {
    let malformed = |error: der::Error| TimestampError::malformed("status", error);
    let mut fields = status_info.elements().map_err(malformed)?;
    let status: u8 = fields
        .next()
        .and_then(|it| it.decode())
        .map_err(malformed)?;
    if status <= 1 {
        return Ok(());
    }
    let mut reasons = Vec::new();
    if let Some(texts) = fields.optional(Tag::Sequence).map_err(malformed)? {
        let mut texts = texts.elements().map_err(malformed)?;
        while !texts.is_finished() {
            let text = texts.next().map_err(malformed)?;
            reasons.push(String::from_utf8_lossy(text.content));
        }
    }
    Err(TimestampError::Refused {
        status,
        reason: reasons.join("; ").chars().take(200).collect(),
    })
}
