//! The bytes that a log hashes for an entry.
//!
//! Rekor v1 bodies hold what only the submitter knew (the hash of the envelope's JSON), so the leaf is the body that
//! the bundle repeats. Rekor v2 bodies are a function of the signature, its key and the signed data; verifiers rebuild
//! them (client specification of rekor-tiles, 6.1.4), so that nothing in the body can speak of anything else.

use serde::Serialize;
use serde_json::{Value, json};

use super::field::FORMAT;
use super::{EntryBody, EntryClaims, EntrySignature, Verifier};
use crate::bundle::Content;
use crate::digest::Digest;
use crate::encoding::{ParseError, encode_base64};
use crate::jcs;

/// What the leaf of a bundle's log entry is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leaf {
    /// These bytes. Whatever the bundle's `canonicalizedBody` says beyond them is in no log.
    Rebuilt(Vec<u8>),
    /// The bundle's `canonicalizedBody`; its claims must be compared with the bundle's content.
    CanonicalizedBody,
}

/// The leaf that a log must hold for a bundle with this content, if it has logged it as the `body` says.
///
/// `artifact` is the digest of the artifact; it is needed for a message signature, by the algorithm that the body
/// names. `verifier` is the bundle's certificate, or the key that the verifier uses. Only the names of the hash and of
/// the key's details are taken from the body.
///
/// # Errors
/// If the body is of a kind that Rekor v2 does not write for such content, or `artifact` is missing or by another
/// algorithm.
pub fn leaf_of_bundle(
    body: &EntryBody,
    content: &Content,
    artifact: Option<&Digest>,
    verifier: &Verifier,
) -> Result<Leaf, ParseError> {
    let EntryBody::Claims(claims) = body else {
        return Ok(Leaf::CanonicalizedBody);
    };
    let error = |reason: String| ParseError::new(FORMAT, reason);
    match (claims.kind.as_str(), claims.version.as_str(), content) {
        ("hashedrekord", "0.0.2", Content::MessageSignature(message)) => {
            let named = algorithm(claims.artifact_digest.as_ref())?;
            let digest = artifact
                .filter(|digest| digest.algorithm() == named)
                .ok_or_else(|| {
                    error(format!(
                        "it is over the artifact's {named} digest, which was not computed"
                    ))
                })?;
            let signature = rebuilt(claims, &message.signature, verifier)?;
            Ok(Leaf::Rebuilt(hashedrekord_v2_body(digest, &signature)?))
        }
        ("hashedrekord", "0.0.2", Content::Dsse(envelope)) => {
            let named = algorithm(claims.artifact_digest.as_ref())?;
            let digest = Digest::of(named, &envelope.pae());
            let signature = rebuilt(claims, only_signature(content)?, verifier)?;
            Ok(Leaf::Rebuilt(hashedrekord_v2_body(&digest, &signature)?))
        }
        ("dsse", "0.0.2", Content::Dsse(envelope)) => {
            let named = algorithm(claims.payload_digest.as_ref())?;
            let digest = Digest::of(named, &envelope.payload);
            let signature = rebuilt(claims, only_signature(content)?, verifier)?;
            Ok(Leaf::Rebuilt(dsse_v2_body(&digest, &[signature])?))
        }
        ("dsse", "0.0.2", Content::MessageSignature(_)) => Err(error(
            "it is of kind dsse, but the bundle has no DSSE envelope".to_owned(),
        )),
        _ => Ok(Leaf::CanonicalizedBody),
    }
}

/// The body of a `hashedrekord` 0.0.2, as Rekor v2 writes it: the canonical protobuf JSON of `Entry`.
///
/// # Errors
/// If the signature has no bytes or no key details, or its verifier is neither key nor certificate.
pub fn hashedrekord_v2_body(
    digest: &Digest,
    signature: &EntrySignature,
) -> Result<Vec<u8>, ParseError> {
    jcs::in_order_to_vec(&Body {
        api_version: "0.0.2",
        kind: "hashedrekord",
        spec: Spec {
            hashed_rekord: HashedRekord {
                data: Data {
                    algorithm: digest.algorithm().protobuf_name(),
                    digest: encode_base64(digest.bytes()),
                },
                signature: Signature::new(signature)?,
            },
        },
    })
}

