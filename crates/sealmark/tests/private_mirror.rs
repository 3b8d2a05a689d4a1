//! `initialize` with the TUF repository of a private instance: its keys change, and the program follows.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_server::listen;
use sealmark_server::tuf::{Options, Repository};
use sealmark_testkit::Sandbox;
use serde_json::json;
use tokio::net::TcpListener;

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Publishes a trusted root with one log.
fn publish(repository: &Repository, url: &str) {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let key = key.public_key();
    let trusted_root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [{
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(key.spki_der()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2026-01-01T00:00:00Z"},
            },
            "logId": {"keyId": STANDARD.encode(key.id().bytes())},
        }],
    });
    let content = trusted_root.to_string();
    assert!(
        repository
            .publish(&[("trusted_root.json", content)])
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_instance_exchanges_its_keys() {
    let (directory, sandbox) = (tempfile::tempdir().unwrap(), Sandbox::new());
    let options = Options {
        clock: Arc::new(now_ms),
        password: None,
    };
    let repository = Repository::open(directory.path(), options).unwrap();
    publish(&repository, "https://first.example");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    let router = repository.router();
    tokio::spawn(listen::serve(router, listener, std::future::pending()));
    let root = sandbox.write("root.json", repository.first_root());
    let run = |arguments: &[&str]| {
        let program = sandbox.command(SEALMARK).args(arguments);
        tokio::task::block_in_place(|| program.run().success())
    };
    let root = root.display().to_string();
    run(&["initialize", "--mirror", &mirror, "--root", &root]);
    let used = || {
        run(&["trusted-root", "create", "--with-default-services"])
            .stdout()
            .to_owned()
    };
    assert!(used().contains("https://first.example"));
    repository.rotate_online(None).unwrap();
    publish(&repository, "https://second.example");
    assert!(used().contains("https://second.example"));
    repository.rotate_root(None).unwrap();
    repository.rotate_online(None).unwrap();
    publish(&repository, "https://third.example");
    assert!(used().contains("https://third.example"));
}
