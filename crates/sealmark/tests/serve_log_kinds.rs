//! Entries with keys of OpenPGP, minisign, OpenSSH and X.509, sent by `rekor-cli` to `serve --only log`.
//!
//! What is signed is from the fixtures of the crate that checks entries; `rekor-cli` checks it too before it sends it.

mod bench;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::{Bench, SEALMARK, have};
use sealmark_testkit::{Program, Server};
use serde_json::Value;

struct Log {
    url: String,
    server: Server,
}

impl Log {
    fn start(bench: &Bench) -> Self {
        let program = bench
            .sandbox
            .command(SEALMARK)
            .args(["serve", "--only", "log", "--listen", "127.0.0.1:0", "--dir"])
            .arg(bench.sandbox.join("log"));
        let (server, url) = program.serve(|line| {
            let (_, rest) = line.split_once("transparency log at ")?;
            rest.split(' ').next().map(str::to_owned)
        });
        Self { url, server }
    }

    fn rekor(&self, bench: &Bench, words: &[&str]) -> Program {
        let program = bench.peer("rekor-cli").args(words);
        program.args(["--rekor_server", &self.url])
    }
}

/// Writes what a fixture proposes into files, and gives the words that `rekor-cli` wants for them.
fn files_of(bench: &Bench, name: &str, format: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../entries/tests/fixtures/rekor-1.5.3")
        .join(format!("{name}.json"));
    let case: Value = serde_json::from_slice(&std::fs::read(path).expect("the fixture is there"))
        .expect("it is JSON");
    let proposed = &case["proposed"];
    let kind = proposed["kind"].as_str().expect("it has a kind");
    let mut words = vec!["--type", kind, "--pki-format", format]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let pointers = match kind {
        "helm" => vec![
            ("artifact", "/spec/chart/provenance/content"),
            ("public-key", "/spec/publicKey/content"),
        ],
        _ => vec![
            ("artifact", "/spec/data/content"),
            ("signature", "/spec/signature/content"),
            ("public-key", "/spec/signature/publicKey/content"),
        ],
    };
    for (flag, pointer) in pointers {
        let file = format!("{name}.{flag}");
        let content = proposed.pointer(pointer).and_then(Value::as_str);
        let content = STANDARD.decode(content.expect("it has this part"));
        bench.sandbox.write(&file, content.expect("it is base64"));
        words.extend([format!("--{flag}"), file]);
    }
    words
}

#[test]
fn rekor_cli_logs_and_finds_what_is_signed_with_other_keys() {
    if !have(&["rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    for (index, (name, format, object)) in [
        ("helm-rsa2048", "pgp", "HelmObj"),
        ("helm-identities", "pgp", "HelmObj"),
        ("helm-p384", "pgp", "HelmObj"),
        ("rekord-pgp-rsa3072", "pgp", "RekordObj"),
        ("rekord-pgp-p256-binary", "pgp", "RekordObj"),
        ("rekord-pgp-signing-subkey", "pgp", "RekordObj"),
        ("rekord-pgp-expired", "pgp", "RekordObj"),
        ("rekord-minisign", "minisign", "RekordObj"),
        ("rekord-minisign-signify", "minisign", "RekordObj"),
        ("rekord-ssh-ed25519", "ssh", "RekordObj"),
        ("rekord-ssh-ecdsa521", "ssh", "RekordObj"),
        ("rekord-ssh-rsa3072", "ssh", "RekordObj"),
        ("rekord-x509-p384", "x509", "RekordObj"),
        ("rekord-x509-certificate", "x509", "RekordObj"),
    ]
    .into_iter()
    .enumerate()
    {
        let files = files_of(&bench, name, format);
        let uploaded = log.rekor(&bench, &["upload"]).args(&files).run().success();
        let location = uploaded.stdout();
        let created = format!("Created entry at index {index},");
        assert!(location.contains(&created), "{name}: {uploaded}");
        let uuid = location.trim().rsplit('/').next().unwrap().to_owned();
        // rekor-cli made the canonical form on its own to look for it: it is the same.
        let again = log.rekor(&bench, &["upload"]).args(&files).run().success();
        assert!(again.stdout().contains("Entry already exists"), "{again}");
        let got = log.rekor(&bench, &["get", "--uuid", &uuid]).run().success();
        assert!(got.stdout().contains(object), "{got}");
        // It writes the identities of an OpenPGP key in the order of a Go map, another one each time, and so does not
        // find its own entry when a key has several.
        if name != "helm-identities" {
            log.rekor(&bench, &["verify"]).args(&files).run().success();
        }
        let key = format!("{name}.public-key");
        let words = ["search", "--pki-format", format, "--public-key", &key];
        log.rekor(&bench, &words).run().success().stdout_has(&uuid);
    }
    // In an identity of an OpenPGP key, in a comment of an SSH key, in a certificate.
    for email in [
        "rsa3072@example.com",
        "ed25519@example.com",
        "cert@example.com",
    ] {
        log.rekor(&bench, &["search", "--email", email])
            .run()
            .success();
    }
    // The hash of a chart is what its provenance says it is.
    let chart = "8d7cc4eeab0a5a5cb2e2fcd4b1a6fd2f1c3a3e1a50f2b0b7fbb8ff8be16e8c7a";
    log.rekor(&bench, &["search", "--sha", chart])
        .run()
        .success();
    assert!(log.server.terminate().success());
}
