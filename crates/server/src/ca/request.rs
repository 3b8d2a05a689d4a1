//! What callers send, in each of Fulcio's interfaces, and the proof that they have the key.

use axum::http::HeaderMap;
use sealmark_entries::decode_any_base64 as decode;
use sealmark_keys::{Curve, KeyType, PublicKey, Scheme};
use sealmark_x509::CertificateRequest;
use serde::{Deserialize, Deserializer};

use super::refusal::Refusal;

/// A request for a certificate, not checked.
pub(super) struct Asked {
    /// The identity token.
    pub(super) token: String,
    pub(super) key: AskedKey,
    /// The longest that the certificate is to be valid, in seconds.
    pub(super) lifetime: Option<u64>,
}

/// The key that a certificate is wanted for.
pub(super) enum AskedKey {
    /// With a signature over something of the token.
    Proven { key: Vec<u8>, proof: Vec<u8> },
    /// A certificate request, which is signed itself.
    Request(Vec<u8>),
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct V2 {
    #[serde(deserialize_with = "or_default")]
    credentials: Credentials,
    #[serde(alias = "public_key_request")]
    public_key_request: Option<KeyRequest>,
    #[serde(alias = "certificate_signing_request", deserialize_with = "or_default")]
    certificate_signing_request: String,
    /// Not Fulcio's: a shorter life than the CA gives.
    #[serde(alias = "lifetime_seconds")]
    lifetime_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Credentials {
    #[serde(alias = "oidc_identity_token", deserialize_with = "or_default")]
    oidc_identity_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct KeyRequest {
    #[serde(alias = "public_key", deserialize_with = "or_default")]
    public_key: Key,
    #[serde(alias = "proof_of_possession", deserialize_with = "or_default")]
    proof_of_possession: String,
}

/// Its algorithm follows from the key; clients write all sorts of names for it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Key {
    #[serde(deserialize_with = "or_default")]
    content: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct V1 {
    #[serde(deserialize_with = "or_default")]
    public_key: Key,
    #[serde(deserialize_with = "or_default")]
    signed_email_address: String,
    #[serde(deserialize_with = "or_default")]
    certificate_signing_request: String,
    lifetime_seconds: Option<u64>,
}

/// Clients in Go write `null` for what they have not.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The token in `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

pub(super) fn no_token() -> Refusal {
    Refusal::token(
        "there is none: send it in credentials.oidcIdentityToken, or as Authorization: Bearer",
    )
}

/// Reads a request of the interface v2.
pub(super) fn read_v2(headers: &HeaderMap, body: &[u8]) -> Result<Asked, Refusal> {
    let request: V2 = serde_json::from_slice(body).map_err(|error| Refusal::body(&error))?;
    let token = Some(request.credentials.oidc_identity_token).filter(|token| !token.is_empty());
    let token = token.or_else(|| bearer(headers)).ok_or_else(no_token)?;
    let key = match request.certificate_signing_request.as_str() {
        "" => {
            let asked = request.public_key_request.unwrap_or_default();
            // PEM as it is: the field is a text.
            AskedKey::Proven {
                key: asked.public_key.content.into_bytes(),
                proof: decode(&asked.proof_of_possession).ok_or_else(Refusal::proof)?,
            }
        }
        request => {
            AskedKey::Request(decode(request).ok_or_else(|| Refusal::request("not base64"))?)
        }
    };
    Ok(Asked {
        token,
        key,
        lifetime: request.lifetime_seconds,
    })
}

/// Reads a request of the interface v1.
pub(super) fn read_v1(headers: &HeaderMap, body: &[u8]) -> Result<Asked, Refusal> {
    let token = bearer(headers).ok_or_else(no_token)?;
    let request: V1 = serde_json::from_slice(body).map_err(|error| Refusal::body(&error))?;
    let key = match request.certificate_signing_request.as_str() {
        "" => AskedKey::Proven {
            key: decode(&request.public_key.content).ok_or_else(|| Refusal::key("not base64"))?,
            proof: decode(&request.signed_email_address).ok_or_else(Refusal::proof)?,
        },
        request => {
            AskedKey::Request(decode(request).ok_or_else(|| Refusal::request("not base64"))?)
        }
    };
    Ok(Asked {
        token,
        key,
        lifetime: request.lifetime_seconds,
    })
}

impl AskedKey {
    /// The key, if the caller proved to have it: with a signature over one of `challenges`, or a request signed with it.
    pub(super) fn proven(&self, challenges: &[String]) -> Result<PublicKey, Refusal> {
        match self {
            Self::Request(request) => {
                let request = CertificateRequest::from_pem_or_der(request)
                    .map_err(|error| Refusal::request(&error.to_string()))?;
                check(request.public_key())?;
                match request.is_signed_by_its_key() {
                    true => Ok(request.public_key().clone()),
                    false => Err(Refusal::proof()),
                }
            }
            Self::Proven { key, proof } => {
                let key = match key.first() {
                    Some(0x30) => PublicKey::from_spki_der(key),
                    _ => PublicKey::from_pem(key),
                };
                let key = key.map_err(|error| Refusal::key(&error.to_string()))?;
                let scheme = check(&key)?;
                let mut challenges = challenges.iter();
                let proven = challenges.any(|challenge| {
                    key.verify_scheme(scheme, challenge.as_bytes(), proof)
                        .is_ok()
                });
                proven.then_some(key).ok_or_else(Refusal::proof)
            }
        }
    }
}

/// How a key signs a proof, if it is of a kind that gets certificates: that of Fulcio's default.
fn check(key: &PublicKey) -> Result<Scheme, Refusal> {
    match key.key_type() {
        KeyType::Ecdsa(Curve::P256) => Ok(Scheme::EcdsaSha256),
        KeyType::Ecdsa(Curve::P384) => Ok(Scheme::EcdsaSha384),
        KeyType::Ecdsa(Curve::P521) => Ok(Scheme::EcdsaSha512),
        KeyType::Rsa {
            bits: 2048 | 3072 | 4096,
        } => Ok(Scheme::RsaPkcs1Sha256),
        KeyType::Ed25519 => Ok(Scheme::Ed25519),
        other => Err(Refusal::insecure(&other.to_string())),
    }
}
