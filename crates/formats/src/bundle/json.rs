//! Protobuf JSON of bundles, read and written.
//!
//! Reading follows the protobuf JSON rules: 64-bit integers as strings or numbers, `camelCase` or `snake_case` names,
//! either base64 alphabet, `null` for an absent field, unknown fields ignored.

use serde::{Deserialize, Serialize};

use super::{
    Bundle, Content, InclusionProof, LogEntry, MAX_CERTIFICATES, MAX_LOG_ENTRIES, MAX_TIMESTAMPS,
    Material, MessageSignature, Version,
};
use crate::digest::{Digest, HashAlgorithm};
use crate::dsse::Envelope;
use crate::encoding::{ParseError, at_most, decode_base64, encode_base64, some_at_most};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson {
    #[serde(alias = "media_type", default)]
    media_type: String,
    #[serde(alias = "verification_material")]
    verification_material: Option<MaterialJson>,
    #[serde(alias = "message_signature", skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignatureJson>,
    #[serde(alias = "dsse_envelope", skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<EnvelopeJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    #[serde(alias = "public_key", skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyJson>,
    #[serde(
        alias = "x509_certificate_chain",
        skip_serializing_if = "Option::is_none"
    )]
    x509_certificate_chain: Option<ChainJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<BytesJson>,
    #[serde(
        alias = "tlog_entries",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some_at_most::<33, _, _>"
    )]
    tlog_entries: Option<Vec<LogEntryJson>>,
    #[serde(
        alias = "timestamp_verification_data",
        skip_serializing_if = "Option::is_none"
    )]
    timestamp_verification_data: Option<TimestampsJson>,
}

