//! A server with flags, and entries for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Response};
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Sandbox, Server};
use serde_json::{Value, json};

use crate::bench::SEALMARK;

/// A running log.
pub(crate) struct Serving {
    pub(crate) url: String,
    /// Where metrics are.
    pub(crate) metrics: String,
    pub(crate) server: Server,
    client: Client,
}

impl Serving {
    /// Starts it in the folder `log` of the sandbox, with metrics.
    pub(crate) fn start(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let program = sandbox
            .command(SEALMARK)
            .args(["serve", "--only", "log", "--dir"])
            .arg(sandbox.join("log"))
            .args(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .args(flags);
        let (server, url) = program.serve(|line| after(line, "transparency log at "));
        let metrics = server.log();
        let metrics = metrics.lines().find_map(|line| after(line, "metrics at "));
        Self {
            url,
            metrics: metrics.expect("it says where metrics are"),
            server,
            client: Client::builder().no_proxy().build().expect("a client"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let answer = self.client.get(format!("{}{path}", self.url)).send();
        answer.await.expect("the server answers")
    }

    pub(crate) async fn post(&self, path: &str, json: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).json(json);
        request.send().await.expect("the server answers")
    }

    /// The value of a sample, by its name and labels as they are written.
    pub(crate) async fn sample(&self, name: &str) -> Option<f64> {
        let text = self.exposition().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok())
    }

    pub(crate) async fn exposition(&self) -> String {
        let answer = self.client.get(&self.metrics).send();
        let answer = answer.await.expect("there are metrics");
        answer.text().await.expect("metrics are text")
    }

    /// Waits until the server has logged something; what it logs comes a moment after its answers.
    pub(crate) async fn logged(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.server.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{text:?} was not logged:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn stop(self) {
        assert!(self.server.terminate().success());
    }
}

fn after(line: &str, words: &str) -> Option<String> {
    let (_, rest) = line.split_once(words)?;
    let end = rest.find([' ', '"']).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

/// A signed entry, and the digest that it is found by.
pub(crate) fn entry(data: &[u8]) -> (Value, String) {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("a key");
    let digest = Digest::sha256(data);
    let signature = key.sign_digest(&digest).expect("a signature");
    let pem = key.public_key().to_pem();
    let entry = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": STANDARD.encode(pem)}},
    }});
    (entry, digest.to_string())
}

/// A certificate for 127.0.0.1 that signs itself, made by OpenSSL: `NAME.pem` and `NAME.key`.
pub(crate) fn certificate(sandbox: &Sandbox, name: &str) -> [PathBuf; 2] {
    let [pem, key] = ["pem", "key"].map(|extension| sandbox.join(format!("{name}.{extension}")));
    openssl(
        sandbox,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            text(&key),
            "-out",
            text(&pem),
        ],
    );
    [pem, key]
}

pub(crate) fn openssl(sandbox: &Sandbox, words: &[&str]) {
    sandbox.command("openssl").args(words).run().success();
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the sandbox has a plain name")
}
