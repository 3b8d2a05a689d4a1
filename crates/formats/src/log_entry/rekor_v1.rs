//! Bodies as Rekor v1 writes them: RFC 8785 over the fields that its schemas keep.
//!
//! Keys and certificates are in PEM, as Go writes it (64 characters a line, a newline at the end).

use serde::Serialize;
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::encoding::{ParseError, encode_base64};
use crate::jcs;

/// The body of a `hashedrekord` 0.0.1: a signature over data with this digest.
///
/// # Errors
/// None that is known; that of the JSON writer.
pub fn hashedrekord_v1_body(
    digest: &Digest,
    signature: &[u8],
    verifier_pem: &str,
) -> Result<Vec<u8>, ParseError> {
    jcs::in_order_to_vec(&Body {
        api_version: "0.0.1",
        kind: "hashedrekord",
        spec: Spec {
            data: Data {
                hash: Hash {
                    algorithm: digest.algorithm().name(),
                    value: digest.hex(),
                },
            },
            signature: Signature {
                content: encode_base64(signature),
                public_key: Content {
                    content: encode_base64(verifier_pem.as_bytes()),
                },
            },
        },
    })
}

/// `hashedrekord`, its members in the order of RFC 8785.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec,
}

#[derive(Serialize)]
struct Spec {
    data: Data,
    signature: Signature,
}

#[derive(Serialize)]
struct Data {
    hash: Hash,
}

#[derive(Serialize)]
struct Hash {
    algorithm: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Content,
}

#[derive(Serialize)]
struct Content {
    content: String,
}

/// The body of a `dsse` 0.0.1. `json` is the envelope as it was sent to the log, byte for byte; one key made every
/// signature. The signatures are sorted by their base64.
///
/// # Errors
/// None that is known; that of the JSON writer.
pub fn dsse_v1_body(
    json: &[u8],
    envelope: &Envelope,
    verifier_pem: &str,
) -> Result<Vec<u8>, ParseError> {
    let verifier = encode_base64(verifier_pem.as_bytes());
    let mut sorted: Vec<String> = envelope
        .signatures
        .iter()
        .map(|signature| encode_base64(&signature.sig))
        .collect();
    sorted.sort();
    let signatures: Vec<Value> = sorted
        .into_iter()
        .map(|signature| json!({ "signature": signature, "verifier": verifier }))
        .collect();
    jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": digest_json(&Digest::sha256(json)),
            "payloadHash": digest_json(&Digest::sha256(&envelope.payload)),
            "signatures": signatures,
        },
    }))
}

/// The body of an `intoto` 0.0.2, which clients of 2023 sent for envelopes. `json` is as in [`dsse_v1_body`].
///
/// # Errors
/// None that is known; that of the JSON writer.
pub fn intoto_v2_body(
    json: &[u8],
    envelope: &Envelope,
    verifier_pem: &str,
) -> Result<Vec<u8>, ParseError> {
    let public_key = encode_base64(verifier_pem.as_bytes());
    let signatures: Vec<Value> = envelope
        .signatures
        .iter()
        .map(|signature| {
            // Base64 of the envelope's base64, see the reader.
            let sig = encode_base64(encode_base64(&signature.sig).as_bytes());
            json!({ "publicKey": public_key, "sig": sig })
        })
        .collect();
    jcs::to_vec(&json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": { "content": {
            "envelope": { "payloadType": envelope.payload_type, "signatures": signatures },
            "hash": digest_json(&Digest::sha256(json)),
            "payloadHash": digest_json(&Digest::sha256(&envelope.payload)),
        } },
    }))
}

fn digest_json(digest: &Digest) -> Value {
    json!({ "algorithm": digest.algorithm().name(), "value": digest.hex() })
}
