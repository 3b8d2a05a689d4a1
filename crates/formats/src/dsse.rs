//! Dead Simple Signing Envelopes: a payload, its type, and signatures over both.
//!
//! Format: <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>.

use serde::{Deserialize, Serialize};

use crate::encoding::{ParseError, at_most, base64_bytes};

/// The payload type of an in-toto statement.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// More signatures are refused: what cosign writes has one, and each takes ten times the room that it has in JSON.
pub const MAX_SIGNATURES: usize = 64;

/// An envelope. The payload and the signatures are raw bytes here, base64 in JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Envelope {
    /// The signed bytes.
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
    /// The type of the payload, signed too.
    #[serde(rename = "payloadType", alias = "payload_type")]
    pub payload_type: String,
    /// The signatures; a Sigstore bundle has exactly one.
    #[serde(deserialize_with = "at_most::<MAX_SIGNATURES, _, _>")]
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signature {
    /// The signature over [`pae`].
    #[serde(with = "base64_bytes")]
    pub sig: Vec<u8>,
    /// An unauthenticated hint which key made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
}

impl Envelope {
    /// Parses the JSON form.
    ///
    /// # Errors
    /// If it is not JSON of this shape, base64 is invalid, or it has more than [`MAX_SIGNATURES`].
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        serde_json::from_slice(json)
            .map_err(|error| ParseError::new("DSSE envelope", error.to_string()))
    }

    /// The bytes that the signatures are over.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }
}

/// Pre-authentication encoding, DSSE v1: what is really signed.
///
/// ```
/// assert_eq!(
///     sealmark_formats::dsse::pae("http://example.com/HelloWorld", b"hello world"),
///     b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
/// );
/// ```
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = pae_header(payload_type, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// What stands before the payload in [`pae`], for payloads that are not copied to be signed.
///
/// ```
/// use sealmark_formats::dsse::{pae, pae_header};
/// assert_eq!([pae_header("t", 5), b"hello".to_vec()].concat(), pae("t", b"hello"));
/// ```
pub fn pae_header(payload_type: &str, payload_length: usize) -> Vec<u8> {
    format!(
        "DSSEv1 {} {payload_type} {payload_length} ",
        payload_type.len()
    )
    .into_bytes()
}
