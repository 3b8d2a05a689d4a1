//! The JSON form of protobuf messages: the rules of reading and writing, and the messages that formats share.
//!
//! <https://protobuf.dev/programming-guides/json/>: names in `camelCase` or `snake_case`, 64-bit integers as strings or
//! numbers, bytes in either base64 alphabet, `null` for an absent field, unknown fields ignored. Enumerations are read
//! by name; no client writes their numbers. Every error names the field it is about.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::HashAlgorithm;
use crate::encoding::{ParseError, at_most, decode_base64, encode_base64};
use crate::trusted_root::TimeRange;

/// A chain is read up to one certificate more than any format allows, so that the format can say what it allows.
const MAX_CHAIN_READ: usize = 17;

/// `X509Certificate` of sigstore_common.proto, and whatever else is no more than bytes.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawBytesJson {
    #[serde(alias = "raw_bytes", deserialize_with = "null_as_default")]
    pub(crate) raw_bytes: String,
}

impl RawBytesJson {
    pub(crate) fn new(der: impl AsRef<[u8]>) -> Self {
        Self {
            raw_bytes: encode_base64(der.as_ref()),
        }
    }
}

/// `X509CertificateChain` of sigstore_common.proto.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ChainJson {
    #[serde(deserialize_with = "at_most::<MAX_CHAIN_READ, _, _>")]
    certificates: Vec<RawBytesJson>,
}

impl ChainJson {
    pub(crate) fn new(chain: &[Vec<u8>]) -> Self {
        Self {
            certificates: chain.iter().map(RawBytesJson::new).collect(),
        }
    }
}

/// `LogId` of sigstore_common.proto.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LogIdJson {
    #[serde(alias = "key_id", deserialize_with = "null_as_default")]
    pub(crate) key_id: String,
}

impl LogIdJson {
    pub(crate) fn new(id: &[u8]) -> Self {
        Self {
            key_id: encode_base64(id),
        }
    }
}

/// `TimeRange` of sigstore_common.proto.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RangeJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

impl RangeJson {
    /// The form of a range; one without ends is left out.
    pub(crate) fn new(range: &TimeRange) -> Option<Self> {
        (*range != TimeRange::ALWAYS).then(|| Self {
            start: range.start.map(write_time),
            end: range.end.map(write_time),
        })
    }
}

/// A 64-bit integer: written as a string, read from a string or a number.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) struct Int64(pub(crate) i64);

impl Int64 {
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        integer(deserializer).map(Self)
    }
}

/// A 32-bit integer: written as a number, read from a string or a number.
pub(crate) fn uint32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    integer(deserializer)
}

fn integer<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de> + core::str::FromStr<Err: core::fmt::Display>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Number(T),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(T::default()),
        Some(Either::Number(number)) => Ok(number),
        Some(Either::Text(text)) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Reads `null` as the absent field that protobuf JSON means by it, and that Go's encoder means by a `null` in the place
