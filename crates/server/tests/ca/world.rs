//! A CA with its CT log, and an issuer of tokens that it believes, each on a port of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_identity::Configuration;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock, Log, Settings, SystemClock};
use sealmark_server::ca::{Authority, CertificateAuthority, Options, Promises};
use sealmark_server::ct::{CtLog, CtSigner, TREE};
use sealmark_server::listen;
use sealmark_x509::{Certificate, ExtendedKeyUsage};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An issuer: discovery, keys, and how often it was asked.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) key: PrivateKey,
    pub(crate) kid: Arc<Mutex<String>>,
    pub(crate) asked: Arc<AtomicUsize>,
    /// Given instead of the key set, with its status.
    pub(crate) instead: Arc<Mutex<Option<(u16, String)>>>,
    /// Given instead of the discovery document.
    pub(crate) discovery: Arc<Mutex<Option<Value>>>,
    /// Where all answers send their reader, if anywhere.
    pub(crate) redirect: Arc<Mutex<Option<String>>>,
    /// How long it thinks.
    pub(crate) delay: Arc<Mutex<Duration>>,
}

/// Serves a router on a port of its own, until the runtime of the test ends.
pub(crate) async fn serve(router: impl FnOnce(&str) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!(
        "http://{}",
        listener.local_addr().expect("it has an address")
    );
    let router = router(&url);
    tokio::spawn(listen::serve(router, listener, std::future::pending()));
    url
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("there is randomness");
        let mut issuer = Self {
            url: String::new(),
            key,
            kid: Arc::new(Mutex::new("k1".to_owned())),
            asked: Arc::default(),
            instead: Arc::default(),
            discovery: Arc::default(),
            redirect: Arc::default(),
            delay: Arc::default(),
        };
        let served = issuer.clone();
        issuer.url = serve(|url| {
            let url = url.to_owned();
            Router::new().fallback(move |request: Request| {
                let (served, url) = (served.clone(), url.clone());
                async move {
                    let delay = *served.delay.lock().expect("no test panicked");
                    tokio::time::sleep(delay).await;
                    let (status, body) = served.answer(&url, request.uri().path());
                    let redirect = served.redirect.lock().expect("no test panicked").clone();
                    match redirect {
                        Some(to) => (StatusCode::FOUND, [("location", to)], body).into_response(),
                        None => (status, body).into_response(),
                    }
                }
            })
        })
        .await;
        issuer
    }

    fn answer(&self, url: &str, path: &str) -> (StatusCode, String) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if path.ends_with("/openid-configuration") {
            let discovery = self.discovery.lock().expect("no test panicked").clone();
            if let Some(document) = discovery {
                return (StatusCode::OK, document.to_string());
            }
            let document = json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "id_token_signing_alg_values_supported": ["ES256"],
            });
            return (StatusCode::OK, document.to_string());
        }
        if let Some((status, text)) = self.instead.lock().expect("no test panicked").clone() {
            return (StatusCode::from_u16(status).expect("it is a status"), text);
        }
        let spki = self.key.public_key().spki_der();
        let (x, y) = spki[spki.len() - 64..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kid = self.kid.lock().expect("no test panicked").clone();
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y)},
        ]});
        (StatusCode::OK, keys.to_string())
    }

    /// A token with these claims, and those that every token has.
    pub(crate) fn token(&self, claims: Value) -> String {
        let kid = self.kid.lock().expect("no test panicked").clone();
        self.token_with(&json!({"alg": "ES256", "kid": kid}), claims)
    }

    /// As [`token`](Self::token), with this header.
    pub(crate) fn token_with(&self, header: &Value, claims: Value) -> String {
        let mut all = json!({
            "iss": self.url, "aud": "sigstore", "sub": "1234", "exp": now() + 60, "iat": now(),
            "email": "jane@example.org", "email_verified": true,
        });
        for (name, value) in claims.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        self.sign(&format!("{}.{}", part(header), part(&all)))
    }

    /// The same token with another signature, which is as good: whoever has one can make it.
    pub(crate) fn signed_again(&self, token: &str) -> String {
        self.sign(token.rsplit_once('.').expect("it has dots").0)
    }

    fn sign(&self, signed: &str) -> String {
        let der = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&der)))
    }
}

pub(crate) fn new_key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).expect("there is randomness")
}

pub(crate) fn now() -> u64 {
    SystemClock.now_ms() / 1000
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

pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) ct: CtLog,
    pub(crate) url: String,
    pub(crate) ct_url: String,
    pub(crate) root: Certificate,
    pub(crate) http: reqwest::Client,
    /// With the log; removed with the world.
    pub(crate) _folder: tempfile::TempDir,
}

