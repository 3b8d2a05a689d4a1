//! What is wrong in cosign 3.1.1 and right here, one test each, with the real cosign beside it where that shows it.
//!
//! More of them are told by tests elsewhere: errors of registries in `bad_input/registry.rs`, concurrent signers in
//! `concurrent.rs`, both layouts, attestations and copies in `interop_more.rs`, keys of every type in `interop_blobs.rs`,
//! layouts on disk in `local_image.rs`.

mod bench;

use base64::Engine as _;
use bench::{Bench, SEALMARK, Tool, have, json};
use sealmark_testkit::{Images, SealmarkRegistry, images};
use serde_json::json as value;

struct Ground {
    bench: Bench,
    images: Images,
    registry: SealmarkRegistry,
}

impl Ground {
    fn new() -> Option<Self> {
        let images = images()?;
        if !have(&["skopeo", "cosign3"]) {
            return None;
        }
        let bench = Bench::new();
        bench.make_key("ecdsa-p256", "alice");
        bench.make_key("ecdsa-p256", "bob");
        Some(Self {
            bench,
            images,
            registry: SealmarkRegistry::start(SEALMARK),
        })
    }

    /// Pushes an image to a repository of its own.
    fn push(&self, tag: &str, repository: &str) -> String {
        let image = format!("{}/{repository}:v1", self.registry.address());
        assert!(self.images.push(&self.bench.sandbox, tag, &image));
        image
    }
}

/// cosign decides the format by the first image: the second fails if it is signed in the other one.
#[test]
fn images_of_one_command_may_be_signed_in_different_formats() {
    let Some(ground) = Ground::new() else { return };
    let bench = &ground.bench;
    let (one, two) = (ground.push("v1", "one"), ground.push("v1", "two"));
    for (image, format) in [(&one, "bundle"), (&two, "legacy")] {
        let sign = ["sign", "--key", "alice.key", "--format", format, image];
        bench.sealmark(&sign).success();
    }
    for pair in [[&one, &two], [&two, &one]] {
        bench
            .sealmark(&["verify", "--key", "alice.pub", pair[0], pair[1]])
            .success();
        bench
            .cosign_verify(Tool::Cosign3, "alice", &[pair[0], pair[1]])
            .failure();
    }
}

/// cosign says that the claims were found in the log although nobody looked.
#[test]
fn nothing_is_called_logged_that_was_not_looked_up() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.push("v1", "app");
    ground
        .bench
        .sealmark(&["sign", "--key", "alice.key", &image])
        .success();
    ground
        .bench
        .sealmark(&["verify", "--key", "alice.pub", &image])
        .success()
        .stdout_has("    transparency log: not checked, no trusted root\n");
    ground
        .bench
        .cosign_verify(Tool::Cosign3, "alice", &[&image])
        .success()
        .stderr_has("Existence of the claims in the transparency log was verified offline");
}

/// GHSA-fx35-mq7g-6g98: cosign before 3.1.3 takes the key in a legacy bundle instead of the one that was given.
#[test]
fn the_key_that_was_given_counts_and_not_the_one_in_the_bundle() {
    let Some(ground) = Ground::new() else { return };
    let bench = &ground.bench;
    bench.sandbox.write("file", "content");
    bench
        .sealmark(&[
            "sign-blob",
            "--key",
            "bob.key",
            "--output-signature",
            "sig",
            "--bundle",
            "b",
            "file",
        ])
        .success();
    let key = base64::engine::general_purpose::STANDARD.encode(bench.sandbox.read("bob.pub"));
    let legacy = value!({"base64Signature": bench.sandbox.read("sig").trim(), "cert": key});
    bench.sandbox.write("legacy.bundle", legacy.to_string());
    let verify = |key: &str| {
        let key = format!("{key}.pub");
        bench.sealmark(&[
            "verify-blob",
            "--key",
            &key,
            "--bundle",
            "legacy.bundle",
            "file",
        ])
    };
    verify("bob").success();
    verify("alice")
        .code(12)
        .stderr_has("signature: expected a signature by key sha256:");
}

