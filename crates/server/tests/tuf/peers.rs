//! The clients that people have: each trusts the first root, reads the targets, and follows new keys.

use std::path::Path;

use jiff::Timestamp;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock, SystemClock};
use sealmark_server::ca::Authority;
use sealmark_server::tuf::Repository;
use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_trust::tuf::{Options, RootSource, initialize};
use serde_json::json;

use crate::world::{TRUSTED_ROOT, open, serve};

const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

/// A trusted root that clients can read, of an instance that is called `name`.
fn trusted_root(name: &str) -> String {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let key = key.public_key();
    let base64 = |bytes: &[u8]| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    let log = json!({
        "baseUrl": format!("http://{name}.example"),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": base64(key.spki_der()),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2026-01-01T00:00:00Z"},
        },
        "logId": {"keyId": base64(key.id().bytes())},
    });
    let now = SystemClock.now_ms() / 1000;
    let own = PrivateKey::generate(Algorithm::EcdsaP384).unwrap();
    let root = Authority::root(own, "example.org", name, now).unwrap();
    let authority = json!({
        "subject": {"organization": "example.org", "commonName": name},
        "uri": format!("http://{name}.example"),
        "certChain": {"certificates": [{"rawBytes": base64(root.certificate.der())}]},
        "validFor": {"start": "2026-01-01T00:00:00Z"},
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log],
        "certificateAuthorities": [authority],
        "ctlogs": [log],
        "timestampAuthorities": [],
    })
    .to_string()
}

fn signing_config() -> String {
    let service = json!([{
        "url": "http://127.0.0.1:1",
        "majorApiVersion": 1,
        "validFor": {"start": "2026-01-01T00:00:00Z"},
        "operator": "example",
    }]);
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service,
        "oidcUrls": service,
        "rekorTlogUrls": service,
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    })
    .to_string()
}

fn publish(repository: &Repository, name: &str) -> String {
    let (root, config) = (trusted_root(name), signing_config());
    let targets = [(TRUSTED_ROOT, root.clone()), (SIGNING_CONFIG, config)];
    assert!(repository.publish(&targets).unwrap());
    root
}

/// Whether some file below has this content.
fn has(directory: &Path, content: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return false;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .any(|path| match path.is_dir() {
            true => has(&path, content),
            false => std::fs::read(path).is_ok_and(|found| found == content.as_bytes()),
        })
}

/// A repository from its first day to new keys of both kinds; after each step the client `update`s, and must have the
/// trusted root that is given to it.
async fn story(update: impl Fn(&Sandbox, &str, &Path, &str)) {
    let (directory, sandbox) = (tempfile::tempdir().unwrap(), Sandbox::new());
    let repository = open(directory.path(), SystemClock).unwrap();
    let url = serve(&repository).await;
    let first = sandbox.write("root.json", repository.first_root());
    // The server goes on meanwhile.
    let update = |sandbox: &Sandbox, root: &Path, content: &str| {
        tokio::task::block_in_place(|| update(sandbox, &url, root, content));
    };
    update(&sandbox, &first, &publish(&repository, "first"));
    update(&sandbox, &first, &publish(&repository, "second"));
    repository.rotate_online(None).unwrap();
    update(&sandbox, &first, &publish(&repository, "third"));
    repository.rotate_root(None).unwrap();
    update(&sandbox, &first, &publish(&repository, "fourth"));
    repository.rotate_online(None).unwrap();
    repository.rotate_root(None).unwrap();
    let last = publish(&repository, "fifth");
    update(&sandbox, &first, &last);
    // Those who come late, with the first root and with the newest.
    update(&Sandbox::new(), &first, &last);
    let newest = sandbox.write("newest.json", repository.root_json());
    update(&Sandbox::new(), &newest, &last);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_tuf_follows() {
    let python = require_or_skip!("python-tuf");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tuf/python_client.py");
    story(|sandbox, url, root, content| {
        let client = sandbox.command(&python).arg(script);
        let client = client.arg(sandbox.join("client")).args([url]).arg(root);
        let done = client.arg(TRUSTED_ROOT).run().success();
        assert_eq!(done.stdout(), content);
    })
    .await;
}

fn cosign(program: &Path, sandbox: &Sandbox, url: &str, root: &Path, content: &str) {
    let cosign = sandbox.command(program).arg("initialize");
    let cosign = cosign.args(["--mirror", url, "--root"]).arg(root);
    let done = cosign.run().success();
    assert!(has(&sandbox.join("home/.sigstore"), content), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_2_follows() {
    let cosign2 = require_or_skip!("cosign2");
    story(|sandbox, url, root, content| cosign(&cosign2, sandbox, url, root, content)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_3_follows() {
    let cosign3 = require_or_skip!("cosign3");
    story(|sandbox, url, root, content| cosign(&cosign3, sandbox, url, root, content)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigstore_python_follows() {
    let python = require_or_skip!("sigstore-python");
    story(|sandbox, url, root, content| {
        // Trust is given once; from then on the client follows.
        let trusted = sandbox.join("home/.trusted");
        let command = sandbox.command(&python).args(["--instance", url]);
        let command = match trusted.exists() {
            true => command.args(["plumbing", "update-trust-root"]),
            false => command.arg("trust-instance").arg(root),
        };
        let done = command.run().success();
        sandbox.write("home/.trusted", "");
        assert!(has(&sandbox.join("home"), content), "{done}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealmark_follows() {
    story(|sandbox, url, root, content| {
        let mut options = Options::new(sandbox.join("cache"), Timestamp::now());
        options.mirror = url.to_owned();
        let root = RootSource::Location(root.display().to_string());
        let done = tokio::runtime::Handle::current().block_on(initialize(&options, &root, None));
        done.unwrap();
        assert!(has(&sandbox.join("cache"), content));
    })
    .await;
}
