//! `serve --only log`, used by the programs that people use Rekor with.

mod bench;

use bench::log::{Log, sign, signed, verify};
use bench::{Bench, Tool, have};
use sealmark_formats::Digest;
use sealmark_testkit::Finished;
use serde_json::Value;

#[test]
fn rekor_cli_uses_it_as_a_rekor() {
    if !have(&["rekor-cli", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    let first = signed(&bench, "first");
    let hash = Digest::sha256(b"first").to_string();

    let uploaded = log.rekor(&bench, &["upload"]).args(&first).run().success();
    let location = uploaded.stdout();
    assert!(location.contains("Created entry at index 0"), "{uploaded}");
    let uuid = location.trim().rsplit('/').next().unwrap().to_owned();
    let again = log.rekor(&bench, &["upload"]).args(&first).run().success();
    assert!(again.stdout().contains("Entry already exists"), "{again}");

    let got = log.rekor(&bench, &["get", "--uuid", &uuid]).run().success();
    assert!(got.stdout().contains("HashedRekordObj"), "{got}");
    log.rekor(&bench, &["get", "--log-index", "0", "--format", "json"])
        .run()
        .success()
        .stdout_has(&uuid);
    log.rekor(&bench, &["verify"]).args(&first).run().success();
    for found_by in [
        ["--sha", &hash],
        ["--public-key", "first.pub"],
        ["--artifact", "first.txt"],
    ] {
        let words = ["search", "--pki-format", "x509"];
        let words = words.into_iter().chain(found_by).collect::<Vec<_>>();
        log.rekor(&bench, &words).run().success().stdout_has(&uuid);
    }
    log.rekor(&bench, &["search", "--email", "nobody@example.com"])
        .run()
        .failure();

    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has("Verification Successful!");
    let second = signed(&bench, "second");
    log.rekor(&bench, &["upload"]).args(&second).run().success();
    // It has kept the first size, and proves that the log has only grown.
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has("Verification Successful!");
    log.rekor(
        &bench,
        &["logproof", "--first-size", "1", "--last-size", "2"],
    )
    .run()
    .success()
    .stdout_has("Hashes");

    assert!(log.server.terminate().success());
}

#[test]
fn cosign_signs_into_it_and_both_verify() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    let log = Log::start(&bench);
    let tools = Tool::found();
    // cosign 2.5.0 takes the index 0 of a log's very first entry for a missing one.
    bench.sandbox.write("zeroth.txt", "zeroth");
    if tools.contains(&Tool::Cosign2) {
        let zeroth = sign(&bench, Tool::Cosign2, &log, "", "zeroth.txt", "zeroth.json");
        zeroth.success();
    }
    let v2 = "signing_config_rekor_v2.json";
    let cases = [
        (Tool::Cosign2, "", "Cosign 2"),
        (Tool::Cosign3, "signing_config.json", "Cosign 3 with v1"),
        (Tool::Cosign3, v2, "Cosign 3 with v2"),
    ];
    for (number, (signer, config, content)) in cases.into_iter().enumerate() {
        if !tools.contains(&signer) {
            continue;
        }
        let (file, bundle) = (format!("{number}.txt"), format!("{number}.json"));
        bench.sandbox.write(&file, content);
        sign(&bench, signer, &log, config, &file, &bundle).success();
        let logged: Value = serde_json::from_str(&bench.sandbox.read(&bundle)).unwrap();
        let logged = &logged["verificationMaterial"]["tlogEntries"][0];
        let version = if config == v2 { "0.0.2" } else { "0.0.1" };
        assert_eq!(logged["kindVersion"]["version"], version);
        for verifier in &tools {
            // cosign 2 knows no v2.
            if config == v2 && *verifier == Tool::Cosign2 {
                continue;
            }
            verify(&bench, *verifier, &log, &bundle, &file).success();
            verify(&bench, *verifier, &log, &bundle, "log/trusted_root.json").failure();
        }
    }
}

/// As [`sign`], with an attestation; `kind` is that of the log's entry, where cosign asks for it.
fn attest(
    bench: &Bench,
    tool: Tool,
    log: &Log,
    config: &str,
    kind: &str,
    file: &str,
    to: &str,
) -> Finished {
    let attest = bench
        .run(tool)
        .args(["attest-blob", "--key", "key.key", "--yes", "--bundle", to])
        .args(["--type", "custom", "--predicate", "predicate.json"]);
    let attest = match tool {
        Tool::Cosign2 => attest
            .args(["--new-bundle-format", "--rekor-url", &log.url])
            .args(["--rekor-entry-type", kind])
            .env("SIGSTORE_REKOR_PUBLIC_KEY", log.file("keys/v1.pub")),
        _ => attest
            .arg("--signing-config")
            .arg(log.file(config))
            .arg("--trusted-root")
            .arg(log.file("trusted_root.json")),
    };
    attest.arg(file).run()
}

#[test]
fn cosign_attests_into_it_and_both_verify() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    bench.sandbox.write("predicate.json", "{\"built\": true}");
    let log = Log::start(&bench);
    let tools = Tool::found();
    bench.sandbox.write("zeroth.txt", "zeroth");
    if tools.contains(&Tool::Cosign2) {
        let zeroth = sign(&bench, Tool::Cosign2, &log, "", "zeroth.txt", "zeroth.json");
        zeroth.success();
    }
    let v2 = "signing_config_rekor_v2.json";
    let cases = [
        (Tool::Cosign2, "", "dsse", "0.0.1"),
        (Tool::Cosign2, "", "intoto", "0.0.1"),
        (Tool::Cosign3, "signing_config.json", "dsse", "0.0.1"),
        (Tool::Cosign3, v2, "hashedrekord", "0.0.2"),
    ];
    for (number, (signer, config, kind, version)) in cases.into_iter().enumerate() {
        if !tools.contains(&signer) {
            continue;
        }
        let (file, bundle) = (format!("{number}.txt"), format!("{number}.json"));
        bench.sandbox.write(&file, &bundle);
        attest(&bench, signer, &log, config, kind, &file, &bundle).success();
        let logged: Value = serde_json::from_str(&bench.sandbox.read(&bundle)).unwrap();
        let logged = &logged["verificationMaterial"]["tlogEntries"][0];
        assert_eq!(logged["kindVersion"]["kind"], kind);
        assert_eq!(logged["kindVersion"]["version"], version);
        for verifier in &tools {
            if config == v2 && *verifier == Tool::Cosign2 {
                continue;
            }
            // cosign 2.5.0 writes such bundles, and no cosign reads them: "unsupported entry type".
            if kind == "intoto" && *verifier != Tool::Sealmark {
                continue;
            }
            let verify = bench
                .run(*verifier)
                .args(["verify-blob-attestation", "--key", "key.pub"])
                .args(["--type", "custom", "--bundle", &bundle])
                .arg("--trusted-root")
                .arg(log.file("trusted_root.json"));
            let verify = match verifier {
                Tool::Cosign2 => verify.arg("--new-bundle-format"),
                _ => verify,
            };
            verify.arg(&file).run().success();
        }
        // The attestation is found by the file that it speaks of, in v1.
        if config != v2 && have(&["rekor-cli"]) {
            let digest = Digest::sha256(bundle.as_bytes()).to_string();
            let found = log.rekor(&bench, &["search", "--sha", &digest]).run();
            let found = found.success().stdout();
            assert_eq!(found.lines().count(), 1, "{found}");
        }
    }
}