/// cosign takes an attestation of any kind for a signature of the file.
#[test]
fn an_attestation_about_a_file_is_no_signature_of_it() {
    let Some(ground) = Ground::new() else { return };
    let bench = &ground.bench;
    bench.sandbox.write("file", "content");
    bench.sandbox.write("predicate", r#"{"result": "FAILED"}"#);
    bench
        .run(Tool::Cosign3)
        .args([
            "attest-blob",
            "--yes",
            "--key",
            "alice.key",
            "--predicate",
            "predicate",
        ])
        .args([
            "--type",
            "https://example.com/scan",
            "--bundle",
            "b",
            "--signing-config",
        ])
        .arg(&bench.signing_config)
        .arg("file")
        .run()
        .success();
    bench
        .sealmark(&["verify-blob", "--key", "alice.pub", "--bundle", "b", "file"])
        .code(12)
        .stderr_has("found an attestation of type \"https://example.com/scan\"");
    bench
        .run(Tool::Cosign3)
        .args([
            "verify-blob",
            "--key",
            "alice.pub",
            "--bundle",
            "b",
            "--insecure-ignore-tlog",
            "file",
        ])
        .run()
        .success();
}

/// cosign asks a TUF repository first, and tells of the key after that.
#[test]
fn a_key_that_cannot_be_read_is_told_before_anybody_is_asked() {
    let bench = Bench::new();
    for key in ["allice.pub", "awskm:///alias/x"] {
        bench
            .sealmark(&["verify", "--key", key, "127.0.0.1:1/app:v1"])
            .code(1)
            .stderr_has(key);
    }
}

/// cosign refreshes its trusted root over the network to verify with a key.
#[test]
fn verification_with_a_key_asks_the_registry_and_nobody_else() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.push("v1", "app");
    ground
        .bench
        .sealmark(&["sign", "--key", "alice.key", &image])
        .success();
    // Whoever is asked but the registry is asked through a proxy that does not exist.
    let verify = |tool| {
        ground
            .bench
            .run(tool)
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("NO_PROXY", "127.0.0.1,localhost")
            .args(["verify", "--key", "alice.pub", &image])
            .run()
    };
    verify(Tool::Sealmark).success();
    verify(Tool::Cosign3).failure();
}

/// cosign cannot verify the images inside an index with it.
#[test]
fn an_index_is_verified_with_everything_inside_it() {
    let Some(ground) = Ground::new() else { return };
    let bench = &ground.bench;
    let image = ground.push(ground.images.index, "multi");
    let verify = || {
        bench.sealmark(&[
            "verify",
            "--recursive",
            "--key",
            "alice.pub",
            "-o",
            "json",
            &image,
        ])
    };
    bench
        .sealmark(&["sign", "--key", "alice.key", &image])
        .success();
    let only_the_index = json(&verify().code(10));
    let verdicts: Vec<_> = only_the_index
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| image["verdict"].as_str().expect("a verdict"))
        .collect();
    assert_eq!(verdicts[0], "verified");
    assert!(
        verdicts.len() > 1
            && verdicts[1..]
                .iter()
                .all(|verdict| *verdict == "no-signatures")
    );
    bench
        .sealmark(&["sign", "--recursive", "--key", "alice.key", &image])
        .success();
    let all = json(&verify().success());
    assert_eq!(all.as_array().map(Vec::len), Some(verdicts.len()));
}

/// cosign's JSON of a bundle has no word about who signed and when.
#[test]
fn json_names_the_identity_the_digest_and_the_time() {
    let suite = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/tests/fixtures/bundle-verify");
    let bench = Bench::new();
    let case = suite.join("rekor2-checkpoint-cosigned");
    let report = json(
        &bench
            .run(Tool::Sealmark)
            .args(["verify-blob", "-o", "json", "--bundle"])
            .arg(case.join("bundle.sigstore.json"))
            .arg("--trusted-root")
            .arg(case.join("trusted_root.json"))
            .args(["--certificate-identity-regexp", "sigstore-conformance"])
            .args([
                "--certificate-oidc-issuer",
                "https://token.actions.githubusercontent.com",
            ])
            .arg(suite.join("a.txt"))
            .run()
            .success(),
    );
    let attachment = &report["demands"][0]["attachments"][0];
    assert_eq!(
        attachment["signer"]["issuer"],
        "https://token.actions.githubusercontent.com"
    );
    assert!(attachment["signer"]["subjects"][0].as_str().is_some());
    assert_eq!(
        report["digest"],
        "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"
    );
    let seen = attachment["seen"].as_array().expect("a list");
    assert!(seen.iter().any(|seen| seen["logIndex"].is_u64()));
    assert!(seen.iter().any(|seen| {
        seen["time"]
            .as_str()
            .is_some_and(|time| time.starts_with("20"))
    }));
}
