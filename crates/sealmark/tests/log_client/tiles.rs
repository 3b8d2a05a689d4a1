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
    log.sealmark_v2(&bench, &["search", "--artifact", "file.txt"])
        .run()
        .failure()
        .stderr_has("this log of version 2 has no search")
        .stderr_has("log monitor");
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
    let key = sealmark_keys::PrivateKey::generate(sealmark_keys::Algorithm::EcdsaP256).unwrap();
    let statement = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"aa"}}],"predicateType":"x"}"#;
    let envelope = dsse::Envelope {
        payload: statement.to_vec(),
        payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: vec![dsse::Signature {
            sig: key
                .sign(&dsse::pae(dsse::IN_TOTO_PAYLOAD_TYPE, statement))
                .unwrap(),
            keyid: None,
        }],
    };
    let text = serde_json::to_string(&envelope).unwrap();
    bench.sandbox.write("envelope.json", &text);
    bench
        .sandbox
        .write("key.pub", key.public_key().to_pem().as_bytes());
    let files = ["--artifact", "envelope.json", "--public-key", "key.pub"];
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
