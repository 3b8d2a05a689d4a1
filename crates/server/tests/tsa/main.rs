//! Timestamps, as `openssl ts` and Sigstore's clients ask for them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock, SystemClock};
use sealmark_server::ca::Authority;
use sealmark_server::listen;
use sealmark_server::tsa::{POLICY, TimestampAuthority};
use sealmark_x509::{Certificate, TimestampToken};
use serde_json::json;
use tokio::net::TcpListener;

const QUERY: &str = "application/timestamp-query";

struct World {
    url: String,
    chain: Vec<Certificate>,
    http: reqwest::Client,
}

fn new_key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).expect("there is randomness")
}

fn now() -> u64 {
    SystemClock.now_ms() / 1000
}

impl World {
    async fn start() -> Self {
        Self::with_clock(Arc::new(SystemClock)).await
    }

    async fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let root = Authority::root(
            new_key(Algorithm::EcdsaP384),
            "example.org",
            "timestamps",
            now(),
        )
        .expect("a root is made");
        let own = root
            .timestamper(new_key(Algorithm::EcdsaP256), "example.org", "tsa", now())
            .expect("a certificate is made");
        let above = [root.certificate];
        let tsa = TimestampAuthority::new(own, &above, clock);
        let tsa = tsa.expect("they belong together");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let chain = tsa.chain().to_vec();
        tokio::spawn(listen::serve(
            tsa.router(),
            listener,
            std::future::pending(),
        ));
        Self {
            url: format!("http://{address}/api/v1/timestamp"),
            chain,
            http: reqwest::Client::new(),
        }
    }

    async fn post(&self, kind: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let request = self
            .http
            .post(&self.url)
            .header("content-type", kind)
            .body(body);
        let answer = request.send().await.expect("the authority answers");
        let status = answer.status().as_u16();
        (
            status,
            answer.bytes().await.expect("a whole answer").to_vec(),
        )
    }
}

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl is installed");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test]
async fn openssl_asks_and_verifies() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("data"), "what existed").unwrap();
    std::fs::write(path("tsa.pem"), world.chain[0].to_pem()).unwrap();
    std::fs::write(path("root.pem"), world.chain[1].to_pem()).unwrap();
    for (hash, more) in [
        ("-sha256", "-cert"),
        ("-sha384", "-no_nonce"),
        ("-sha512", "-cert"),
    ] {
        let query = path("query");
        let made = openssl(&[
            "ts",
            "-query",
            "-data",
            &path("data"),
            hash,
            more,
            "-out",
            &query,
        ]);
        assert!(made.0, "{}", made.1);
        let (status, reply) = world
            .post(QUERY, std::fs::read(path("query")).unwrap())
            .await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&reply));
        std::fs::write(path("reply"), &reply).unwrap();
        let verified = openssl(&[
            "ts",
            "-verify",
            "-queryfile",
            &query,
            "-in",
            &path("reply"),
            "-CAfile",
            &path("root.pem"),
            "-untrusted",
            &path("tsa.pem"),
        ]);
        assert!(verified.0, "{hash} {more}: {}", verified.1);
        let shown = openssl(&["ts", "-reply", "-in", &path("reply"), "-text"]).1;
        assert!(
            shown.contains("Status: Granted.") && shown.contains(POLICY),
            "{shown}"
        );
        assert!(shown.contains("Accuracy: 0x01 seconds"), "{shown}");
        let token = TimestampToken::parse(&reply).unwrap();
        assert_eq!(token.certificates().len(), usize::from(more == "-cert"));
        assert!(token.unix_seconds().abs_diff(now()) < 5);
    }
}

