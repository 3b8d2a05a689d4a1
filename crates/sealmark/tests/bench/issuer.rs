//! An issuer of identity tokens, as a CA finds it over HTTP.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{FaultyServer, Reply, post};
use serde_json::{Value, json};

/// Whom its tokens are of.
pub(crate) const WHO: &str = "jane@example.org";

/// An issuer of identity tokens, for as long as the test runs. Every path of it is an issuer of its own.
pub(crate) struct Issuer {
    pub(crate) url: String,
    key: PrivateKey,
    /// Answers until it is dropped.
    _server: FaultyServer,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("there is randomness");
        let spki = key.public_key().spki_der();
        let (x, y) = spki[spki.len() - 64..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "1", "x": encode(x), "y": encode(y)},
        ]});
        let server = FaultyServer::start(move |request| {
            let host = request.header("host").unwrap_or_default();
            let body = match request
                .path
                .strip_suffix("/.well-known/openid-configuration")
            {
                None => keys.clone(),
                Some(path) => {
                    let url = format!("http://{host}{path}");
                    json!({
                        "issuer": url, "jwks_uri": format!("{url}/keys"),
                        "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
                        "id_token_signing_alg_values_supported": ["ES256"],
                    })
                }
            };
            let reply = Reply::status(200).with("content-type", "application/json");
            reply.body(body.to_string())
        });
        Self {
            url: format!("http://{}", server.address()),
            key,
            _server: server,
        }
    }

    /// A token of [`WHO`].
    pub(crate) fn token(&self) -> String {
        let claims = json!({"sub": "1234", "email": WHO, "email_verified": true});
        self.token_of("", claims)
    }

    /// A token with these claims, and those that every token has, by the issuer at `path`.
    pub(crate) fn token_of(&self, path: &str, mut claims: Value) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is after 1970")
            .as_secs();
        for (name, value) in [
            ("iss", json!(format!("{}{path}", self.url))),
            ("aud", json!("sigstore")),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now + 600)),
        ] {
            claims[name] = value;
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "kid": "1"})),
            part(&claims)
        );
        let der = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&der)))
    }
}

/// `r || s` of a DER signature of P-256.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut out = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = after;
    }
    out
}

/// Asks the CA at this address for a certificate, over v2: the status, and what it says.
pub(crate) fn ask(address: &str, token: &str) -> (u16, Value) {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("there is randomness");
    let proof = key.sign(WHO.as_bytes()).expect("the key signs");
    let body = json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": key.public_key().to_pem()},
            "proofOfPossession": STANDARD.encode(proof),
        },
    });
    let answer = post(address, "/api/v2/signingCert", body.to_string()).expect("the CA answers");
    let said = serde_json::from_slice(&answer.body).expect("the CA answers in JSON");
    (answer.status, said)
}