/// of a list or a map: `#[serde(default, deserialize_with = "null_as_default")]`.
///
/// # Errors
/// Those of `T`.
pub fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A document that is being read, by the name that errors call it.
#[derive(Clone, Copy)]
pub(crate) struct Document(pub(crate) &'static str);

impl Document {
    pub(crate) fn error(self, reason: impl Into<String>) -> ParseError {
        ParseError::new(self.0, reason)
    }

    /// The message in `json`, a JSON object.
    pub(crate) fn parse<T: DeserializeOwned>(self, json: &[u8]) -> Result<T, ParseError> {
        // Without this a JSON array would be read as the fields in order.
        if json
            .trim_ascii_start()
            .first()
            .is_some_and(|byte| *byte != b'{')
        {
            return Err(self.error("it is not a JSON object"));
        }
        serde_json::from_slice(json).map_err(|e| self.error(e.to_string()))
    }

    /// [`parse`](Self::parse) of at most `max_size` bytes.
    pub(crate) fn parse_at_most<T: DeserializeOwned>(
        self,
        max_size: usize,
        json: &[u8],
    ) -> Result<T, ParseError> {
        if json.len() > max_size {
            let size = json.len();
            return Err(self.error(format!("{size} bytes, at most {max_size} are allowed")));
        }
        self.parse(json)
    }

    /// The media type, if it is one of `known`.
    pub(crate) fn media_type(self, found: String, known: &[&str]) -> Result<String, ParseError> {
        if known.contains(&found.as_str()) {
            return Ok(found);
        }
        let shown = shown(&found);
        let known = known.join(", ");
        Err(self.error(format!("mediaType {shown:?} is none of {known}")))
    }

    /// Bytes in base64; there may be none.
    pub(crate) fn bytes(self, place: &str, text: &str) -> Result<Vec<u8>, ParseError> {
        decode_base64(text).map_err(|e| self.error(format!("{place} is not base64: {e}")))
    }

    /// Bytes that were base64 where they stood.
    pub(crate) fn decoded<T>(
        self,
        place: &str,
        bytes: Result<T, base64::DecodeError>,
    ) -> Result<T, ParseError> {
        bytes.map_err(|e| self.error(format!("{place} is not base64: {e}")))
    }

    /// Bytes in base64, at least one.
    pub(crate) fn some_bytes(self, place: &str, text: &str) -> Result<Vec<u8>, ParseError> {
        let bytes = self.bytes(place, text)?;
        if bytes.is_empty() {
            return Err(self.error(format!("{place} is empty")));
        }
        Ok(bytes)
    }

    /// The certificates of a chain: at least one and at most `max`, none of them empty.
    pub(crate) fn chain(
        self,
        place: &str,
        chain: &ChainJson,
        max: usize,
    ) -> Result<Vec<Vec<u8>>, ParseError> {
        let list = &chain.certificates;
        if list.is_empty() || list.len() > max {
            let count = list.len();
            return Err(self.error(format!(
                "{place} has {count} certificates, from 1 to {max} are allowed"
            )));
        }
        let place = format!("{place}.certificates");
        list.iter()
            .map(|certificate| self.some_bytes(&place, &certificate.raw_bytes))
            .collect()
    }

    /// The items of a list of at most `max`, each read by `read`, which is told its place.
    pub(crate) fn items<T, U>(
        self,
        place: &str,
        list: Vec<T>,
        max: usize,
        read: impl Fn(&str, T) -> Result<U, ParseError>,
    ) -> Result<Vec<U>, ParseError> {
        if list.len() > max {
            let count = list.len();
            return Err(self.error(format!("{count} {place}, at most {max} are allowed")));
        }
        list.into_iter()
            .enumerate()
            .map(|(index, raw)| read(&format!("{place}[{index}]"), raw))
            .collect()
    }

    /// A hash algorithm by its name in `HashAlgorithm` of sigstore_common.proto.
    pub(crate) fn hash_algorithm(
        self,
        place: &str,
        name: &str,
    ) -> Result<HashAlgorithm, ParseError> {
        HashAlgorithm::from_protobuf_name(name).ok_or_else(|| {
            let shown = shown(name);
            self.error(format!(
                "{place} {shown:?} is none of SHA2_256, SHA2_384, SHA2_512"
            ))
        })
    }

    /// A number that protobuf allows to be negative and the format does not.
    pub(crate) fn unsigned(self, place: &str, value: Int64) -> Result<u64, ParseError> {
        u64::try_from(value.0).map_err(|_| self.error(format!("{place} is negative: {}", value.0)))
    }

    /// The range of time in `place`.validFor; absent is open at both ends.
    pub(crate) fn range(
        self,
        place: &str,
        raw: Option<RangeJson>,
    ) -> Result<TimeRange, ParseError> {
        let raw = raw.unwrap_or_default();
        let time = |end: &str, text: Option<String>| {
            text.map(|text| {
                rfc3339(&text).ok_or_else(|| {
                    let shown = shown(&text);
                    self.error(format!(
                        "{place}.validFor.{end} {shown:?} is not an RFC 3339 time"
                    ))
                })
            })
            .transpose()
        };
        let range = TimeRange {
            start: time("start", raw.start)?,
            end: time("end", raw.end)?,
        };
        if let (Some(start), Some(end)) = (range.start, range.end)
            && end < start
        {
            return Err(self.error(format!(
                "{place}.validFor ends at {end}, before its start at {start}"
            )));
        }
        Ok(range)
    }
}

/// As much of a text of the document as an error repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// What protobuf calls a timestamp in JSON: RFC 3339, years 1 to 9999. jiff reads more (a space for the `T`, weekdays,
/// zone names in brackets), so the shape is checked first.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[16] == b':'
        && !text.contains('[')
        && &text[..4] != "0000";
    shaped.then(|| text.parse().ok()).flatten()
}

/// The form of protobuf JSON: UTC with no, three, six or nine digits after the second.
fn write_time(time: Timestamp) -> String {
    let nanoseconds = time.subsec_nanosecond();
    let digits = match nanoseconds {
        0 => 0,
        n if n % 1_000_000 == 0 => 3,
        n if n % 1_000 == 0 => 6,
        _ => 9,
    };
    DateTimePrinter::new()
        .precision(Some(digits))
        .timestamp_to_string(&time)
}
