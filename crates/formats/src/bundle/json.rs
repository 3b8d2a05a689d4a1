//! Protobuf JSON of bundles, read and written with the rules of [`crate::protobuf_json`].

use super::{
    Bundle, Content, InclusionProof, LogEntry, MAX_CERTIFICATES, MAX_HASHES, MAX_LOG_ENTRIES,
    MAX_TIMESTAMPS, Material, MessageSignature, Version,
};
use std::borrow::Cow;

use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::encoding::{ParseError, encode_base64};
use crate::protobuf_json::{ChainJson, Document, Int64, LogIdJson, RawBytesJson};

mod message;

use message::*;

/// Room for what a bundle has beside the payload: a certificate, a log entry, a timestamp.
const AROUND: usize = 16 << 10;

const DOCUMENT: Document = Document("Sigstore bundle");

pub(super) fn parse(json: &[u8]) -> Result<Bundle, ParseError> {
    let raw: BundleJson<'_> = DOCUMENT.parse(json)?;
    let version = Version::read(DOCUMENT, &raw.media_type)?;
    let raw_material = raw
        .verification_material
        .ok_or_else(|| DOCUMENT.error("verificationMaterial is missing"))?;
    let log_entries = raw_material.tlog_entries.unwrap_or_default();
    let timestamps = raw_material
        .timestamp_verification_data
        .and_then(|data| data.rfc3161_timestamps)
        .unwrap_or_default();
    Ok(Bundle {
        media_type: raw.media_type,
        version,
        material: material(
            raw_material.public_key,
            raw_material.certificate,
            raw_material.x509_certificate_chain,
        )?,
        log_entries: DOCUMENT.items(
            "tlogEntries",
            log_entries,
            MAX_LOG_ENTRIES,
            |place, raw| log_entry(DOCUMENT, place, raw),
        )?,
        timestamps: DOCUMENT.items(
            "rfc3161Timestamps",
            timestamps,
            MAX_TIMESTAMPS,
            |place, timestamp| {
                DOCUMENT.bytes(
                    &format!("{place}.signedTimestamp"),
                    &timestamp.signed_timestamp,
                )
            },
        )?,
        content: content(raw.message_signature, raw.dsse_envelope)?,
    })
}

fn material(
    public_key: Option<PublicKeyJson>,
    certificate: Option<RawBytesJson>,
    chain: Option<ChainJson>,
) -> Result<Material, ParseError> {
    match (public_key, certificate, chain) {
        (Some(key), None, None) => Ok(Material::PublicKey { hint: key.hint }),
        (None, Some(certificate), None) => DOCUMENT
            .some_bytes("certificate.rawBytes", &certificate.raw_bytes)
            .map(Material::Certificate),
        (None, None, Some(chain)) => DOCUMENT
            .chain("x509CertificateChain", &chain, MAX_CERTIFICATES)
            .map(Material::CertificateChain),
        _ => Err(DOCUMENT.error(
            "verificationMaterial must have exactly one of publicKey, certificate, x509CertificateChain",
        )),
    }
}

fn content(
    message: Option<MessageSignatureJson>,
    envelope: Option<EnvelopeJson<'_>>,
) -> Result<Content, ParseError> {
    match (message, envelope) {
        (Some(message), None) => {
            let signature =
                DOCUMENT.some_bytes("messageSignature.signature", &message.signature)?;
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
                return Err(DOCUMENT.error(format!(
                    "dsseEnvelope has {} signatures, exactly one is allowed",
                    envelope.signatures.len()
                )));
            };
            Ok(Content::Dsse(Envelope {
                payload: DOCUMENT
                    .decoded("dsseEnvelope.payload", envelope.payload.0)?
                    .into_owned(),
                payload_type: envelope.payload_type,
                signatures: vec![crate::dsse::Signature {
                    sig: DOCUMENT.bytes("dsseEnvelope.signatures.sig", &signature.sig)?,
                    keyid: signature.keyid.clone(),
                }],
            }))
        }
        (Some(_), Some(_)) => Err(DOCUMENT.error("it has both messageSignature and dsseEnvelope")),
        (None, None) => Err(DOCUMENT.error("it has neither messageSignature nor dsseEnvelope")),
    }
}