/// The log takes requests of 8 MiB. cosign reads the entry that is made instead of a log of version 2.
#[test]
fn a_large_attestation_is_logged_by_its_digest() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    bench.make_key("ed25519", "other");
    let large = format!("{{\"text\": \"{}\"}}", "long ".repeat(2 << 20));
    bench.sandbox.write("predicate.json", large);
    bench.sandbox.write("app.txt", "hello");
    let log = Log::start(&bench);
    let v2 = "signing_config_rekor_v2.json";
    for (number, config) in ["signing_config.json", v2].into_iter().enumerate() {
        // The first entry of a log has the index 0, which some take for none.
        let bundle = format!("{number}.json");
        let made = attest(&bench, Tool::Sealmark, &log, config, "", "app.txt", &bundle).success();
        let told = made.stderr().contains(
            "the envelope of 13 MiB may be larger than the log takes: if it is refused, the digest of what is signed is logged",
        );
        assert_eq!(told, config != v2, "{made}");
        let logged: Value = serde_json::from_str(&bench.sandbox.read(&bundle)).unwrap();
        let logged = &logged["verificationMaterial"]["tlogEntries"][0];
        assert_eq!(logged["kindVersion"]["kind"], "hashedrekord");
        let verify = |tool: Tool| {
            let verify = bench
                .run(tool)
                .args(["verify-blob-attestation", "--key", "key.pub"])
                .args(["--type", "custom", "--bundle", &bundle])
                .arg("--trusted-root")
                .arg(log.file("trusted_root.json"));
            verify.arg("app.txt").run()
        };
        for tool in Tool::found() {
            if tool == Tool::Sealmark || (tool == Tool::Cosign3 && config == v2) {
                verify(tool).success();
            }
        }
        // The entry is of this statement and no other.
        let text = bench.sandbox.read(&bundle);
        bench
            .sandbox
            .write(&bundle, text.replacen("bG9uZy", "bG9uZx", 1));
        verify(Tool::Sealmark).failure();
    }
    // Who cannot sign a digest is told so before anything is signed, if nothing larger is sent.
    let huge = format!("{{\"text\": \"{}\"}}", "long ".repeat(6 << 20));
    bench.sandbox.write("predicate.json", huge);
    bench
        .run(Tool::Sealmark)
        .args([
            "attest-blob",
            "--key",
            "other.key",
            "--yes",
            "--bundle",
            "no.json",
        ])
        .args(["--predicate", "predicate.json"])
        .arg("--signing-config")
        .arg(log.file("signing_config.json"))
        .arg("--trusted-root")
        .arg(log.file("trusted_root.json"))
        .arg("app.txt")
        .run()
        .code(1)
        .stderr_has("the envelope of 40 MiB is larger than is sent to logs of version 1 (32 MiB)")
        .stderr_has("of a signature by an Ed25519 key they cannot take the digest");
    assert!(!bench.sandbox.join("no.json").exists());
}

#[test]
fn an_entry_outlives_kill_9() {
    if !have(&["rekor-cli", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let mut log = Log::start(&bench);
    for number in 0..3 {
        let entry = signed(&bench, &format!("file{number}"));
        log.rekor(&bench, &["upload"]).args(entry).run().success();
    }
    let before = log.info();
    log.server.kill();
    drop(log);

    let log = Log::start(&bench);
    let after = log.info();
    for same in ["treeID", "treeSize", "rootHash"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    for index in ["0", "1", "2"] {
        log.rekor(&bench, &["get", "--log-index", index])
            .run()
            .success();
    }
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has("Verification Successful!");
}
