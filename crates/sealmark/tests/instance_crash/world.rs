//! An instance in a directory, an issuer that it believes, and people who get certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use sealmark_identity::{Jwk, KeySet, SigningAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{FaultyServer, Reply, Sandbox, Server, get, post};
use sealmark_x509::Certificate;
use serde_json::{Value, json};

pub(crate) const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
/// What an instance is called whose port may be another after each start.
pub(crate) const URL: &str = "http://sigstore.test";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    issuer: FaultyServer,
    key: PrivateKey,
    tokens: AtomicU64,
}

/// A key, which signs tokens in Ed25519: that is raw already.
fn new_key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).expect("there is randomness")
}

impl World {
    pub(crate) fn new() -> Self {
        let key = new_key(Algorithm::Ed25519);
        let jwk = Jwk::new(key.public_key().clone(), SigningAlgorithm::EdDsa);
        let keys = KeySet::of(vec![jwk.expect("it has a form")]).to_json();
        let keys = keys.expect("it has a form").to_string();
        let issuer = FaultyServer::start(move |request| {
            let url = format!("http://{}", request.header("host").unwrap_or_default());
            let document = json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "id_token_signing_alg_values_supported": ["EdDSA"],
            });
            Reply::status(200).body(match request.path.ends_with("/openid-configuration") {
                true => document.to_string(),
                false => keys.clone(),
            })
        });
        let sandbox = Sandbox::new();
        let config = format!(
            "oidc-issuers:\n  http://{}:\n    client-id: sigstore\n    type: email\n",
            issuer.address()
        );
        sandbox.write("issuers.yaml", config);
        Self {
            sandbox,
            issuer,
            key,
            tokens: AtomicU64::new(0),
        }
    }

    pub(crate) fn words<'a>(&self, listen: &'a str) -> [&'a str; 7] {
        let dir = ["serve", "--dir", "instance", "--config", "issuers.yaml"];
        let [a, b, c, d, e] = dir;
        [a, b, c, d, e, "--listen", listen]
    }

    /// Starts the instance at an address; its URL.
    pub(crate) fn serve(&self, listen: &str) -> (Server, String) {
        let program = self.sandbox.command(SEALMARK).args(self.words(listen));
        let (server, url) = program.serve(ready_at);
        (server, url)
    }

    /// As [`serve`](Self::serve), at any port, under this URL.
    pub(crate) fn serve_as(&self, url: &str) -> (Server, String) {
        let program = self.sandbox.command(SEALMARK);
        let program = program.args(self.words("127.0.0.1:0")).args(["--url", url]);
        program.serve(ready_at)
    }

    /// The private keys of the instance.
    pub(crate) fn keys(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for service in ["ca", "ct", "tsa", "log", "tuf"] {
            let folder = self.sandbox.join("instance").join(service).join("keys");
            // A start that was killed early has made none of them.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("a folder that is read").path();
                if path.extension().is_some_and(|it| it == "pem") {
                    let content = std::fs::read(&path).expect("a key of this test");
                    found.insert(path, content);
                }
            }
        }
        found
    }

    fn token(&self) -> String {
        let now = Timestamp::now().as_second();
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let claims = json!({
            "iss": format!("http://{}", self.issuer.address()), "aud": "sigstore",
            "sub": "1234", "jti": number, "exp": now + 600,
            "email": "jane@example.org", "email_verified": true,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA"})), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A certificate with those above it; `None` if the instance is gone.
    pub(crate) fn certificate(&self, address: &str) -> Option<Vec<Certificate>> {
        let key = new_key(Algorithm::EcdsaP256);
        let proof = key.sign(b"jane@example.org").expect("the key signs");
        let body = json!({
            "credentials": {"oidcIdentityToken": self.token()},
            "publicKeyRequest": {
                "publicKey": {"content": key.public_key().to_pem()},
                "proofOfPossession": STANDARD.encode(proof),
            },
        });
        let answer = post(address, "/api/v2/signingCert", body.to_string()).ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{text}");
        // One that was cut off is none that anybody has.
        let answer: Value = serde_json::from_str(&text).ok()?;
        let chain = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"];
        let chain = chain.as_array()?.iter();
        Some(
            chain
                .map(|pem| {
                    let pem = pem.as_str().expect("PEM is a text");
                    Certificate::from_pem(pem.as_bytes()).expect("it is a certificate")
                })
                .collect(),
        )
    }
}

/// The URL, when the instance serves.
fn ready_at(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Sigstore at ")?;
    rest.split(": ").next().map(str::to_owned)
}

/// A JSON answer of 200; `None` if the instance is gone.
pub(crate) fn ask(address: &str, path: &str) -> Option<Value> {
    let answer = get(address, path).ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{path}: {text}");
    serde_json::from_str(&text).ok()
}