fn message_digest(raw: MessageDigestJson) -> Result<Digest, ParseError> {
    let algorithm = DOCUMENT.hash_algorithm("messageDigest.algorithm", &raw.algorithm)?;
    let digest = DOCUMENT.bytes("messageDigest.digest", &raw.digest)?;
    Digest::from_bytes(algorithm, &digest)
        .ok_or_else(|| DOCUMENT.error("messageDigest.digest has the wrong length"))
}

pub(super) fn parse_log_entry(json: &[u8]) -> Result<LogEntry, ParseError> {
    let document = Document("transparency log entry");
    log_entry(document, "the entry", document.parse(json)?)
}

pub(super) fn write_one_log_entry(entry: &LogEntry) -> Vec<u8> {
    serde_json::to_vec(&write_log_entry(entry)).expect("strings serialise")
}

fn log_entry(document: Document, place: &str, raw: LogEntryJson) -> Result<LogEntry, ParseError> {
    let at = |field: &str| format!("{place}.{field}");
    let kind = raw
        .kind_version
        .ok_or_else(|| document.error(format!("{place} has no kindVersion")))?;
    let log_id = raw.log_id.unwrap_or_default();
    Ok(LogEntry {
        log_index: document.unsigned(&at("logIndex"), raw.log_index)?,
        log_id: document.bytes(&at("logId"), &log_id.key_id)?,
        kind: kind.kind,
        kind_version: kind.version,
        integrated_time: raw.integrated_time.0,
        inclusion_promise: raw
            .inclusion_promise
            .map(|p| document.bytes(&at("inclusionPromise"), &p.signed_entry_timestamp))
            .transpose()?,
        inclusion_proof: raw
            .inclusion_proof
            .map(|proof| inclusion_proof(document, &at("inclusionProof"), proof))
            .transpose()?,
        canonicalized_body: document.bytes(&at("canonicalizedBody"), &raw.canonicalized_body)?,
    })
}

fn inclusion_proof(
    document: Document,
    place: &str,
    raw: ProofJson,
) -> Result<InclusionProof, ParseError> {
    let at = |field: &str| format!("{place}.{field}");
    Ok(InclusionProof {
        log_index: document.unsigned(&at("logIndex"), raw.log_index)?,
        root_hash: document.bytes(&at("rootHash"), &raw.root_hash)?,
        tree_size: document.unsigned(&at("treeSize"), raw.tree_size)?,
        hashes: document.items(&at("hashes"), raw.hashes, MAX_HASHES, |place, hash| {
            document.bytes(place, &hash)
        })?,
        checkpoint: raw.checkpoint.unwrap_or_default().envelope,
    })
}

pub(super) fn write(bundle: &Bundle) -> Vec<u8> {
    let mut material = MaterialJson::default();
    match &bundle.material {
        Material::PublicKey { hint } => {
            material.public_key = Some(PublicKeyJson { hint: hint.clone() });
        }
        Material::Certificate(der) => material.certificate = Some(RawBytesJson::new(der)),
        Material::CertificateChain(chain) => {
            material.x509_certificate_chain = Some(ChainJson::new(chain));
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
                payload: PayloadJson(Ok(Cow::Borrowed(&envelope.payload))),
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
    let payload = match &bundle.content {
        Content::Dsse(envelope) => envelope.payload.len(),
        Content::MessageSignature(_) => 0,
    };
    let json = BundleJson {
        media_type: bundle.media_type.clone(),
        verification_material: Some(material),
        message_signature,
        dsse_envelope,
    };
    // A large payload is not moved while the text grows.
    let mut text = Vec::with_capacity(payload.div_ceil(3) * 4 + AROUND);
    serde_json::to_writer(&mut text, &json).expect("strings serialise, and memory takes them");
    text
}

fn write_log_entry(entry: &LogEntry) -> LogEntryJson {
    let signed = |value: u64| Int64(i64::try_from(value).unwrap_or(i64::MAX));
    LogEntryJson {
        log_index: signed(entry.log_index),
        log_id: Some(LogIdJson::new(&entry.log_id)),
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
