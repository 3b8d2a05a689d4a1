//! The keys of an issuer: JSON Web Key Sets (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::asn1::{Any, BitString, UintRef};
use der::oid::ObjectIdentifier;
use der::{Encode, Tag};
use sealmark_keys::PublicKey;
use serde::Deserialize;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::SigningAlgorithm;

/// Keys of one issuer. Large providers publish five to ten; Azure's, with all its tenants, some dozens.
pub const MAX_KEYS: usize = 256;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Why a key set is not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a set of keys (JWKS): {0}")]
pub struct JwkError(String);

/// A key with what is said of it.
#[derive(Clone, Debug)]
pub struct Jwk {
    /// Its id.
    pub id: Option<String>,
    /// The one algorithm that it is for.
    pub algorithm: Option<SigningAlgorithm>,
    /// The key.
    pub key: PublicKey,
}

/// The keys that an issuer publishes.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Jwk>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Fields {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys for encryption, and of types that are not known, are left out (RFC 7517, section 5).
    ///
    /// # Errors
    /// If it is no key set, or has more than [`MAX_KEYS`] keys.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        let set: Set = serde_json::from_slice(json)
            .map_err(|error| JwkError(sealmark_formats::excerpt(error.to_string())))?;
        if set.keys.len() > MAX_KEYS {
            let count = set.keys.len();
            return Err(JwkError(format!(
                "it has {count} keys, at most {MAX_KEYS} are read"
            )));
        }
        let keys = set.keys.into_iter();
        Ok(Self(keys.filter_map(read).collect()))
    }

    /// These keys.
    pub fn of(keys: Vec<Jwk>) -> Self {
        Self(keys)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys of this id; all, for a token that names none.
    pub(crate) fn with_id(&self, id: Option<&str>) -> impl Iterator<Item = &Jwk> {
        let meant = move |key: &&Jwk| id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(meant)
    }
}

fn read(json: serde_json::Value) -> Option<Jwk> {
    let fields: Fields = serde_json::from_value(json).ok()?;
    if fields.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let spki = match (fields.kty.as_str(), fields.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (bytes(&fields.n)?, bytes(&fields.e)?);
            let number = |bytes: &[u8]| UintRef::new(bytes).ok()?.to_der().ok();
            let content = [number(&n)?, number(&e)?].concat();
            let key = Any::new(Tag::Sequence, content).ok()?.to_der().ok()?;
            spki(RSA, Some(Any::null()), &key)?
        }
        ("EC", Some(curve)) => {
            let (curve, width) = match curve {
                "P-256" => (P256, 32),
                "P-384" => (P384, 48),
                "P-521" => (P521, 66),
                _ => return None,
            };
            let (x, y) = (bytes(&fields.x)?, bytes(&fields.y)?);
            if (x.len(), y.len()) != (width, width) {
                return None;
            }
            let point = [&[4][..], &x, &y].concat();
            spki(EC, Some(Any::encode_from(&curve).ok()?), &point)?
        }
        ("OKP", Some("Ed25519")) => spki(ED25519, None, &bytes(&fields.x)?)?,
        _ => return None,
    };
    let algorithm = match fields.alg {
        Some(name) => Some(SigningAlgorithm::from_name(&name)?),
        None => None,
    };
    Some(Jwk {
        id: fields.kid,
        algorithm,
        key: PublicKey::from_spki_der(&spki).ok()?,
    })
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Option<Vec<u8>> {
    let spki = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters },
        subject_public_key: BitString::from_bytes(key).ok()?,
    };
    spki.to_der().ok()
}
