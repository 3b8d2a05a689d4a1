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
            reason: excerpt(reason.into()),
        }
    }
}

/// Characters of a reason's beginning that are kept: enough for what was expected.
const EXCERPT_START: usize = 400;
/// Characters of its end that are kept: there JSON's errors say where in the text they are.
const EXCERPT_END: usize = 100;

/// What is wrong with a document, without the middle if it is long.
///
/// Parsers quote what they did not expect; in a hostile document that may be megabytes.
///
/// ```
/// let reason = format!("{:?} was not expected at line 7", "a".repeat(5000));
/// let excerpt = sealmark_formats::excerpt(reason);
/// assert!(excerpt.starts_with("\"aaa") && excerpt.ends_with("aaa\" was not expected at line 7"));
/// assert_eq!(excerpt.chars().count(), 501);
/// ```
pub fn excerpt(text: String) -> String {
    let length = text.chars().count();
    if length <= EXCERPT_START + 1 + EXCERPT_END {
        return text;
    }
    let start = text.chars().take(EXCERPT_START);
    let end = text.chars().skip(length - EXCERPT_END);
    start.chain(['…']).chain(end).collect()
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// Decodes base64 as Go's protobuf JSON does: either alphabet, with or without padding, line breaks passed over.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    // One pass over all bytes, without a way out: the compiler makes it one over many bytes at a time.
    let (mut breaks, mut url_safe) = (false, false);
    for byte in text.bytes() {
        breaks |= matches!(byte, b'\r' | b'\n');
        url_safe |= matches!(byte, b'-' | b'_');
    }
    if breaks {
        return decode_base64(&text.replace(['\r', '\n'], ""));
    }
    if url_safe {
        URL_SAFE.decode(text)
    } else {
        STANDARD.decode(text)
    }
}

/// Encodes in the standard alphabet with padding, as every Sigstore client writes it.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A list that is given up once it has more than `N` items, so that a small text does not become a large value.
/// `null` is an empty list. For a good message where the bound matters, `N` is one more than it and the length is
/// checked after.
pub(crate) fn at_most<'de, const N: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct List<const N: usize, T>(core::marker::PhantomData<T>);

    impl<'de, const N: usize, T: Deserialize<'de>> serde::de::Visitor<'de> for List<N, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "a list of at most {N}")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == N {
                    let text = format_args!("a list of more than {N} items");
                    return Err(serde::de::Error::custom(text));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_any(List::<N, T>(core::marker::PhantomData))
}

/// [`at_most`] for a field that is left out when it is written.
pub(crate) fn some_at_most<'de, const N: usize, T, D>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    at_most::<N, T, D>(deserializer).map(Some)
}

/// Bytes as base64 in JSON, written without the text in between.
pub(crate) fn write_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
}

/// Base64 that is decoded where it stands: an envelope's payload may have many megabytes, and its text is not kept.
pub(crate) struct Base64(pub(crate) Result<Vec<u8>, base64::DecodeError>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Base64, E> {
                Ok(Base64(decode_base64(text)))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// `#[serde(with = "base64_bytes")]` for byte fields.
pub(crate) mod base64_bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        write_base64(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let Base64(bytes) = Base64::deserialize(d)?;
        bytes.map_err(|error| serde::de::Error::custom(format_args!("invalid base64: {error}")))
    }
}
