//! Base64 and errors that the wire types share.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, Serializer};

/// Why bytes are not a value of the format they should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid {format}: {reason}")]
pub struct ParseError {
    /// The format that was expected, e.g. `Sigstore bundle`.
    pub format: &'static str,
    /// What is wrong, with the place where the format allows to tell.
    pub reason: String,
}

impl ParseError {
    pub(crate) fn new(format: &'static str, reason: impl Into<String>) -> Self {
        Self {
            format,
            reason: reason.into(),
        }
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// Decodes base64 as Go's protobuf JSON does: either alphabet, with or without padding, line breaks passed over.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    if text.contains(['\r', '\n']) {
        return decode_base64(&text.replace(['\r', '\n'], ""));
    }
    if text.contains(['-', '_']) {
        URL_SAFE.decode(text)
    } else {
        STANDARD.decode(text)
    }
}

/// Encodes in the standard alphabet with padding, as every Sigstore client writes it.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `#[serde(with = "base64_bytes")]` for byte fields.
pub(crate) mod base64_bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_base64(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(d)?;
        decode_base64(&text)
            .map_err(|error| serde::de::Error::custom(format_args!("invalid base64: {error}")))
    }
}
