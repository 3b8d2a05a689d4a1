//! Encryption: who reaches the server, and what its operator is told of the files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Version};
use sealmark_testkit::Sandbox;

use crate::bench::{Bench, SEALMARK, have};
use crate::serving::{Serving, certificate, entry, openssl, text};

/// A client that trusts one certificate.
fn trusting(pem: &Path, version: Version) -> Client {
    let pem = fs::read(pem).expect("the certificate is there");
    let certificate = Certificate::from_pem(&pem).expect("it is a certificate");
    let builder = Client::builder().no_proxy().tls_certs_only([certificate]);
    let builder = match version {
        Version::HTTP_2 => builder,
        _ => builder.http1_only(),
    };
    builder.build().expect("a client")
}

#[tokio::test]
async fn it_speaks_both_versions_over_tls_and_takes_new_certificates() {
    if !have(&["openssl"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let [old, _] = certificate(&sandbox, "old");
    let [new, _] = certificate(&sandbox, "new");
    let (pem, key) = (sandbox.join("tls.pem"), sandbox.join("tls.key"));
    let install = |name: &str| {
        for extension in ["pem", "key"] {
            let from = sandbox.join(format!("{name}.{extension}"));
            fs::copy(from, sandbox.join(format!("tls.{extension}"))).unwrap();
        }
    };
    install("old");
    let flags = [
        "--log-level",
        "info",
        "--tls-cert",
        text(&pem),
        "--tls-key",
        text(&key),
    ];
    let serving = Serving::start(&sandbox, &flags);
    assert!(serving.url.starts_with("https://"), "{}", serving.url);
    let url = format!("{}/api/v1/log", serving.url);
    let clients =
        [Version::HTTP_11, Version::HTTP_2].map(|version| (version, trusting(&old, version)));
    for (version, client) in &clients {
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, *version)
        );
        answer.bytes().await.unwrap();
    }

    // Files that are no good change nothing.
    fs::write(&pem, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    serving.logged("the old certificate stays in use").await;
    for (_, client) in &clients {
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    }

    install("new");
    let deadline = Instant::now() + Duration::from_secs(20);
    let renewed = trusting(&new, Version::HTTP_2);
    while renewed.get(&url).send().await.is_err() {
        assert!(Instant::now() < deadline, "{}", serving.server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // New connections have the new one; who is connected is not disturbed.
    assert!(
        trusting(&old, Version::HTTP_2)
            .get(&url)
            .send()
            .await
            .is_err()
    );
    for (version, client) in &clients {
        let answer = client.get(&url).send().await;
        assert_eq!(answer.unwrap().status(), 200, "{version:?}");
    }
    serving.stop();
}

#[tokio::test]
async fn rekor_cli_uses_it_over_tls() {
    if !have(&["openssl", "rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    let sandbox = &bench.sandbox;
    let [pem, key] = certificate(sandbox, "tls");
    let serving = Serving::start(
        sandbox,
        &["--tls-cert", text(&pem), "--tls-key", text(&key)],
    );
    let client = trusting(&pem, Version::HTTP_2);
    let entries = format!("{}/api/v1/log/entries", serving.url);
    let created = client.post(entries).json(&entry(b"data").0).send().await;
    assert_eq!(created.unwrap().status(), 201);
    let get = ["get", "--log-index", "0", "--rekor_server", &serving.url];
    let rekor = bench.peer("rekor-cli").env("SSL_CERT_FILE", &pem);
    rekor
        .args(get)
        .run()
        .success()
        .stdout_has("HashedRekordObj");
    // Without it, the client does not trust the server.
    bench.peer("rekor-cli").args(get).run().failure();
    serving.stop();
}

#[test]
fn a_key_that_others_can_read_is_warned_about() {
    if !have(&["openssl"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let [pem, key] = certificate(&sandbox, "tls");
    let flags = ["--tls-cert", text(&pem), "--tls-key", text(&key)];
    for (mode, warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let serving = Serving::start(&sandbox, &flags);
        let log = serving.server.log();
        assert_eq!(log.contains("others can read the key"), warned, "{log}");
        assert_eq!(log.contains(&format!("mode {mode:04o}")), warned, "{log}");
        serving.stop();
    }
}

/// A certificate that was valid in the year 2020, for the key of another.
fn expired(sandbox: &Sandbox, key: &Path) {
    sandbox.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
    );
    sandbox.write("index.txt", "");
    openssl(
        sandbox,
        &[
            "req",
            "-new",
            "-key",
            text(key),
            "-subj",
            "/CN=localhost",
            "-out",
            "old.csr",
        ],
    );
    openssl(
        sandbox,
        &[
            "ca",
            "-batch",
            "-selfsign",
            "-notext",
            "-config",
            "ca.cnf",
            "-keyfile",
            text(key),
            "-in",
            "old.csr",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20210101000000Z",
            "-out",
            "expired.pem",
        ],
    );
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_true_cause() {
    if !have(&["openssl"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let [_, key] = certificate(&sandbox, "good");
    certificate(&sandbox, "other");
    expired(&sandbox, &key);
    openssl(
        &sandbox,
        &[
            "pkcs8",
            "-topk8",
            "-in",
            "good.key",
            "-out",
            "locked.key",
            "-passout",
            "pass:x",
        ],
    );
    sandbox.write("empty", "");
    sandbox.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    );
    sandbox.write(
        "nonsense.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (certificate, key, causes) in [
        ("missing.pem", "good.key", ["missing.pem", "No such file"]),
        ("good.pem", "missing.key", ["missing.key", "No such file"]),
        ("empty", "good.key", ["empty", "no certificate is in it"]),
        (
            "good.key",
            "good.key",
            ["good.key", "no certificate is in it"],
        ),
        (
            "good.pem",
            "good.pem",
            ["good.pem", "no private key is in it"],
        ),
        (
            "good.pem",
            "locked.key",
            ["locked.key", "encrypted, which is not supported"],
        ),
        (
            "broken.pem",
            "good.key",
            ["broken.pem", "not well-formed PEM"],
        ),
        ("nonsense.pem", "good.key", ["nonsense.pem", "unreadable"]),
        (
            "good.pem",
            "other.key",
            ["other.key", "is not that of the first certificate"],
        ),
        (
            "expired.pem",
            "good.key",
            ["expired.pem", "expired at 2021-01-01T00:00:00Z"],
        ),
    ] {
        let run = sandbox
            .command(SEALMARK)
            .args([
                "serve",
                "--only",
                "log",
                "--listen",
                "127.0.0.1:0",
                "--dir",
                "log",
            ])
            .args(["--tls-cert", certificate, "--tls-key", key])
            .run()
            .failure();
        causes
            .into_iter()
            .fold(run, |run, cause| run.stderr_has(cause));
        assert!(!sandbox.join("log").exists(), "nothing was made of it");
    }
    let alone = sandbox.command(SEALMARK).args([
        "serve",
        "--only",
        "log",
        "--dir",
        "log",
        "--tls-cert",
        "good.pem",
    ]);
    alone.run().failure().stderr_has("--tls-key");
}
