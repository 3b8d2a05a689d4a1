//! Protobuf JSON of trusted roots, read and written.
//!
//! Reading follows the protobuf JSON rules: `camelCase` or `snake_case` names, either base64 alphabet, `null` for an
//! absent field, unknown fields ignored. Enumerations are read by name; no client writes their numbers.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    CertificateAuthority, LogInstance, MAX_CHAIN, MAX_ENTRIES, MAX_SIZE, MEDIA_TYPES, TimeRange,
    TrustedRoot,
};
use crate::digest::HashAlgorithm;
use crate::encoding::{ParseError, decode_base64, encode_base64};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct RootJson {
    #[serde(alias = "media_type", deserialize_with = "or_default")]
    media_type: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    tlogs: Vec<LogJson>,
    #[serde(
        alias = "certificate_authorities",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    certificate_authorities: Vec<AuthorityJson>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    ctlogs: Vec<LogJson>,
    #[serde(
        alias = "timestamp_authorities",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    timestamp_authorities: Vec<AuthorityJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct LogJson {
    #[serde(
        alias = "base_url",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    base_url: String,
    #[serde(alias = "hash_algorithm", deserialize_with = "or_default")]
    hash_algorithm: String,
    #[serde(alias = "public_key")]
    public_key: Option<KeyJson>,
    #[serde(alias = "log_id", skip_serializing_if = "Option::is_none")]
    log_id: Option<IdJson>,
    #[serde(alias = "checkpoint_key_id", skip_serializing_if = "Option::is_none")]
    checkpoint_key_id: Option<IdJson>,
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyJson {
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    raw_bytes: String,
    #[serde(alias = "key_details", deserialize_with = "or_default")]
    key_details: String,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct IdJson {
    #[serde(alias = "key_id", deserialize_with = "or_default")]
    key_id: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthorityJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<NameJson>,
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    uri: String,
    #[serde(alias = "cert_chain")]
    cert_chain: Option<ChainJson>,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct NameJson {
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    organization: String,
    #[serde(
        alias = "common_name",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    common_name: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct ChainJson {
    #[serde(deserialize_with = "or_default")]
    certificates: Vec<CertificateJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct CertificateJson {
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    raw_bytes: String,
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

/// Reads `null` as the absent field that protobuf JSON means by it.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a document of one of `media_types` that is a JSON object of at most `max_size` bytes.
pub(crate) fn document<T: DeserializeOwned>(
    format: &'static str,
    json: &[u8],
    max_size: usize,
) -> Result<T, ParseError> {
    if json.len() > max_size {
        return Err(ParseError::new(
            format,
            format!("{} bytes, at most {max_size} are allowed", json.len()),
        ));
    }
    // Without this a JSON array would be read as the fields in order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(ParseError::new(format, "it is not a JSON object"));
    }
    serde_json::from_slice(json).map_err(|e| ParseError::new(format, e.to_string()))
}

/// The media type, if it is one of `known`.
pub(crate) fn media_type(
    format: &'static str,
    found: String,
    known: &[&str],
) -> Result<String, ParseError> {
    if known.contains(&found.as_str()) {
        return Ok(found);
    }
    let shown: String = found.chars().take(100).collect();
    Err(ParseError::new(
        format,
        format!("mediaType {shown:?} is none of {}", known.join(", ")),
    ))
}

/// A range of time; absent is open at both ends.
pub(crate) fn range(
    format: &'static str,
    place: &str,
    raw: Option<RangeJson>,
) -> Result<TimeRange, ParseError> {
    let raw = raw.unwrap_or_default();
    let time = |end: &str, text: Option<String>| {
        text.map(|text| {
            rfc3339(&text).ok_or_else(|| {
                let shown: String = text.chars().take(60).collect();
                ParseError::new(
                    format,
                    format!("{place}.validFor.{end} {shown:?} is not an RFC 3339 time"),
                )
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
        return Err(ParseError::new(
            format,
            format!("{place}.validFor ends at {end}, before its start at {start}"),
        ));
    }
    Ok(range)
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
pub(crate) fn write_time(time: Timestamp) -> String {
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

/// The form of a range; one without ends is left out.
pub(crate) fn write_range(range: &TimeRange) -> Option<RangeJson> {
    (*range != TimeRange::ALWAYS).then(|| RangeJson {
        start: range.start.map(write_time),
        end: range.end.map(write_time),
    })
}

const FORMAT: &str = "Sigstore trusted root";

fn error(reason: impl Into<String>) -> ParseError {
    ParseError::new(FORMAT, reason)
}

fn bytes(place: &str, text: &str) -> Result<Vec<u8>, ParseError> {
    decode_base64(text).map_err(|e| error(format!("{place} is not base64: {e}")))
}

pub(super) fn parse(json: &[u8]) -> Result<TrustedRoot, ParseError> {
    let raw: RootJson = document(FORMAT, json, MAX_SIZE)?;
    Ok(TrustedRoot {
        media_type: media_type(FORMAT, raw.media_type, &MEDIA_TYPES)?,
        tlogs: every("tlogs", raw.tlogs, log)?,
        certificate_authorities: every(
            "certificateAuthorities",
            raw.certificate_authorities,
            authority,
        )?,
        ctlogs: every("ctlogs", raw.ctlogs, log)?,
        timestamp_authorities: every("timestampAuthorities", raw.timestamp_authorities, authority)?,
    })
}

fn every<T, U>(
    field: &str,
    list: Vec<T>,
    read: impl Fn(&str, T) -> Result<U, ParseError>,
) -> Result<Vec<U>, ParseError> {
    if list.len() > MAX_ENTRIES {
        return Err(error(format!(
            "{} {field}, at most {MAX_ENTRIES} are allowed",
            list.len()
        )));
    }
    list.into_iter()
        .enumerate()
        .map(|(index, raw)| read(&format!("{field}[{index}]"), raw))
        .collect()
}

fn log(place: &str, raw: LogJson) -> Result<LogInstance, ParseError> {
    let hash_algorithm = HashAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.protobuf_name() == raw.hash_algorithm)
        .ok_or_else(|| {
            error(format!(
                "{place}.hashAlgorithm {:?} is none of SHA2_256, SHA2_384, SHA2_512",
                raw.hash_algorithm
            ))
        })?;
    let key = raw
        .public_key
        .ok_or_else(|| error(format!("{place}.publicKey is missing")))?;
    let public_key = bytes(&format!("{place}.publicKey.rawBytes"), &key.raw_bytes)?;
    if public_key.is_empty() {
        return Err(error(format!("{place}.publicKey.rawBytes is empty")));
    }
    let id = |field: &str, raw: Option<IdJson>| {
        let raw = raw.unwrap_or_default();
        bytes(&format!("{place}.{field}.keyId"), &raw.key_id)
    };
    let log_id = id("logId", raw.log_id)?;
    let checkpoint_key_id = id("checkpointKeyId", raw.checkpoint_key_id)?;
    if log_id.is_empty() && checkpoint_key_id.is_empty() {
        return Err(error(format!("{place}.logId is missing")));
    }
    Ok(LogInstance {
        base_url: raw.base_url,
        hash_algorithm,
        public_key,
        key_details: key.key_details,
        valid_for: range(FORMAT, &format!("{place}.publicKey"), key.valid_for)?,
        log_id,
        checkpoint_key_id: (!checkpoint_key_id.is_empty()).then_some(checkpoint_key_id),
        operator: (!raw.operator.is_empty()).then_some(raw.operator),
    })
}

fn authority(place: &str, raw: AuthorityJson) -> Result<CertificateAuthority, ParseError> {
    let certificates = raw.cert_chain.unwrap_or_default().certificates;
    if certificates.is_empty() || certificates.len() > MAX_CHAIN {
        return Err(error(format!(
            "{place}.certChain has {} certificates, from 1 to {MAX_CHAIN} are allowed",
            certificates.len()
        )));
    }
    let mut cert_chain = Vec::with_capacity(certificates.len());
    for certificate in &certificates {
        let der = bytes(&format!("{place}.certChain"), &certificate.raw_bytes)?;
        if der.is_empty() {
            return Err(error(format!("{place}.certChain has an empty certificate")));
        }
        cert_chain.push(der);
    }
    let subject = raw.subject.unwrap_or_default();
    Ok(CertificateAuthority {
        organization: subject.organization,
        common_name: subject.common_name,
        uri: raw.uri,
        cert_chain,
        valid_for: range(FORMAT, place, raw.valid_for)?,
        operator: (!raw.operator.is_empty()).then_some(raw.operator),
    })
}

pub(super) fn write(root: &TrustedRoot) -> Vec<u8> {
    let json = RootJson {
        media_type: root.media_type.clone(),
        tlogs: root.tlogs.iter().map(write_log).collect(),
        certificate_authorities: root
            .certificate_authorities
            .iter()
            .map(write_authority)
            .collect(),
        ctlogs: root.ctlogs.iter().map(write_log).collect(),
        timestamp_authorities: root
            .timestamp_authorities
            .iter()
            .map(write_authority)
            .collect(),
    };
    serde_json::to_vec(&json).expect("strings serialise")
}

fn write_log(log: &LogInstance) -> LogJson {
    let id = |bytes: &[u8]| {
        (!bytes.is_empty()).then(|| IdJson {
            key_id: encode_base64(bytes),
        })
    };
    LogJson {
        base_url: log.base_url.clone(),
        hash_algorithm: log.hash_algorithm.protobuf_name().to_owned(),
        public_key: Some(KeyJson {
            raw_bytes: encode_base64(&log.public_key),
            key_details: log.key_details.clone(),
            valid_for: write_range(&log.valid_for),
        }),
        log_id: id(&log.log_id),
        checkpoint_key_id: log.checkpoint_key_id.as_deref().and_then(id),
        operator: log.operator.clone().unwrap_or_default(),
    }
}

fn write_authority(authority: &CertificateAuthority) -> AuthorityJson {
    let certificates = authority
        .cert_chain
        .iter()
        .map(|der| CertificateJson {
            raw_bytes: encode_base64(der),
        })
        .collect();
    AuthorityJson {
        subject: Some(NameJson {
            organization: authority.organization.clone(),
            common_name: authority.common_name.clone(),
        }),
        uri: authority.uri.clone(),
        cert_chain: Some(ChainJson { certificates }),
        valid_for: write_range(&authority.valid_for),
        operator: authority.operator.clone().unwrap_or_default(),
    }
}