#[tokio::test]
async fn clients_in_javascript_ask_in_json() {
    let world = World::start().await;
    let digest = Digest::sha256(b"a signature");
    let body = |nonce: u64| json!({"artifactHash": STANDARD.encode(digest.bytes()), "hashAlgorithm": "sha256", "nonce": nonce});
    for (nonce, content) in [
        (7, vec![7]),
        (0x80, vec![0, 0x80]),
        (0, vec![0]),
        (0x1234, vec![0x12, 0x34]),
    ] {
        let (status, reply) = world
            .post("application/json", body(nonce).to_string().into())
            .await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&reply));
        let token = TimestampToken::parse(&reply).unwrap();
        assert_eq!((token.imprint(), token.policy()), (&digest, POLICY));
        assert_eq!(token.nonce(), Some(&content[..]));
        assert!(token.certificates().is_empty());
    }
    let chain = world
        .http
        .get(format!("{}/certchain", world.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        chain.headers()["content-type"],
        "application/pem-certificate-chain"
    );
    assert_eq!(
        Certificate::chain_from_pem(&chain.bytes().await.unwrap()).unwrap(),
        world.chain
    );
}

#[tokio::test]
async fn a_refusal_says_why() {
    let world = World::start().await;
    let json = |hash: &str, algorithm: &str, policy: &str| {
        json!({"artifactHash": hash, "hashAlgorithm": algorithm, "tsaPolicyOID": policy})
            .to_string()
    };
    let digest = STANDARD.encode([0; 32]);
    for (kind, body, status, message) in [
        ("text/plain", String::new(), 415, "unsupported media type"),
        (
            QUERY,
            String::new(),
            400,
            "Error generating timestamp response: it is not a timestamp request",
        ),
        (
            QUERY,
            "x".repeat(4097),
            413,
            "timestamp request is too large",
        ),
        ("application/json", "{}".to_owned(), 400, "artifactHash"),
        (
            "application/json",
            json("!", "sha256", ""),
            400,
            "artifactHash is not base64",
        ),
        (
            "application/json",
            json("AA==", "sha256", ""),
            400,
            "not as long as a sha256 digest",
        ),
        (
            "application/json",
            json(&digest, "sha1", ""),
            400,
            "must be sha256, sha384 or sha512",
        ),
        (
            "application/json; charset=utf-8",
            json(&digest, "sha256", "1.2.3"),
            400,
            "unaccepted policy",
        ),
    ] {
        let (found, text) = world.post(kind, body.into()).await;
        let text = String::from_utf8(text).unwrap();
        assert!(found == status && text.contains(message), "{found} {text}");
    }
    let answer = world.http.get(&world.url).send().await.unwrap();
    assert_eq!(answer.status(), 405);
}

#[tokio::test]
async fn nothing_is_stamped_with_a_clock_that_was_set() {
    let off = Arc::new(AtomicI64::new(0));
    let read = off.clone();
    let clock = move || {
        let off = read.load(Ordering::SeqCst);
        SystemClock.now_ms().saturating_add_signed(off)
    };
    let world = World::with_clock(Arc::new(clock)).await;
    let digest = STANDARD.encode(Digest::sha256(b"a signature").bytes());
    let body = json!({"artifactHash": digest, "hashAlgorithm": "sha256"}).to_string();
    let mut last = 0;
    for (seconds, status) in [
        (0, 200),
        (-3600, 503),
        (-5, 503),
        (3600, 503),
        (0, 200),
        (-3600, 503),
        (0, 200),
    ] {
        off.store(seconds * 1000, Ordering::SeqCst);
        let request = world
            .http
            .post(&world.url)
            .header("content-type", "application/json");
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{seconds} s off");
        let come_again = answer.headers().contains_key("retry-after");
        assert_eq!(come_again, status == 503);
        let bytes = answer.bytes().await.unwrap();
        match status {
            200 => {
                let time = TimestampToken::parse(&bytes).unwrap().unix_seconds();
                assert!(time >= last && time.abs_diff(now()) < 5);
                last = time;
            }
            _ => assert!(String::from_utf8_lossy(&bytes).contains("clock was set by")),
        }
    }
}