/// `hashedrekord`, its members in the order of RFC 8785.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord: HashedRekord<'a>,
}

#[derive(Serialize)]
struct HashedRekord<'a> {
    data: Data,
    signature: Signature<'a>,
}

#[derive(Serialize)]
struct Data {
    algorithm: &'static str,
    digest: String,
}

/// The body of a `dsse` 0.0.2, as Rekor v2 wrote it until version 2.2. The signatures are sorted by their bytes.
///
/// # Errors
/// If a signature has no bytes or no key details, or its verifier is neither key nor certificate.
pub fn dsse_v2_body(
    payload: &Digest,
    signatures: &[EntrySignature],
) -> Result<Vec<u8>, ParseError> {
    let mut sorted: Vec<&EntrySignature> = signatures.iter().collect();
    sorted.sort_by(|a, b| a.signature.cmp(&b.signature));
    let signatures: Vec<Signature<'_>> = sorted
        .into_iter()
        .map(Signature::new)
        .collect::<Result<_, _>>()?;
    jcs::to_vec(&json!({
        "apiVersion": "0.0.2",
        "kind": "dsse",
        "spec": { "dsseV002": { "payloadHash": digest_json(payload), "signatures": signatures } },
    }))
}

fn algorithm(digest: Option<&Digest>) -> Result<crate::HashAlgorithm, ParseError> {
    digest
        .map(Digest::algorithm)
        .ok_or_else(|| ParseError::new(FORMAT, "it names no digest"))
}

fn only_signature(content: &Content) -> Result<&[u8], ParseError> {
    match content {
        Content::MessageSignature(message) => Ok(&message.signature),
        Content::Dsse(envelope) => match envelope.signatures.as_slice() {
            [signature] => Ok(&signature.sig),
            several => Err(ParseError::new(
                FORMAT,
                format!("the envelope has {} signatures, not one", several.len()),
            )),
        },
    }
}

/// The bundle's own signature and verifier, with the key details that the body names.
fn rebuilt(
    claims: &EntryClaims,
    signature: &[u8],
    verifier: &Verifier,
) -> Result<EntrySignature, ParseError> {
    let [claimed] = claims.signatures.as_slice() else {
        return Err(ParseError::new(
            FORMAT,
            format!(
                "it has {} signatures, the bundle has one",
                claims.signatures.len()
            ),
        ));
    };
    Ok(EntrySignature {
        signature: Some(signature.to_vec()),
        verifier: verifier.clone(),
        key_details: claimed.key_details.clone(),
    })
}

fn digest_json(digest: &Digest) -> Value {
    json!({
        "algorithm": digest.algorithm().protobuf_name(),
        "digest": encode_base64(digest.bytes()),
    })
}

#[derive(Serialize)]
struct Signature<'a> {
    content: String,
    verifier: VerifierJson<'a>,
}

/// Its key, if it has one, or its certificate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifierJson<'a> {
    key_details: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<RawBytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate: Option<RawBytes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

impl<'a> Signature<'a> {
    fn new(signature: &'a EntrySignature) -> Result<Self, ParseError> {
        let missing = |what| ParseError::new(FORMAT, format!("a signature has no {what}"));
        let content = signature
            .signature
            .as_deref()
            .ok_or_else(|| missing("bytes"))?;
        let key_details = signature
            .key_details
            .as_deref()
            .ok_or_else(|| missing("key details"))?;
        let raw = |der: &[u8]| {
            Some(RawBytes {
                raw_bytes: encode_base64(der),
            })
        };
        let (public_key, x509_certificate) = match &signature.verifier {
            Verifier::PublicKey(der) => (raw(der), None),
            Verifier::Certificate(der) => (None, raw(der)),
            Verifier::Other { .. } => return Err(missing("key or certificate")),
        };
        Ok(Self {
            content: encode_base64(content),
            verifier: VerifierJson {
                key_details,
                public_key,
                x509_certificate,
            },
        })
    }
}