/// Where a CT log's engine, and its key, are.
pub(crate) fn open_ct(
    folder: &std::path::Path,
    key: &PrivateKey,
    roots: Vec<Certificate>,
    clock: Arc<dyn Clock>,
) -> CtLog {
    let settings = Settings {
        clock,
        ..Settings::with_signer(TREE, CtSigner::new("ct.example/log", key.clone()))
    };
    let log = Log::open_directory(&folder.join("log"), settings).expect("the log opens");
    CtLog::open(Arc::new(log), "ct.example/log", key.clone(), roots, folder).expect("it opens")
}

impl World {
    pub(crate) async fn start(configuration: impl FnOnce(&str) -> String) -> Self {
        Self::logging(configuration, |_, ct| ct.clone().into()).await
    }

    /// With a CA that has its certificates logged so; `promises` gets the CT log's URL, and the log.
    pub(crate) async fn logging(
        configuration: impl FnOnce(&str) -> String,
        promises: impl FnOnce(&str, &CtLog) -> Promises,
    ) -> Self {
        let clock = || -> Arc<dyn Clock> { Arc::new(SystemClock) };
        Self::with(clock(), clock(), configuration, promises).await
    }

    /// With a clock for the CA and one for the CT log.
    pub(crate) async fn with_clocks(
        clock: Arc<dyn Clock>,
        ct_clock: Arc<dyn Clock>,
        configuration: impl FnOnce(&str) -> String,
    ) -> Self {
        Self::with(clock, ct_clock, configuration, |_, ct| ct.clone().into()).await
    }

    async fn with(
        clock: Arc<dyn Clock>,
        ct_clock: Arc<dyn Clock>,
        configuration: impl FnOnce(&str) -> String,
        promises: impl FnOnce(&str, &CtLog) -> Promises,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let issuer = Issuer::start().await;
        let root = Authority::root(new_key(Algorithm::EcdsaP384), "example.org", "root", now())
            .expect("a root is made");
        let purpose = ExtendedKeyUsage::CodeSigning;
        let signing = root.intermediate(
            new_key(Algorithm::EcdsaP256),
            "example.org",
            "CA",
            purpose,
            now(),
        );
        let signing = signing.expect("an intermediate is made");
        let ct_key = PrivateKey::generate(Algorithm::EcdsaP256).expect("there is randomness");
        let ct = open_ct(
            folder.path(),
            &ct_key,
            vec![root.certificate.clone()],
            ct_clock,
        );
        let configuration = Configuration::parse(&configuration(&issuer.url));
        let ct_url = serve(|_| ct.clone().router()).await;
        let ca = CertificateAuthority::new(Options {
            key: signing.key,
            chain: vec![signing.certificate, root.certificate.clone()],
            ct: Some(promises(&ct_url, &ct)),
            configuration: configuration.expect("the test's configuration is right"),
            clock,
        });
        let ca = ca.expect("key and chain belong together");
        Self {
            url: serve(|_| ca.clone().router()).await,
            ct_url,
            issuer,
            ct,
            root: root.certificate,
            http: reqwest::Client::new(),
            _folder: folder,
        }
    }

    /// With the issuer as one of people.
    pub(crate) async fn of_people() -> Self {
        Self::start(people).await
    }

    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let mut request = self
            .http
            .post(format!("{}{path}", self.url))
            .body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the CA answers");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a whole answer"),
        )
    }

    /// Asks for a certificate over v2.
    pub(crate) async fn ask(&self, key: &PrivateKey, token: &str, challenge: &str) -> (u16, Value) {
        let proof = key.sign(challenge.as_bytes()).expect("the key signs");
        let body = json!({
            "credentials": {"oidcIdentityToken": token},
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": key.public_key().to_pem()},
                "proofOfPossession": STANDARD.encode(proof),
            },
        });
        let (status, text) = self
            .post("/api/v2/signingCert", None, &body.to_string())
            .await;
        (
            status,
            serde_json::from_str(&text).expect("the CA answers in JSON"),
        )
    }
}

/// A configuration with an issuer of people.
pub(crate) fn people(url: &str) -> String {
    format!("oidc-issuers:\n  {url}:\n    client-id: sigstore\n    type: email\n")
}

/// The certificates of an answer.
pub(crate) fn chain(answer: &Value) -> Vec<Certificate> {
    let chain = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"];
    let chain = chain
        .as_array()
        .unwrap_or_else(|| panic!("no chain: {answer}"));
    let read = |pem: &Value| {
        let pem = pem.as_str().expect("PEM is a text");
        Certificate::from_pem(pem.as_bytes()).expect("it is a certificate")
    };
    chain.iter().map(read).collect()
}
