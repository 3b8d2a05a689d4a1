//! Identity tokens: JSON Web Tokens (RFC 7519) in the compact serialization of RFC 7515.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::Encode;
use der::asn1::UintRef;
use sealmark_keys::{Curve, KeyType, PublicKey, Scheme};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Claims, KeySet};

/// The longest token, in bytes. GitHub's have 2 KB, those of some identity providers with many groups 20 KB.
pub const MAX_TOKEN: usize = 64 << 10;
/// How far `nbf` may be in the future, in seconds: clocks differ. Fulcio allows the same. Nothing is allowed for `exp`.
const NOT_BEFORE_LEEWAY: i64 = 300;
/// Keys that are tried for a token that does not say which signed it.
const MAX_TRIED: usize = 16;

/// How tokens are signed (RFC 7518, section 3.1, and RFC 8037). `none` and the keyed hashes are not among them: what
/// everybody who verifies could make proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)] // the names are the RFC's
pub enum SigningAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    ///
    /// ```
    /// use sealmark_identity::SigningAlgorithm;
    /// assert_eq!(SigningAlgorithm::from_name("ES256"), Some(SigningAlgorithm::Es256));
    /// assert_eq!(SigningAlgorithm::from_name("none"), None);
    /// assert_eq!(SigningAlgorithm::from_name("HS256"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The scheme, if a key of this type can make such signatures. ECDSA is bound to one curve each.
    fn scheme(self, key: KeyType) -> Option<Scheme> {
        match (self, key) {
            (Self::Rs256, KeyType::Rsa { .. }) => Some(Scheme::RsaPkcs1Sha256),
            (Self::Rs384, KeyType::Rsa { .. }) => Some(Scheme::RsaPkcs1Sha384),
            (Self::Rs512, KeyType::Rsa { .. }) => Some(Scheme::RsaPkcs1Sha512),
            (Self::Ps256, KeyType::Rsa { .. }) => Some(Scheme::RsaPssSha256),
            (Self::Ps384, KeyType::Rsa { .. }) => Some(Scheme::RsaPssSha384),
            (Self::Ps512, KeyType::Rsa { .. }) => Some(Scheme::RsaPssSha512),
            (Self::Es256, KeyType::Ecdsa(Curve::P256)) => Some(Scheme::EcdsaSha256),
            (Self::Es384, KeyType::Ecdsa(Curve::P384)) => Some(Scheme::EcdsaSha384),
            (Self::Es512, KeyType::Ecdsa(Curve::P521)) => Some(Scheme::EcdsaSha512),
            (Self::EdDsa, KeyType::Ed25519) => Some(Scheme::Ed25519),
            _ => None,
        }
    }
}

/// Why a token is not believed. No message repeats the token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// It is no signed JSON Web Token.
    #[error("it is not an identity token (JWT): {0}")]
    Malformed(String),
    /// Its algorithm is none that this issuer is known to use, or that anybody should.
    #[error("it is signed with {found:?}; its issuer signs with {expected}")]
    Algorithm {
        /// What the token says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The issuer has no such key.
    #[error("it is signed with the key {kid:?}, which {issuer} does not publish")]
    UnknownKey {
        /// The key's id in the token.
        kid: String,
        /// The issuer.
        issuer: String,
    },
    /// The signature is wrong.
    #[error("its signature is not one by a key that {issuer} publishes")]
    Signature {
        /// The issuer.
        issuer: String,
    },
    /// It is by another issuer.
    #[error("it was issued by {found:?}, not by {expected:?}")]
    Issuer {
        /// Who is expected.
        expected: String,
        /// What `iss` says.
        found: String,
    },
    /// It is for somebody else.
    #[error(
        "its audience is {found}, not {expected:?}; ask the identity provider for a token with that audience"
    )]
    Audience {
        /// Who it must be for.
        expected: String,
        /// What `aud` says.
        found: String,
    },
    /// It is too old.
    #[error("it expired {ago} s ago; get a new one")]
    Expired {
        /// How long ago, in seconds.
        ago: i64,
    },
    /// It is not valid yet.
    #[error("it is valid only in {seconds} s; one of the clocks is wrong")]
    NotYet {
        /// In how many seconds.
        seconds: i64,
    },
    /// A claim is missing that every identity token has.
    #[error("it has no {0:?}, or not as a text or number")]
    Missing(&'static str),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, section 4.1.11); none are.
    #[serde(default)]
    crit: Option<Value>,
}

