//! Protobuf JSON of trusted roots, read and written with the rules of [`crate::protobuf_json`].

use serde::{Deserialize, Serialize};

use super::{
    CertificateAuthority, LogInstance, MAX_CHAIN, MAX_ENTRIES, MAX_SIZE, MEDIA_TYPES, TrustedRoot,
};
use crate::encoding::{ParseError, encode_base64};
use crate::protobuf_json::{ChainJson, Document, LogIdJson, RangeJson, null_as_default};

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct RootJson {
    #[serde(alias = "media_type", deserialize_with = "null_as_default")]
    media_type: String,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    tlogs: Vec<LogJson>,
    #[serde(
        alias = "certificate_authorities",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    certificate_authorities: Vec<AuthorityJson>,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    ctlogs: Vec<LogJson>,
    #[serde(
        alias = "timestamp_authorities",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    timestamp_authorities: Vec<AuthorityJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct LogJson {
    #[serde(
        alias = "base_url",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    base_url: String,
    #[serde(alias = "hash_algorithm", deserialize_with = "null_as_default")]
    hash_algorithm: String,
    #[serde(alias = "public_key")]
    public_key: Option<KeyJson>,
    #[serde(alias = "log_id", skip_serializing_if = "Option::is_none")]
    log_id: Option<LogIdJson>,
    #[serde(alias = "checkpoint_key_id", skip_serializing_if = "Option::is_none")]
    checkpoint_key_id: Option<LogIdJson>,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyJson {
    #[serde(alias = "raw_bytes", deserialize_with = "null_as_default")]
    raw_bytes: String,
    #[serde(alias = "key_details", deserialize_with = "null_as_default")]
    key_details: String,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthorityJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<NameJson>,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    uri: String,
    #[serde(alias = "cert_chain")]
    cert_chain: Option<ChainJson>,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct NameJson {
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    organization: String,
    #[serde(
        alias = "common_name",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    common_name: String,
}

const DOCUMENT: Document = Document("Sigstore trusted root");

pub(super) fn parse(json: &[u8]) -> Result<TrustedRoot, ParseError> {
    let raw: RootJson = DOCUMENT.parse_at_most(MAX_SIZE, json)?;
    let logs = |place, list| DOCUMENT.items(place, list, MAX_ENTRIES, log);
    let authorities = |place, list| DOCUMENT.items(place, list, MAX_ENTRIES, authority);
    Ok(TrustedRoot {
        media_type: DOCUMENT.media_type(raw.media_type, &MEDIA_TYPES)?,
        tlogs: logs("tlogs", raw.tlogs)?,
        certificate_authorities: authorities(
            "certificateAuthorities",
            raw.certificate_authorities,
        )?,
        ctlogs: logs("ctlogs", raw.ctlogs)?,
        timestamp_authorities: authorities("timestampAuthorities", raw.timestamp_authorities)?,
    })
}

fn log(place: &str, raw: LogJson) -> Result<LogInstance, ParseError> {
    let hash_algorithm =
        DOCUMENT.hash_algorithm(&format!("{place}.hashAlgorithm"), &raw.hash_algorithm)?;
    let key = raw
        .public_key
        .ok_or_else(|| DOCUMENT.error(format!("{place}.publicKey is missing")))?;
    let public_key = DOCUMENT.some_bytes(&format!("{place}.publicKey.rawBytes"), &key.raw_bytes)?;
    let id = |field: &str, raw: Option<LogIdJson>| {
        let raw = raw.unwrap_or_default();
        DOCUMENT.bytes(&format!("{place}.{field}.keyId"), &raw.key_id)
    };
    let log_id = id("logId", raw.log_id)?;
    let checkpoint_key_id = id("checkpointKeyId", raw.checkpoint_key_id)?;
    if log_id.is_empty() && checkpoint_key_id.is_empty() {
        return Err(DOCUMENT.error(format!("{place}.logId is missing")));
    }
    Ok(LogInstance {
        base_url: raw.base_url,
        hash_algorithm,
        public_key,
        key_details: key.key_details,
        valid_for: DOCUMENT.range(&format!("{place}.publicKey"), key.valid_for)?,
        log_id,
        checkpoint_key_id: (!checkpoint_key_id.is_empty()).then_some(checkpoint_key_id),
        operator: (!raw.operator.is_empty()).then_some(raw.operator),
    })
}

fn authority(place: &str, raw: AuthorityJson) -> Result<CertificateAuthority, ParseError> {
    let chain = raw.cert_chain.unwrap_or_default();
    let subject = raw.subject.unwrap_or_default();
    Ok(CertificateAuthority {
        organization: subject.organization,
        common_name: subject.common_name,
        uri: raw.uri,
        cert_chain: DOCUMENT.chain(&format!("{place}.certChain"), &chain, MAX_CHAIN)?,
        valid_for: DOCUMENT.range(place, raw.valid_for)?,
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
    let id = |bytes: &[u8]| (!bytes.is_empty()).then(|| LogIdJson::new(bytes));
    LogJson {
        base_url: log.base_url.clone(),
        hash_algorithm: log.hash_algorithm.protobuf_name().to_owned(),
        public_key: Some(KeyJson {
            raw_bytes: encode_base64(&log.public_key),
            key_details: log.key_details.clone(),
            valid_for: RangeJson::new(&log.valid_for),
        }),
        log_id: id(&log.log_id),
        checkpoint_key_id: log.checkpoint_key_id.as_deref().and_then(id),
        operator: log.operator.clone().unwrap_or_default(),
    }
}

fn write_authority(authority: &CertificateAuthority) -> AuthorityJson {
    AuthorityJson {
        subject: Some(NameJson {
            organization: authority.organization.clone(),
            common_name: authority.common_name.clone(),
        }),
        uri: authority.uri.clone(),
        cert_chain: Some(ChainJson::new(&authority.cert_chain)),
        valid_for: RangeJson::new(&authority.valid_for),
        operator: authority.operator.clone().unwrap_or_default(),
    }
}
