//! A Sigstore of one's own: issuer, CA, CT log, transparency log and timestamp authority, on ports of 127.0.0.1.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{Timestamp, ToSpan};
use sealmark_formats::signing_config::{Selector, Service};
use sealmark_formats::trusted_root::TimeRange;
use sealmark_formats::{SigningConfig, TrustedRoot};
use sealmark_identity::Configuration;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Log, Settings, SystemClock};
use sealmark_server::ca::{Authority, CertificateAuthority, Options};
use sealmark_server::ct::{CtLog, CtSigner, TREE};
use sealmark_server::listen;
use sealmark_server::log::TransparencyLog;
use sealmark_server::tsa::TimestampAuthority;
use sealmark_testkit::{FaultyServer, Finished, Program, Reply, Sandbox};
use sealmark_trust::service;
use sealmark_x509::{Certificate, ExtendedKeyUsage};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
pub(crate) const JANE: &str = "jane@example.org";
const MADE: &str = "the services of the test are made";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) issuer: FaultyServer,
    key: PrivateKey,
    pub(crate) ca: String,
    pub(crate) tsa: String,
    pub(crate) log: String,
    /// Serves until the test ends.
    runtime: tokio::runtime::Runtime,
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).expect("it is after 1970")
}

fn new_key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).expect(MADE)
}

/// What tokens are checked with.
fn keys(key: &PrivateKey) -> String {
    let spki = key.public_key().spki_der();
    let (x, y) = spki[spki.len() - 64..].split_at(32);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": encode(x), "y": encode(y)}]})
        .to_string()
}

/// `r || s` of a DER signature of P-256.
fn raw(der: &[u8]) -> Vec<u8> {
    let (mut rest, mut out) = (&der[2..], Vec::new());
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = after;
    }
    out
}

