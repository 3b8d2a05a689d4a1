//! Rekor v2: written over HTTP, read from tiles, more than one of them.

use crate::bench::Bench;
use crate::serving::{Log, json, signed};

#[test]
fn entries_of_version_2_are_proven_from_tiles() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let words = signed(&bench, "file");
    let first = log
        .sealmark_v2(&bench, &["upload"])
        .args(&words)
        .run()
        .success()
        .stdout_has("Created entry at index 0");
    assert!(first.stderr().is_empty(), "{first}");
    log.sealmark_v2(&bench, &["upload"])
        .args(&words)
        .run()
        .success()
        .stdout_has("Entry already exists at index 0");

    let got = log
        .sealmark_v2(&bench, &["get", "--log-index", "0", "--output", "json"])
        .run();
    let got = json(&got.success());
    assert_eq!(got["Kind"], "hashedrekord");
    assert_eq!(got["KindVersion"], "0.0.2");
    log.sealmark_v2(&bench, &["get", "--log-index", "1"])
        .run()
        .failure()
        .stderr_has("has no entry with the index 1");
    log.sealmark_v2(&bench, &["verify", "--log-index", "0"])
        .args(&words)
        .run()
        .success();
    let other = signed(&bench, "other");
    log.sealmark_v2(&bench, &["verify", "--log-index", "0"])
        .args(&other)
        .run()
        .code(10)
        .stderr_has("entry 0 of");
    // A Rekor of version 2 has no search; our log has one.
    let found = log
        .sealmark_v2(&bench, &["search", "--artifact", "file.txt"])
        .run();
    assert_eq!(found.success().stdout(), "0\n");
    log.stop();
}

/// A log of version 2 that has an index gives indices, page by page; the entries are proven from tiles.
#[test]
fn what_an_index_of_version_2_finds_is_proven() {
    use sealmark_testkit::{FaultyServer, Reply};
    let bench = Bench::new();
    let log = Log::start(&bench);
    for name in ["one", "two", "three"] {
        let words = signed(&bench, name);
        let uploaded = log.sealmark_v2(&bench, &["upload"]).args(words);
        uploaded.run().success();
    }
    let address = log.address().to_owned();
    let server = FaultyServer::start(move |request| match request.path.as_str() {
        "/api/v2/index/retrieve" => {
            let query: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let page = match query["from"].as_u64() {
                None => r#"{"entries":[{"logIndex":"0"}],"next":"1","through":"3"}"#,
                Some(1) => r#"{"entries":[{"logIndex":"2"}],"next":null,"through":"3"}"#,
                Some(_) => r#"{"entries":[{"logIndex":"7"}],"next":null,"through":"3"}"#,
            };
            Reply::status(200).body(page)
        }
        _ => crate::liars::forward(&address, request),
    });
    let search = |words: &[&str]| {
        let program = bench.sandbox.command(crate::bench::SEALMARK);
        let program = program.args(["log", "search", "--log-version", "2"]);
        program
            .args(["--rekor-url", &format!("http://{}", server.address())])
            .arg("--trusted-root")
            .arg(log.directory.join("trusted_root.json"))
            .args(words)
            .run()
    };
    let found = search(&["--artifact", "one.txt"]).success();
    assert_eq!(found.stdout(), "0\n2\n");
    // Entry 2 is another artifact's, and says so.
    found
        .stderr_has("2 of them proven to be in")
        .stderr_has("warning: 1 of the 2 entries do not show what was looked for themselves");
    let found = search(&["--public-key", "three.pub", "-o", "json"]).success();
    assert_eq!(json(&found)["LogIndices"], serde_json::json!(["0", "2"]));
    log.stop();
}

/// The version is that of the signing configuration.
#[test]
fn a_signing_configuration_names_the_log() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let words = signed(&bench, "file");
    for (config, version) in [
        ("signing_config.json", "0.0.1"),
        ("signing_config_rekor_v2.json", "0.0.2"),
    ] {
        let uploaded = bench
            .sandbox
            .command(crate::bench::SEALMARK)
            .args(["log", "upload", "-o", "json", "--signing-config"])
            .arg(log.directory.join(config))
            .arg("--trusted-root")
            .arg(log.directory.join("trusted_root.json"))
            .args(&words)
            .run()
            .success();
        assert_eq!(json(&uploaded)["KindVersion"], version);
    }
    log.stop();
}

/// An envelope is logged as such in version 1, and by the digest of what is signed in version 2.
#[test]
fn envelopes_are_logged() {
    use base64::Engine as _;
    use sealmark_formats::dsse;
    let bench = Bench::new();
    let log = Log::start(&bench);
    bench.sandbox.write("envelope.json", envelope(&bench));
    let text = bench.sandbox.read("envelope.json");
    let envelope = dsse::Envelope::parse(text.as_bytes()).unwrap();
    let files = [
        "--artifact",
        "envelope.json",
        "--public-key",
        "envelope.pub",
    ];
    for (kind, body) in [
        ("dsse", "DSSEObj"),
        ("intoto", "IntotoObj"),
        ("intoto:0.0.1", "IntotoObj"),
    ] {
        let words = ["upload", "-o", "json", "--type", kind];
        let uploaded = log.sealmark(&bench, &words).args(files).run().success();
        assert!(json(&uploaded)["Body"][body].is_object(), "{uploaded}");
        log.sealmark(&bench, &["verify", "--type", kind])
            .args(files)
            .run()
            .success();
    }
    let words = ["upload", "-o", "json", "--type", "dsse"];
    let uploaded = log.sealmark_v2(&bench, &words).args(files).run().success();
    let digest = sealmark_formats::Digest::sha256(&envelope.pae());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest.bytes());
    let body = &json(&uploaded)["Body"]["hashedRekordV002"];
    assert_eq!(body["data"]["digest"], digest, "{uploaded}");
    log.sealmark_v2(&bench, &["upload", "--type", "helm"])
        .args(files)
        .run()
        .failure()
        .stderr_has("a log of version 2 has no entries of kind helm");
    log.stop();
}

/// An attestation by a new key, in `envelope.pub`.
pub(crate) fn envelope(bench: &Bench) -> String {
    use sealmark_formats::dsse;
    let key = sealmark_keys::PrivateKey::generate(sealmark_keys::Algorithm::EcdsaP256)
        .expect("a key can be made");
    bench
        .sandbox
        .write("envelope.pub", key.public_key().to_pem().as_bytes());
    let statement = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"aa"}}],"predicateType":"x"}"#;
    let signature = key.sign(&dsse::pae(dsse::IN_TOTO_PAYLOAD_TYPE, statement));
    let envelope = dsse::Envelope {
        payload: statement.to_vec(),
        payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: vec![dsse::Signature {
            sig: signature.expect("a P-256 key signs"),
            keyid: None,
        }],
    };
    serde_json::to_string(&envelope).expect("an envelope is JSON")
}
