//! The endpoints of Rekor v2: entries are written here, and read from tiles.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>, <https://c2sp.org/tlog-tiles>

use std::fmt;

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_formats::log_entry::{
    EntrySignature, Verifier as EntryVerifier, hashedrekord_v2_body,
};
use sealmark_keys::{HashAlgorithm, KeyType, PublicKey};
use sealmark_log::{Appended, Entry, Integrated};
use sealmark_tlog::Tile;
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::tile::Bundle;
use sealmark_x509::Certificate;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::{Value, json};

use super::dispatch::{Call, blocking, with_headers};
use super::refusal::{Refusal, answer};
use super::v1::decode_any_base64;
use super::verifier::{Verifier, allowed};
use super::{Inner, state};

const INVALID: &str = "invalid hashedrekord request";

/// `CreateEntryRequest`, as protobuf JSON allows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(
        rename = "hashedRekordRequestV002",
        alias = "hashed_rekord_request_v002"
    )]
    hashed_rekord: HashedRekord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekord {
    digest: Bytes,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    content: Bytes,
    verifier: VerifierJson,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VerifierJson {
    #[serde(alias = "public_key")]
    public_key: Option<Raw>,
    #[serde(alias = "x509_certificate")]
    x509_certificate: Option<Raw>,
    #[serde(alias = "key_details")]
    key_details: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Bytes,
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                let bytes = decode_any_base64(text).filter(|bytes| !bytes.is_empty());
                bytes
                    .map(Bytes)
                    .ok_or_else(|| E::custom("not base64, or empty"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// `PublicKeyDetails` by number, those that a log takes.
const DETAILS: [(u64, &str, HashAlgorithm); 7] = [
    (5, "PKIX_ECDSA_P256_SHA_256", HashAlgorithm::Sha256),
    (8, "PKIX_ED25519_PH", HashAlgorithm::Sha512),
    (9, "PKIX_RSA_PKCS1V15_2048_SHA256", HashAlgorithm::Sha256),
    (10, "PKIX_RSA_PKCS1V15_3072_SHA256", HashAlgorithm::Sha256),
    (11, "PKIX_RSA_PKCS1V15_4096_SHA256", HashAlgorithm::Sha256),
    (12, "PKIX_ECDSA_P384_SHA_384", HashAlgorithm::Sha384),
    (13, "PKIX_ECDSA_P521_SHA_512", HashAlgorithm::Sha512),
];

/// `CreateEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let entry = blocking(move || read(&body)).await?;
    let leaf = entry.leaf.clone();
    let inner = call.inner.clone();
    match inner.state.log.append(state::V2, entry).await? {
        Appended::New(new) => {
            let new = inner.cosigned(new).await?;
            let shown = show(&inner, &leaf, &new);
            Ok(answer(StatusCode::CREATED, [], Some(shown)))
        }
        Appended::Duplicate { index } => {
            let message = format!(
                "an equivalent entry already exists in the transparency log with index {index}"
            );
            let name = HeaderName::from_static("x-log-index");
            Err(Refusal::new(StatusCode::CONFLICT, message).with(name, index.to_string()))
        }
    }
}

/// The newest checkpoint; if the log has witnesses, the newest that enough of them have cosigned.
pub(super) fn checkpoint(call: &Call) -> Response<Body> {
    match call.inner.public_checkpoint() {
        Ok(newest) => with_headers(
            newest.note.clone(),
            &[
                (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                (header::CACHE_CONTROL, "no-cache"),
            ],
        ),
        Err(refusal) => refusal.response_v2(),
    }
}

/// Tiles and bundles of entries.
pub(super) async fn tile(call: &Call, path: &str) -> Result<Response<Body>, Refusal> {
    let (inner, path) = (call.inner.clone(), path.to_owned());
    let bytes = blocking(move || {
        let tree = inner.state.log.tree(state::V2)?;
        let bytes = match (Bundle::parse(&path), Tile::parse(&path)) {
            (Some(bundle), _) => tree.bundle(bundle)?,
            (None, Some(tile)) => tree.tile(tile)?,
            (None, None) => None,
        };
        bytes.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "the log has no such tile, or not yet",
            )
        })
    });
    Ok(with_headers(
        bytes.await?,
        &[
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
    ))
}

/// Checks a request, and makes the entry of it.
fn read(json: &[u8]) -> Result<Entry, Refusal> {
    let refuse = |reason: &dyn fmt::Display| {
        let reason = sealmark_formats::excerpt(reason.to_string());
        Refusal::new(StatusCode::BAD_REQUEST, format!("{INVALID}: {reason}"))
    };
    let request: Request = serde_json::from_slice(json).map_err(|error| refuse(&error))?;
    let HashedRekord { digest, signature } = request.hashed_rekord;
    let sent = signature.verifier;
    let details = DETAILS
        .iter()
        .find(|(number, name, _)| match &sent.key_details {
            Value::String(text) => text == name,
            other => other.as_u64() == Some(*number),
        });
    let (_, name, hash) =
        details.ok_or_else(|| refuse(&"keyDetails is none that this log takes"))?;
    let (verifier, entry_verifier) = match (sent.public_key, sent.x509_certificate) {
        (
            Some(Raw {
                raw_bytes: Bytes(der),
            }),
            None,
        ) => {
            let key = PublicKey::from_spki_der(&der).map_err(|error| refuse(&error))?;
            (Verifier::of_key(key), EntryVerifier::PublicKey(der))
        }
        (
            None,
            Some(Raw {
                raw_bytes: Bytes(der),
            }),
        ) => {
            let certificate = Certificate::from_der(&der).map_err(|error| refuse(&error))?;
            let verifier = Verifier::of_certificate(&certificate, certificate.to_pem());
            let verifier = verifier.map_err(|error| refuse(&error))?;
            (verifier, EntryVerifier::Certificate(der))
        }
        _ => {
            return Err(refuse(
                &"exactly one of publicKey and x509Certificate is wanted",
            ));
        }
    };
    check_details(verifier.key.key_type(), *hash, name).map_err(|reason| refuse(&reason))?;
    let digest = Digest::from_bytes(*hash, &digest.0)
        .ok_or_else(|| refuse(&format_args!("digest is not as long as {name} wants")))?;
    verifier
        .verify_digest(&digest, &signature.content.0)
        .map_err(|reason| refuse(&reason))?;
    let signature = EntrySignature {
        signature: Some(signature.content.0),
        verifier: entry_verifier,
        key_details: Some((*name).to_owned()),
    };
    let leaf = hashedrekord_v2_body(&digest, &signature).map_err(|error| refuse(&error))?;
    let mut keys = verifier.keys();
    keys.push(digest.to_string());
    Ok(Entry {
        leaf,
        keys,
        extra: Vec::new(),
    })
}

fn check_details(key: KeyType, hash: HashAlgorithm, name: &str) -> Result<(), String> {
    match allowed(key, hash) {
        Some((_, known)) if known == name => Ok(()),
        _ => Err(format!("the key is {key}, not as {name} says")),
    }
}

/// `TransparencyLogEntry` in protobuf JSON, with the fields that are not set, as Rekor writes it.
fn show(inner: &Inner, leaf: &[u8], new: &Integrated) -> Value {
    let key = inner.state.v2.public_key();
    let log_id = KeyKind::Ed25519.key_hash(&inner.state.host, key);
    let checkpoint = &new.checkpoint.checkpoint;
    let hashes: Vec<String> = new.proof.iter().map(|hash| hash.to_base64()).collect();
    json!({
        "logIndex": new.index.to_string(),
        "logId": {"keyId": log_id.to_base64()},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "integratedTime": "0",
        "inclusionPromise": null,
        "inclusionProof": {
            "logIndex": new.index.to_string(),
            "rootHash": checkpoint.root.to_base64(),
            "treeSize": checkpoint.size.to_string(),
            "hashes": hashes,
            "checkpoint": {"envelope": new.checkpoint.note},
        },
        "canonicalizedBody": STANDARD.encode(leaf),
    })
}