/// A token as somebody sent it: well formed, and nothing more.
#[derive(Clone)]
pub struct Token {
    algorithm: String,
    kid: Option<String>,
    claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

/// What a token must be to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// One of `aud`; `None` if the audience is not looked at.
    pub audience: Option<&'a str>,
    /// The algorithms that the issuer says it signs with.
    pub algorithms: &'a [SigningAlgorithm],
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let malformed = |reason: &str| TokenError::Malformed(reason.to_owned());
        if text.len() > MAX_TOKEN {
            return Err(TokenError::Malformed(format!(
                "it has {} bytes, at most {MAX_TOKEN} are read",
                text.len()
            )));
        }
        let (signed, signature) = text
            .rsplit_once('.')
            .ok_or_else(|| malformed("it has no dots"))?;
        let (header, claims) = signed
            .split_once('.')
            .filter(|(_, claims)| !claims.contains('.'))
            .ok_or_else(|| malformed("it has not three parts"))?;
        let decode = |part: &'static str, text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| TokenError::Malformed(format!("its {part} is not base64url")))
        };
        let header: Header = serde_json::from_slice(&decode("header", header)?)
            .map_err(|_| malformed("its header is not JSON with an \"alg\""))?;
        if header.crit.is_some() {
            return Err(malformed("its header has \"crit\", which is not supported"));
        }
        let claims = serde_json::from_slice(&decode("payload", claims)?)
            .map_err(|_| malformed("its payload is not a JSON object"))?;
        Ok(Self {
            algorithm: header.alg,
            kid: header.kid,
            claims,
            signed: signed.to_owned(),
            signature: decode("signature", signature)?,
        })
    }

    /// The issuer that the token names. Nothing says yet that it is true.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// A claim, as the token has it. Nothing says yet that it is true.
    pub fn unverified_claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// All claims, as the token has them. Nothing says yet that they are true.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// How it is signed, as the token says (`alg`).
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// What the issuer signed: header and claims. It tells tokens apart, while one may have several signatures that are good:
    /// whoever has one of ECDSA can make a second.
    pub fn signed_part(&self) -> &str {
        &self.signed
    }

    /// The id of the key that signed, as the token says.
    pub fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the key that the token says it is signed with is among these. Who names none may mean any.
    pub fn names_key_of(&self, keys: &KeySet) -> bool {
        self.kid.is_none() || keys.with_id(self.kid.as_deref()).next().is_some()
    }

    /// Checks the token at the time `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not believed. [`TokenError::UnknownKey`] may mean that the issuer has new keys.
    pub fn verify(
        &self,
        keys: &KeySet,
        expected: &Expected<'_>,
        now: i64,
    ) -> Result<Claims, TokenError> {
        let issuer = expected.issuer.to_owned();
        let algorithm = SigningAlgorithm::from_name(&self.algorithm)
            .filter(|algorithm| expected.algorithms.contains(algorithm))
            .ok_or_else(|| TokenError::Algorithm {
                found: self.algorithm.chars().take(20).collect(),
                expected: names(expected.algorithms),
            })?;
        let found = self.unverified_issuer().unwrap_or_default();
        if found != expected.issuer {
            return Err(TokenError::Issuer {
                expected: issuer,
                found: found.chars().take(200).collect(),
            });
        }
        let mut tried = 0;
        let mut known = false;
        for jwk in keys.with_id(self.kid.as_deref()).take(MAX_TRIED) {
            known = true;
            let allowed = jwk.algorithm.is_none_or(|declared| declared == algorithm);
            let Some(scheme) = algorithm.scheme(jwk.key.key_type()).filter(|_| allowed) else {
                continue;
            };
            tried += 1;
            if self.is_signed_by(&jwk.key, scheme) {
                self.check_claims(expected, now)?;
                return Ok(Claims::new(self.claims.clone()));
            }
        }
        match (&self.kid, known, tried) {
            (Some(kid), false, _) => Err(TokenError::UnknownKey {
                kid: kid.chars().take(200).collect(),
                issuer,
            }),
            _ => Err(TokenError::Signature { issuer }),
        }
    }

    fn is_signed_by(&self, key: &PublicKey, scheme: Scheme) -> bool {
        let signature = match key.key_type() {
            KeyType::Ecdsa(_) => ecdsa_der(&self.signature),
            _ => Some(self.signature.clone()),
        };
        signature.is_some_and(|signature| {
            key.verify_scheme(scheme, self.signed.as_bytes(), &signature)
                .is_ok()
        })
    }

    fn check_claims(&self, expected: &Expected<'_>, now: i64) -> Result<(), TokenError> {
        if let Some(audience) = expected.audience {
            let found = self.claims.get("aud").cloned().unwrap_or_default();
            let meant = match &found {
                Value::String(one) => one == audience,
                Value::Array(several) => several.iter().any(|one| one == audience),
                _ => false,
            };
            if !meant {
                return Err(TokenError::Audience {
                    expected: audience.to_owned(),
                    found: sealmark_formats::excerpt(found.to_string()),
                });
            }
        }
        let expires = self.seconds("exp")?.ok_or(TokenError::Missing("exp"))?;
        if now >= expires {
            return Err(TokenError::Expired {
                ago: now.saturating_sub(expires),
            });
        }
        match self.seconds("nbf")? {
            Some(start) if start > now.saturating_add(NOT_BEFORE_LEEWAY) => {
                Err(TokenError::NotYet {
                    seconds: start.saturating_sub(now),
                })
            }
            _ => Ok(()),
        }
    }

    /// A time (RFC 7519, section 2, NumericDate), rounded down.
    fn seconds(&self, name: &'static str) -> Result<Option<i64>, TokenError> {
        match self.claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_i64()
                .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
                .map(Some)
                .ok_or(TokenError::Missing(name)),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who has a token can act with it: neither payload nor signature is shown.
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

fn names(algorithms: &[SigningAlgorithm]) -> String {
    let names: Vec<_> = algorithms.iter().map(|it| it.name()).collect();
    names.join(", ")
}

/// `r || s`, as tokens have it (RFC 7518, section 3.4), in the DER that everything else uses.
fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    if !matches!(raw.len(), 64 | 96 | 132) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let number = |bytes: &[u8]| UintRef::new(bytes).ok()?.to_der().ok();
    let content = [number(r)?, number(s)?].concat();
    let header = der::Header::new(
        der::Tag::Sequence,
        der::Length::try_from(content.len()).ok()?,
    );
    let mut der = header.to_der().ok()?;
    der.extend_from_slice(&content);
    Some(der)
}
