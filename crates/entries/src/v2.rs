//! Entries as clients of Rekor v2 propose them: `hashedrekord` 0.0.2.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>

use std::fmt;

use sealmark_formats::Digest;
use sealmark_formats::log_entry::{
    EntrySignature, Verifier as EntryVerifier, hashedrekord_v2_body,
};
use sealmark_keys::{HashAlgorithm, KeyType, PublicKey};
use sealmark_x509::Certificate;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde_json::Value;

use crate::verifier::{Verifier, allowed};
use crate::{Error, Proposed, decode_any_base64};

const INVALID: &str = "invalid hashedrekord request";

/// Rekor v2 took envelopes until 2.2.
pub const NO_DSSE: &str =
    "dsse is not taken: send the signature over the envelope's encoding as a hashedrekord";

/// What a client of Rekor v2 sends, out of JSON or of protobuf: not checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestV2 {
    /// The digest that was signed.
    pub digest: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// What it verifies with.
    pub verifier: Option<SentVerifier>,
    /// `PublicKeyDetails`, by its number.
    pub key_details: u64,
}

/// A key or a certificate, in DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SentVerifier {
    /// A `SubjectPublicKeyInfo`.
    PublicKey(Vec<u8>),
    /// A certificate.
    Certificate(Vec<u8>),
}

impl RequestV2 {
    /// Reads `CreateEntryRequest`, as protobuf JSON allows it.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        // The reader below would take a list of values for an object's members in their order.
        if json.contains(&b'[') {
            let kind: Result<Kind, _> = serde_json::from_slice(json);
            if kind.is_ok_and(|kind| kind.dsse.is_some()) {
                return Err(refuse(&NO_DSSE));
            }
            return Err(refuse(
                &"there is a [ in it, and nothing in a request is a list",
            ));
        }
        let request: Request = serde_json::from_slice(json).map_err(|error| refuse(&error))?;
        let HashedRekord { digest, signature } = request.hashed_rekord;
        let sent = signature.verifier;
        let verifier = match (sent.public_key, sent.x509_certificate) {
            (Some(key), None) => Some(SentVerifier::PublicKey(key.raw_bytes.0)),
            (None, Some(certificate)) => Some(SentVerifier::Certificate(certificate.raw_bytes.0)),
            _ => None,
        };
        let key_details = match sent.key_details {
            Value::String(text) => {
                let known = DETAILS.iter().find(|(_, name, _)| *name == text);
                known.map_or(0, |(number, ..)| *number)
            }
            other => other.as_u64().unwrap_or(0),
        };
        Ok(Self {
            digest: digest.0,
            signature: signature.content.0,
            verifier,
            key_details,
        })
    }

    /// The number of `PublicKeyDetails` for signatures by such a key over such digests, if a log takes them.
    pub fn key_details_of(key: KeyType, hash: HashAlgorithm) -> Option<u64> {
        let (_, wanted) = allowed(key, hash)?;
        let known = DETAILS.iter().find(|(_, name, _)| *name == wanted);
        known.map(|(number, ..)| *number)
    }

    /// The name of `key_details`, as requests have it in JSON.
    pub fn key_details_name(&self) -> Option<&'static str> {
        let known = DETAILS
            .iter()
            .find(|(number, ..)| *number == self.key_details);
        known.map(|(_, name, _)| *name)
    }

    /// Checks the signature, and makes the entry.
    ///
    /// # Errors
    /// [`Error::Malformed`], with what is wrong.
    pub fn check(self) -> Result<Proposed, Error> {
        let details = DETAILS
            .iter()
            .find(|(number, ..)| *number == self.key_details);
        let (_, name, hash) =
            details.ok_or_else(|| refuse(&"keyDetails is none that this log takes"))?;
        let (verifier, entry_verifier) = match self.verifier {
            Some(SentVerifier::PublicKey(der)) => {
                let key = PublicKey::from_spki_der(&der).map_err(|error| refuse(&error))?;
                (Verifier::of_key(key), EntryVerifier::PublicKey(der))
            }
            Some(SentVerifier::Certificate(der)) => {
                let certificate = Certificate::from_der(&der).map_err(|error| refuse(&error))?;
                let verifier = Verifier::of_certificate(&certificate, certificate.to_pem());
                let verifier = verifier.map_err(|error| refuse(&error))?;
                (verifier, EntryVerifier::Certificate(der))
            }
            None => {
                return Err(refuse(
                    &"exactly one of publicKey and x509Certificate is wanted",
                ));
            }
        };
        check_details(verifier.key.key_type(), *hash, name).map_err(|reason| refuse(&reason))?;
        let digest = Digest::from_bytes(*hash, &self.digest)
            .ok_or_else(|| refuse(&format_args!("digest is not as long as {name} wants")))?;
        verifier
            .verify_digest(&digest, &self.signature)
            .map_err(|reason| refuse(&reason))?;
        let signature = EntrySignature {
            signature: Some(self.signature),
            verifier: entry_verifier,
            key_details: Some((*name).to_owned()),
        };
        let leaf = hashedrekord_v2_body(&digest, &signature).map_err(|error| refuse(&error))?;
        let mut keys = verifier.keys();
        keys.push(digest.to_string());
        Ok(Proposed::new(leaf, keys))
    }
}

fn refuse(reason: &dyn fmt::Display) -> Error {
    let reason = sealmark_formats::excerpt(reason.to_string());
    Error::Malformed(format!("{INVALID}: {reason}"))
}

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

/// What else an older client may have meant.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "dsseRequestV002", alias = "dsse_request_v002")]
    dsse: Option<IgnoredAny>,
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

fn check_details(key: KeyType, hash: HashAlgorithm, name: &str) -> Result<(), String> {
    match allowed(key, hash) {
        Some((_, known)) if known == name => Ok(()),
        _ => Err(format!("the key is {key}, not as {name} says")),
    }
}