#[derive(Deserialize, Serialize)]
struct PublicKeyJson {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize, Serialize)]
struct ChainJson {
    #[serde(default, deserialize_with = "at_most::<17, _, _>")]
    certificates: Vec<BytesJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct BytesJson {
    #[serde(alias = "raw_bytes", default)]
    raw_bytes: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimestampsJson {
    #[serde(
        alias = "rfc3161_timestamps",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some_at_most::<33, _, _>"
    )]
    rfc3161_timestamps: Option<Vec<TimestampJson>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimestampJson {
    #[serde(alias = "signed_timestamp", default)]
    signed_timestamp: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignatureJson {
    #[serde(alias = "message_digest", skip_serializing_if = "Option::is_none")]
    message_digest: Option<MessageDigestJson>,
    #[serde(default)]
    signature: String,
}

#[derive(Deserialize, Serialize)]
struct MessageDigestJson {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    digest: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson {
    #[serde(default)]
    payload: String,
    #[serde(alias = "payload_type", default)]
    payload_type: String,
    #[serde(default, deserialize_with = "at_most::<2, _, _>")]
    signatures: Vec<SignatureJson>,
}

#[derive(Deserialize, Serialize)]
struct SignatureJson {
    #[serde(default)]
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEntryJson {
    #[serde(alias = "log_index", default)]
    log_index: Int64,
    #[serde(alias = "log_id", skip_serializing_if = "Option::is_none")]
    log_id: Option<LogIdJson>,
    #[serde(alias = "kind_version", skip_serializing_if = "Option::is_none")]
    kind_version: Option<KindVersionJson>,
    #[serde(
        alias = "integrated_time",
        default,
        skip_serializing_if = "Int64::is_zero"
    )]
    integrated_time: Int64,
    #[serde(alias = "inclusion_promise", skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<PromiseJson>,
    #[serde(alias = "inclusion_proof", skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<ProofJson>,
    #[serde(alias = "canonicalized_body", default)]
    canonicalized_body: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogIdJson {
    #[serde(alias = "key_id", default)]
    key_id: String,
}

#[derive(Deserialize, Serialize)]
struct KindVersionJson {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PromiseJson {
    #[serde(alias = "signed_entry_timestamp", default)]
    signed_entry_timestamp: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    #[serde(alias = "log_index", default)]
    log_index: Int64,
    #[serde(alias = "root_hash", default)]
    root_hash: String,
    #[serde(alias = "tree_size", default)]
    tree_size: Int64,
    #[serde(default, deserialize_with = "at_most::<65, _, _>")]
    hashes: Vec<String>,
    checkpoint: Option<CheckpointJson>,
}

#[derive(Deserialize, Serialize)]
struct CheckpointJson {
    #[serde(default)]
    envelope: String,
}

/// A 64-bit integer: protobuf JSON writes a string and reads a string or a number.
#[derive(Clone, Copy, Default)]
struct Int64(i64);

impl Int64 {
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Int64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

fn error(reason: impl Into<String>) -> ParseError {
    ParseError::new("Sigstore bundle", reason)
}

fn bytes(field: &str, text: &str) -> Result<Vec<u8>, ParseError> {
    decode_base64(text).map_err(|e| error(format!("{field} is not base64: {e}")))
}

fn unsigned(field: &str, value: Int64) -> Result<u64, ParseError> {
    u64::try_from(value.0).map_err(|_| error(format!("{field} is negative: {}", value.0)))
}

pub(super) fn parse(json: &[u8]) -> Result<Bundle, ParseError> {
    // Without this a JSON array would be read as the fields in order.
    if json
        .trim_ascii_start()
        .first()
        .is_some_and(|byte| *byte != b'{')
    {
        return Err(error("it is not a JSON object"));
    }
    let raw: BundleJson = serde_json::from_slice(json).map_err(|e| error(e.to_string()))?;
    let version = Version::from_media_type(&raw.media_type).ok_or_else(|| {
        error(format!(
            "mediaType {:?} is none that is known (bundle versions 0.1, 0.2, 0.3)",
            raw.media_type.chars().take(100).collect::<String>()
        ))
    })?;
    let raw_material = raw
        .verification_material
        .ok_or_else(|| error("verificationMaterial is missing"))?;
    let log_entries = raw_material.tlog_entries.unwrap_or_default();
    let timestamps = raw_material
        .timestamp_verification_data
        .and_then(|data| data.rfc3161_timestamps)
        .unwrap_or_default();
    if log_entries.len() > MAX_LOG_ENTRIES {
        return Err(error(format!(
            "{} tlogEntries, at most {MAX_LOG_ENTRIES} are allowed",
            log_entries.len()
        )));
    }
    if timestamps.len() > MAX_TIMESTAMPS {
        return Err(error(format!(
            "{} rfc3161Timestamps, at most {MAX_TIMESTAMPS} are allowed",
            timestamps.len()
        )));
    }
    Ok(Bundle {
        media_type: raw.media_type,
        version,
        material: material(
            raw_material.public_key,
            raw_material.certificate,
            raw_material.x509_certificate_chain,
        )?,
        log_entries: log_entries
            .into_iter()
            .map(log_entry)
            .collect::<Result<_, _>>()?,
        timestamps: timestamps
            .iter()
            .map(|timestamp| bytes("signedTimestamp", &timestamp.signed_timestamp))
            .collect::<Result<_, _>>()?,
        content: content(raw.message_signature, raw.dsse_envelope)?,
    })
}

fn material(
    public_key: Option<PublicKeyJson>,
    certificate: Option<BytesJson>,
    chain: Option<ChainJson>,
) -> Result<Material, ParseError> {
    match (public_key, certificate, chain) {
        (Some(key), None, None) => Ok(Material::PublicKey { hint: key.hint }),
        (None, Some(certificate), None) => {
            let der = bytes("certificate.rawBytes", &certificate.raw_bytes)?;
            if der.is_empty() {
                return Err(error("certificate.rawBytes is empty"));
            }
            Ok(Material::Certificate(der))
        }
        (None, None, Some(chain)) => {
            let certificates: Vec<_> = chain
                .certificates
                .iter()
                .map(|c| bytes("x509CertificateChain.certificates", &c.raw_bytes))
                .collect::<Result<_, _>>()?;
            if certificates.len() > MAX_CERTIFICATES {
                return Err(error(format!(
                    "x509CertificateChain has more than {MAX_CERTIFICATES} certificates"
                )));
            }
            if certificates.is_empty() || certificates.iter().any(Vec::is_empty) {
                return Err(error("x509CertificateChain is empty"));
            }
            Ok(Material::CertificateChain(certificates))
        }
        _ => Err(error(
            "verificationMaterial must have exactly one of publicKey, certificate, x509CertificateChain",
        )),
    }
}

fn content(
    message: Option<MessageSignatureJson>,
    envelope: Option<EnvelopeJson>,
) -> Result<Content, ParseError> {
    match (message, envelope) {
        (Some(message), None) => {
            let signature = bytes("messageSignature.signature", &message.signature)?;
            if signature.is_empty() {
                return Err(error("messageSignature.signature is empty"));
            }
            // cosign 3 writes an empty one with Ed25519 keys.
            let claimed = message
                .message_digest
                .filter(|claimed| !(claimed.algorithm.is_empty() && claimed.digest.is_empty()));
            let digest = claimed.map(message_digest).transpose()?;
            Ok(Content::MessageSignature(MessageSignature {
                digest,
                signature,
            }))
        }
        (None, Some(envelope)) => {
            let [signature] = envelope.signatures.as_slice() else {
                return Err(error(format!(
                    "dsseEnvelope has {} signatures, exactly one is allowed",
                    envelope.signatures.len()
                )));
            };
            Ok(Content::Dsse(Envelope {
                payload: bytes("dsseEnvelope.payload", &envelope.payload)?,
                payload_type: envelope.payload_type,
                signatures: vec![crate::dsse::Signature {
                    sig: bytes("dsseEnvelope.signatures.sig", &signature.sig)?,
                    keyid: signature.keyid.clone(),
                }],
            }))
        }
        (Some(_), Some(_)) => Err(error("it has both messageSignature and dsseEnvelope")),
        (None, None) => Err(error("it has neither messageSignature nor dsseEnvelope")),
    }
}

fn message_digest(raw: MessageDigestJson) -> Result<Digest, ParseError> {
    let algorithm = HashAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.protobuf_name() == raw.algorithm)
        .ok_or_else(|| {
            error(format!(
                "messageDigest.algorithm {:?} is unknown",
                raw.algorithm
            ))
        })?;
    Digest::from_bytes(algorithm, &bytes("messageDigest.digest", &raw.digest)?)
        .ok_or_else(|| error("messageDigest.digest has the wrong length"))
}

fn log_entry(raw: LogEntryJson) -> Result<LogEntry, ParseError> {
    let kind = raw
        .kind_version
        .ok_or_else(|| error("a tlogEntry has no kindVersion"))?;
    Ok(LogEntry {
        log_index: unsigned("tlogEntries.logIndex", raw.log_index)?,
        log_id: bytes(
            "tlogEntries.logId",
            &raw.log_id.map_or_else(String::new, |id| id.key_id),
        )?,
        kind: kind.kind,
        kind_version: kind.version,
        integrated_time: raw.integrated_time.0,
        inclusion_promise: raw
            .inclusion_promise
            .map(|p| bytes("signedEntryTimestamp", &p.signed_entry_timestamp))
            .transpose()?,
        inclusion_proof: raw.inclusion_proof.map(inclusion_proof).transpose()?,
        canonicalized_body: bytes("canonicalizedBody", &raw.canonicalized_body)?,
    })
}

fn inclusion_proof(raw: ProofJson) -> Result<InclusionProof, ParseError> {
    // A path in a tree of 2^64 leaves has 64 hashes.
    if raw.hashes.len() > 64 {
        return Err(error(format!(
            "inclusionProof has {} hashes, at most 64",
            raw.hashes.len()
        )));
    }
    Ok(InclusionProof {
        log_index: unsigned("inclusionProof.logIndex", raw.log_index)?,
        root_hash: bytes("inclusionProof.rootHash", &raw.root_hash)?,
        tree_size: unsigned("inclusionProof.treeSize", raw.tree_size)?,
        hashes: raw
            .hashes
            .iter()
            .map(|hash| bytes("inclusionProof.hashes", hash))
            .collect::<Result<_, _>>()?,
        checkpoint: raw.checkpoint.map_or_else(String::new, |c| c.envelope),
    })
}

pub(super) fn write(bundle: &Bundle) -> Vec<u8> {
    let mut material = MaterialJson::default();
    let raw = |der: &Vec<u8>| BytesJson {
        raw_bytes: encode_base64(der),
    };
    match &bundle.material {
        Material::PublicKey { hint } => {
            material.public_key = Some(PublicKeyJson { hint: hint.clone() });
        }
        Material::Certificate(der) => material.certificate = Some(raw(der)),
        Material::CertificateChain(chain) => {
            material.x509_certificate_chain = Some(ChainJson {
                certificates: chain.iter().map(raw).collect(),
            });
        }
    }
    if !bundle.log_entries.is_empty() {
        material.tlog_entries = Some(bundle.log_entries.iter().map(write_log_entry).collect());
    }
    if !bundle.timestamps.is_empty() {
        let timestamps = bundle
            .timestamps
            .iter()
            .map(|der| TimestampJson {
                signed_timestamp: encode_base64(der),
            })
            .collect();
        material.timestamp_verification_data = Some(TimestampsJson {
            rfc3161_timestamps: Some(timestamps),
        });
    }
    let (message_signature, dsse_envelope) = match &bundle.content {
        Content::MessageSignature(message) => (
            Some(MessageSignatureJson {
                message_digest: message.digest.as_ref().map(|digest| MessageDigestJson {
                    algorithm: digest.algorithm().protobuf_name().to_owned(),
                    digest: encode_base64(digest.bytes()),
                }),
                signature: encode_base64(&message.signature),
            }),
            None,
        ),
        Content::Dsse(envelope) => (
            None,
            Some(EnvelopeJson {
                payload: encode_base64(&envelope.payload),
                payload_type: envelope.payload_type.clone(),
                signatures: envelope
                    .signatures
                    .iter()
                    .map(|s| SignatureJson {
                        sig: encode_base64(&s.sig),
                        keyid: s.keyid.clone(),
                    })
                    .collect(),
            }),
        ),
    };
    let json = BundleJson {
        media_type: bundle.media_type.clone(),
        verification_material: Some(material),
        message_signature,
        dsse_envelope,
    };
    serde_json::to_vec(&json).expect("strings serialise")
}

fn write_log_entry(entry: &LogEntry) -> LogEntryJson {
    let signed = |value: u64| Int64(i64::try_from(value).unwrap_or(i64::MAX));
    LogEntryJson {
        log_index: signed(entry.log_index),
        log_id: Some(LogIdJson {
            key_id: encode_base64(&entry.log_id),
        }),
        kind_version: Some(KindVersionJson {
            kind: entry.kind.clone(),
            version: entry.kind_version.clone(),
        }),
        integrated_time: Int64(entry.integrated_time),
        inclusion_promise: entry.inclusion_promise.as_ref().map(|set| PromiseJson {
            signed_entry_timestamp: encode_base64(set),
        }),
        inclusion_proof: entry.inclusion_proof.as_ref().map(|proof| ProofJson {
            log_index: signed(proof.log_index),
            root_hash: encode_base64(&proof.root_hash),
            tree_size: signed(proof.tree_size),
            hashes: proof
                .hashes
                .iter()
                .map(|hash| encode_base64(hash))
                .collect(),
            checkpoint: Some(CheckpointJson {
                envelope: proof.checkpoint.clone(),
            }),
        }),
        canonicalized_body: encode_base64(&entry.canonicalized_body),
    }
}
