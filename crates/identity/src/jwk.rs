//! The keys of an issuer: JSON Web Key Sets (RFC 7517), read and written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::asn1::{Any, BitString, UintRef};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader, Tag};
use sealmark_formats::digest::sha256;
use sealmark_keys::{Curve, KeyType, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
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

impl Jwk {
    /// A key, with its thumbprint (RFC 7638, SHA-256) as its id: who has the same key has the same id.
    ///
    /// # Errors
    /// If it is of a type that JWKs have no form for.
    pub fn new(key: PublicKey, algorithm: SigningAlgorithm) -> Result<Self, JwkError> {
        // The members that make a key, sorted and without spaces, as the thumbprint is of.
        let members = members(&key)?.to_string();
        Ok(Self {
            id: Some(URL_SAFE_NO_PAD.encode(sha256(members.as_bytes()))),
            algorithm: Some(algorithm),
            key,
        })
    }

    /// The key as it is published.
    ///
    /// # Errors
    /// If it is of a type that JWKs have no form for.
    pub fn to_json(&self) -> Result<Value, JwkError> {
        let mut json = members(&self.key)?;
        json["use"] = "sig".into();
        if let Some(id) = &self.id {
            json["kid"] = id.as_str().into();
        }
        if let Some(algorithm) = self.algorithm {
            json["alg"] = algorithm.name().into();
        }
        Ok(json)
    }
}

/// The keys that an issuer publishes.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Jwk>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
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
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

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

    /// The set as it is published.
    ///
    /// ```
    /// use sealmark_identity::{Jwk, KeySet, SigningAlgorithm};
    /// use sealmark_keys::{Algorithm, PrivateKey};
    /// let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    /// let jwk = Jwk::new(key.public_key().clone(), SigningAlgorithm::Es256).unwrap();
    /// let json = KeySet::of(vec![jwk]).to_json().unwrap();
    /// assert_eq!(json["keys"][0]["crv"], "P-256");
    /// assert!(!KeySet::parse(json.to_string().as_bytes()).unwrap().is_empty());
    /// ```
    ///
    /// # Errors
    /// If a key is of a type that JWKs have no form for.
    pub fn to_json(&self) -> Result<Value, JwkError> {
        let keys: Result<Vec<_>, _> = self.0.iter().map(Jwk::to_json).collect();
        Ok(json!({"keys": keys?}))
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

fn read(json: Value) -> Option<Jwk> {
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

/// The members that every key of its type must have (RFC 7518, section 6, and RFC 8037, section 2).
fn members(key: &PublicKey) -> Result<Value, JwkError> {
    let unwritable = || JwkError(format!("a {} key cannot be written", key.key_type()));
    let spki = SubjectPublicKeyInfoOwned::from_der(key.spki_der()).map_err(|_| unwritable())?;
    let bytes = spki.subject_public_key.as_bytes().ok_or_else(unwritable)?;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match key.key_type() {
        KeyType::Rsa { .. } => {
            let (n, e) = rsa_numbers(bytes).map_err(|_| unwritable())?;
            Ok(json!({"kty": "RSA", "n": encode(n), "e": encode(e)}))
        }
        KeyType::Ecdsa(curve) => {
            let curve = match curve {
                Curve::P256 => "P-256",
                Curve::P384 => "P-384",
                Curve::P521 => "P-521",
            };
            // Uncompressed: 4, x, y.
            let point = bytes.strip_prefix(&[4]).ok_or_else(unwritable)?;
            let (x, y) = point.split_at(point.len() / 2);
            Ok(json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}))
        }
        KeyType::Ed25519 => Ok(json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)})),
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, section A.1.1).
fn rsa_numbers(der: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|inner: &mut SliceReader<'_>| {
        let n = UintRef::decode(inner)?;
        let e = UintRef::decode(inner)?;
        Ok((n.as_bytes(), e.as_bytes()))
    })
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Option<Vec<u8>> {
    let spki = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters },
        subject_public_key: BitString::from_bytes(key).ok()?,
    };
    spki.to_der().ok()
}

#[cfg(test)]
mod tests {
    use sealmark_keys::{Algorithm, PrivateKey};

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638, section 3.1.
        let set = br#"{"keys": [{"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}]}"#;
        let KeySet(keys) = KeySet::parse(set).unwrap();
        let jwk = Jwk::new(keys[0].key.clone(), SigningAlgorithm::Rs256).unwrap();
        assert_eq!(
            jwk.id.as_deref(),
            Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        );
    }

    #[test]
    fn what_is_written_is_read_as_the_same_key() {
        for (key, algorithm) in [
            (Algorithm::Rsa2048, SigningAlgorithm::Rs256),
            (Algorithm::EcdsaP256, SigningAlgorithm::Es256),
            (Algorithm::EcdsaP384, SigningAlgorithm::Es384),
            (Algorithm::EcdsaP521, SigningAlgorithm::Es512),
            (Algorithm::Ed25519, SigningAlgorithm::EdDsa),
        ] {
            let key = PrivateKey::generate(key).unwrap();
            let jwk = Jwk::new(key.public_key().clone(), algorithm).unwrap();
            let json = KeySet::of(vec![jwk.clone()]).to_json().unwrap();
            let KeySet(read) = KeySet::parse(json.to_string().as_bytes()).unwrap();
            assert_eq!(read[0].key, jwk.key);
            assert_eq!((&read[0].id, read[0].algorithm), (&jwk.id, Some(algorithm)));
        }
    }
}
