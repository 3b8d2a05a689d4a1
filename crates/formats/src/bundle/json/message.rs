//! The messages of a bundle, field by field as sigstore_bundle.proto and sigstore_rekor.proto have them.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::{Base64, at_most, some_at_most, write_base64};
use crate::protobuf_json::{ChainJson, Int64, LogIdJson, RawBytesJson, null_as_default};

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BundleJson<'a> {
    #[serde(alias = "media_type", deserialize_with = "null_as_default")]
    pub(super) media_type: String,
    #[serde(alias = "verification_material")]
    pub(super) verification_material: Option<MaterialJson>,
    #[serde(alias = "message_signature", skip_serializing_if = "Option::is_none")]
    pub(super) message_signature: Option<MessageSignatureJson>,
    #[serde(alias = "dsse_envelope", skip_serializing_if = "Option::is_none")]
    pub(super) dsse_envelope: Option<EnvelopeJson<'a>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MaterialJson {
    #[serde(alias = "public_key", skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<PublicKeyJson>,
    #[serde(
        alias = "x509_certificate_chain",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) x509_certificate_chain: Option<ChainJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<RawBytesJson>,
    #[serde(
        alias = "tlog_entries",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some_at_most::<33, _, _>"
    )]
    pub(super) tlog_entries: Option<Vec<LogEntryJson>>,
    #[serde(
        alias = "timestamp_verification_data",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) timestamp_verification_data: Option<TimestampsJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PublicKeyJson {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) hint: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TimestampsJson {
    #[serde(
        alias = "rfc3161_timestamps",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some_at_most::<33, _, _>"
    )]
    pub(super) rfc3161_timestamps: Option<Vec<TimestampJson>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TimestampJson {
    #[serde(alias = "signed_timestamp", deserialize_with = "null_as_default")]
    pub(super) signed_timestamp: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageSignatureJson {
    #[serde(alias = "message_digest", skip_serializing_if = "Option::is_none")]
    pub(super) message_digest: Option<MessageDigestJson>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) signature: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct MessageDigestJson {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) algorithm: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) digest: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EnvelopeJson<'a> {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) payload: PayloadJson<'a>,
    #[serde(alias = "payload_type", deserialize_with = "null_as_default")]
    pub(super) payload_type: String,
    #[serde(deserialize_with = "at_most::<2, _, _>")]
    pub(super) signatures: Vec<SignatureJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct SignatureJson {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) sig: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keyid: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogEntryJson {
    #[serde(alias = "log_index")]
    pub(super) log_index: Int64,
    #[serde(alias = "log_id", skip_serializing_if = "Option::is_none")]
    pub(super) log_id: Option<LogIdJson>,
    #[serde(alias = "kind_version", skip_serializing_if = "Option::is_none")]
    pub(super) kind_version: Option<KindVersionJson>,
    #[serde(alias = "integrated_time", skip_serializing_if = "Int64::is_zero")]
    pub(super) integrated_time: Int64,
    #[serde(alias = "inclusion_promise", skip_serializing_if = "Option::is_none")]
    pub(super) inclusion_promise: Option<PromiseJson>,
    #[serde(alias = "inclusion_proof", skip_serializing_if = "Option::is_none")]
    pub(super) inclusion_proof: Option<ProofJson>,
    #[serde(alias = "canonicalized_body", deserialize_with = "null_as_default")]
    pub(super) canonicalized_body: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct KindVersionJson {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) version: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PromiseJson {
    #[serde(alias = "signed_entry_timestamp", deserialize_with = "null_as_default")]
    pub(super) signed_entry_timestamp: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProofJson {
    #[serde(alias = "log_index")]
    pub(super) log_index: Int64,
    #[serde(alias = "root_hash", deserialize_with = "null_as_default")]
    pub(super) root_hash: String,
    #[serde(alias = "tree_size")]
    pub(super) tree_size: Int64,
    #[serde(deserialize_with = "at_most::<65, _, _>")]
    pub(super) hashes: Vec<String>,
    pub(super) checkpoint: Option<CheckpointJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct CheckpointJson {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) envelope: String,
}

/// A payload. It may be large: it is written from where it is, and decoded where it is read.
pub(super) struct PayloadJson<'a>(pub(super) Result<Cow<'a, [u8]>, base64::DecodeError>);

impl Default for PayloadJson<'_> {
    fn default() -> Self {
        Self(Ok(Cow::Borrowed(&[])))
    }
}

impl<'de> Deserialize<'de> for PayloadJson<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Base64(bytes) = Base64::deserialize(deserializer)?;
        Ok(Self(bytes.map(Cow::Owned)))
    }
}

impl Serialize for PayloadJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_base64(self.0.as_deref().unwrap_or_default(), serializer)
    }
}