impl World {
    pub(crate) fn start() -> Self {
        let sandbox = Sandbox::new();
        let key = new_key();
        let published = keys(&key);
        let issuer = FaultyServer::start(move |request| {
            let url = format!("http://{}", request.header("host").unwrap_or_default());
            let document = json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "id_token_signing_alg_values_supported": ["ES256"],
            });
            let body = match request.path.ends_with("/openid-configuration") {
                true => document.to_string(),
                false => published.clone(),
            };
            Reply::status(200)
                .with("content-type", "application/json")
                .body(body)
        });
        let issuer_url = format!("http://{}", issuer.address());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect(MADE);
        let entered = runtime.enter();
        let listen = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect(MADE);
            listener.set_nonblocking(true).expect(MADE);
            let listener = TcpListener::from_std(listener).expect(MADE);
            let url = format!("http://{}", listener.local_addr().expect(MADE));
            (listener, url)
        };
        let forever = std::future::pending::<()>;

        let root = Authority::root(new_key(), "example.org", "root", now()).expect(MADE);
        let signing = root
            .intermediate(
                new_key(),
                "example.org",
                "CA",
                ExtendedKeyUsage::CodeSigning,
                now(),
            )
            .expect(MADE);
        let chain = vec![signing.certificate, root.certificate.clone()];
        let ct_key = new_key();
        let ct_folder = sandbox.join("ct");
        std::fs::create_dir(&ct_folder).expect(MADE);
        let settings = Settings::with_signer(TREE, CtSigner::new("ct.example/log", ct_key.clone()));
        let engine = Log::open_directory(&ct_folder.join("log"), settings).expect(MADE);
        let roots = vec![root.certificate.clone()];
        let ct = CtLog::open(
            Arc::new(engine),
            "ct.example/log",
            ct_key.clone(),
            roots,
            &ct_folder,
        )
        .expect(MADE);
        let configuration =
            format!("oidc-issuers:\n  {issuer_url}:\n    client-id: sigstore\n    type: email\n");
        let ca = CertificateAuthority::new(Options {
            key: signing.key,
            chain: chain.clone(),
            ct: Some(ct.clone().into()),
            configuration: Configuration::parse(&configuration).expect(MADE),
            clock: Arc::new(SystemClock),
        })
        .expect(MADE);
        let (listener, ca_url) = listen();
        runtime.spawn(listen::serve(ca.router(), listener, forever()));

        let tsa_root = Authority::root(new_key(), "example.org", "timestamps", now()).expect(MADE);
        let own = tsa_root
            .timestamper(new_key(), "example.org", "tsa", now())
            .expect(MADE);
        let tsa = TimestampAuthority::new(own, &[tsa_root.certificate], Arc::new(SystemClock));
        let tsa = tsa.expect(MADE);
        let tsa_chain = tsa.chain().to_vec();
        let (listener, tsa_url) = listen();
        runtime.spawn(listen::serve(tsa.router(), listener, forever()));
        let tsa_url = format!("{tsa_url}/api/v1/timestamp");

        let options = sealmark_server::log::Options::new("127.0.0.1");
        let log = TransparencyLog::open(&sandbox.join("tlog"), options).expect(MADE);
        let [v1, v2] =
            [log.public_key_v1(), log.public_key_v2()].map(|path| std::fs::read(path).expect(MADE));
        let (listener, log_url) = listen();
        runtime.spawn(log.serve(listener, forever()));
        drop(entered);

        let mut trusted = TrustedRoot::empty();
        let since = TimeRange {
            start: Some(Timestamp::now() - 1.hour()),
            end: None,
        };
        let trust_log = |pem: &[u8], url: &str, origin| {
            service::log("the test", pem, url, origin, since).expect(MADE)
        };
        trusted.tlogs = vec![
            trust_log(&v1, &log_url, None),
            trust_log(&v2, &log_url, Some("127.0.0.1")),
        ];
        let ct_pem = ct.public_key().to_pem();
        trusted.ctlogs = vec![trust_log(ct_pem.as_bytes(), "http://ct.example/log", None)];
        trusted.certificate_authorities =
            vec![service::certificate_authority("the test", &chain, &ca_url, since).expect(MADE)];
        trusted.timestamp_authorities = vec![
            service::timestamp_authority("the test", &tsa_chain, &tsa_url, since).expect(MADE),
        ];
        sandbox.write("root.json", trusted.to_json());
        // As cosign 2 wants to be told about images.
        let pem: Vec<String> = chain.iter().map(Certificate::to_pem).collect();
        sandbox.write("ca.pem", pem.concat());
        sandbox.write("ct.pub", &ct_pem);
        sandbox.write("rekor.pub", &v1);

        let world = Self {
            sandbox,
            issuer,
            key,
            ca: ca_url,
            tsa: tsa_url,
            log: log_url,
            runtime,
        };
        world.write_config("v1.json", 1, false);
        world.write_config("v2.json", 2, true);
        world.sandbox.write("app.txt", "the file\n");
        world
    }

    fn write_config(&self, name: &str, version: u32, with_timestamps: bool) {
        let service = |url: &str, version| Service {
            url: url.to_owned(),
            major_api_version: version,
            valid_for: TimeRange {
                start: Some(Timestamp::now() - 1.hour()),
                end: None,
            },
            operator: "example.org".to_owned(),
        };
        let tsa = with_timestamps.then(|| service(&self.tsa, 1));
        let config = SigningConfig {
            ca_urls: vec![service(&self.ca, 1)],
            oidc_urls: vec![service(&self.issuer_url(), 1)],
            rekor_tlog_urls: vec![service(&self.log, version)],
            rekor_tlog_config: Some(Selector::Any),
            tsa_config: Some(Selector::Any),
            tsa_urls: tsa.into_iter().collect(),
        };
        self.sandbox.write(name, config.to_json());
    }

    pub(crate) fn issuer_url(&self) -> String {
        format!("http://{}", self.issuer.address())
    }

    /// Makes the issuer's tokens, also where the world is not at hand.
    pub(crate) fn signing(&self) -> Tokens {
        Tokens {
            issuer: self.issuer_url(),
            key: self.key.clone(),
        }
    }

    /// A token with these claims, and those that every token has.
    pub(crate) fn token(&self, claims: Value) -> String {
        self.signing().token(claims)
    }

    /// Sealmark, believing this world, with a token of Jane's.
    pub(crate) fn sealmark(&self, words: &[&str]) -> Program {
        let program = self.sandbox.command(SEALMARK).args(words);
        program.env("SIGSTORE_ID_TOKEN", self.token(json!({})))
    }

    /// Posts JSON, and gives what comes back.
    pub(crate) fn post(&self, url: &str, json: String) -> Vec<u8> {
        let request = reqwest::Client::new().post(url).body(json);
        let request = request.header("content-type", "application/json");
        let answer = self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            answer.bytes().await
        });
        answer.expect("the service answers").to_vec()
    }

    /// Another program, in this world.
    pub(crate) fn run(&self, program: &std::path::Path, words: &[&str]) -> Finished {
        self.sandbox.command(program).args(words).run()
    }
}

/// What makes an issuer's tokens.
pub(crate) struct Tokens {
    issuer: String,
    key: PrivateKey,
}

impl Tokens {
    /// A token with these claims, and those that every token has.
    pub(crate) fn token(&self, claims: Value) -> String {
        let mut all = json!({
            "iss": self.issuer, "aud": "sigstore", "sub": "1234", "exp": now() + 60, "iat": now(),
            "email": JANE, "email_verified": true,
        });
        for (name, value) in claims.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "kid": "k1"})),
            part(&all)
        );
        let der = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&der)))
    }
}
