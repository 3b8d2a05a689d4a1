//! The tokens: what they say, and how they are signed (RFC 7519, OpenID Connect Core, section 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::digest::sha256;
use sealmark_identity::{Claims, Expected, Jwk, KeySet, SigningAlgorithm, Token, TokenError};
use sealmark_keys::PrivateKey;
use serde_json::{Value, json};

use super::{CLIENT, LIFETIME};
use crate::Error;

/// The issuer's name with its key.
pub(super) struct Signer {
    url: String,
    key: PrivateKey,
    keys: KeySet,
    /// As it is published.
    json: Value,
    /// The header of every token, in base64url.
    header: String,
}

/// What a login gives.
pub(super) struct Pair {
    pub(super) id_token: String,
    pub(super) access_token: String,
}

impl Signer {
    pub(super) fn new(url: String, key: PrivateKey) -> Result<Self, Error> {
        let unpublishable = |error: sealmark_identity::JwkError| Error::Issuer(error.to_string());
        let jwk = Jwk::new(key.public_key().clone(), SigningAlgorithm::Rs256);
        let jwk = jwk.map_err(unpublishable)?;
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": jwk.id});
        let keys = KeySet::of(vec![jwk]);
        Ok(Self {
            url,
            key,
            json: keys.to_json().map_err(unpublishable)?,
            keys,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    pub(super) fn keys_json(&self) -> &Value {
        &self.json
    }

    /// A token for an address at the time `now`, in seconds since 1970.
    pub(super) fn token(
        &self,
        email: &str,
        lifetime: u64,
        nonce: Option<&str>,
        access_token: Option<&str>,
        now: u64,
    ) -> Result<String, Error> {
        let mut claims = json!({
            "iss": self.url,
            "sub": subject(email),
            "aud": CLIENT,
            "iat": now,
            "exp": now.saturating_add(lifetime),
            "email": email,
            "email_verified": true,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = access_token {
            // The left half of the digest (section 3.1.3.6).
            claims["at_hash"] = URL_SAFE_NO_PAD
                .encode(&sha256(token.as_bytes())[..16])
                .into();
        }
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signed = format!("{}.{payload}", self.header);
        let signature = self.key.sign(signed.as_bytes());
        let signature = signature.map_err(|error| Error::Issuer(error.to_string()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The tokens of a login. The access token says the same, as some clients take it for the identity.
    pub(super) fn pair(&self, email: &str, nonce: Option<&str>, now: u64) -> Result<Pair, Error> {
        let lifetime = LIFETIME.as_secs();
        let access_token = self.token(email, lifetime, nonce, None, now)?;
        Ok(Pair {
            id_token: self.token(email, lifetime, nonce, Some(&access_token), now)?,
            access_token,
        })
    }

    /// What a token says, if it is one of this issuer.
    pub(super) fn read(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        let expected = Expected {
            issuer: &self.url,
            audience: Some(CLIENT),
            algorithms: &[SigningAlgorithm::Rs256],
        };
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Token::parse(token)?.verify(&self.keys, &expected, now)
    }
}

/// Who somebody is, however often asked, without a table of users: a digest of the address.
fn subject(email: &str) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(email.as_bytes())[..16])
}
