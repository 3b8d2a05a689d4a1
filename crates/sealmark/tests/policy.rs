//! A policy file: who must have signed what, and what must be attested of it. One image with two signatures and a
//! provenance passes; without any part of that it does not, and the message says which part.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::{Bench, Registries, Tool, have};
use sealmark_testkit::{Finished, images};

const PROVENANCE: &str = r#"{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}"#;

/// `REPOSITORY` is the image's. The keys are named relative to the file, which is in a folder of its own.
const POLICY: &str = r#"
version: 1
signers:
  alice: {key: ../alice.pub}
  bob: {key: ../bob.pub}
  ci: {key: ../ci.pub}
rules:
  - images: [REPOSITORY]
    log: ignored
    signature:
      signers: [alice, bob]
      threshold: 2
      annotations: {stage: release}
    attestations:
      - type: slsaprovenance1
        signers: [ci]
        predicate:
          - path: /runDetails/builder/id
            equals: https://example.com/builder
  - files: ["*.txt"]
    log: ignored
    signature:
      signers: [alice, bob]
      threshold: 2
"#;

fn ground() -> Option<Bench> {
    if !have(&["skopeo", "cosign3"]) {
        return None;
    }
    let bench = Bench::new();
    for name in ["alice", "bob", "ci", "mallory"] {
        bench.make_key("ecdsa-p256", name);
    }
    bench.sandbox.write("provenance.json", PROVENANCE);
    bench.sandbox.write("app.txt", "hello");
    Some(bench)
}

fn sign(bench: &Bench, key: &str, image: &str) {
    bench
        .sealmark(&[
            "sign",
            "--key",
            &format!("{key}.key"),
            "-a",
            "stage=release",
            image,
        ])
        .success();
}

fn attest(bench: &Bench, key: &str, image: &str) {
    bench
        .run(Tool::Cosign3)
        .args([
            "attest",
            "--yes",
            "--allow-http-registry",
            "--signing-config",
        ])
        .arg(&bench.signing_config)
        .args(["--key", &format!("{key}.key"), "--type", "slsaprovenance1"])
        .args(["--predicate", "provenance.json", image])
        .run()
        .success();
}

fn verify(bench: &Bench, policy: &str, words: &[&str]) -> Finished {
    bench.sandbox.write("policies/policy.yaml", policy);
    bench.sealmark(&[&["verify", "--policy", "policies/policy.yaml"], words].concat())
}

#[test]
fn an_image_passes_with_everything_the_policy_asks_for_and_not_without() {
    let Some(bench) = ground() else { return };
    let Some(images) = images() else { return };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let repository = format!("{registry}/acme/app");
    let image = format!("{repository}:v1");
    let policy = POLICY.replace("REPOSITORY", &repository);
    assert!(images.push(&bench.sandbox, images.single, &image));

    // Bit by bit, until everything is there.
    verify(&bench, &policy, &[&image])
        .code(10)
        .stderr_has("has no signature");
    sign(&bench, "mallory", &image);
    verify(&bench, &policy, &[&image])
        .code(12)
        .stderr_has("expected a signature by key");
    sign(&bench, "alice", &image);
    verify(&bench, &policy, &[&image])
        .code(12)
        .stderr_has("good signatures by 1 of the 2 signers needed, missing key ");
    sign(&bench, "bob", &image);
    let finished = verify(&bench, &policy, &[&image]);
    finished
        .code(10)
        .stderr_has("has no attestation of type https://slsa.dev/provenance/v1");
    attest(&bench, "mallory", &image);
    verify(&bench, &policy, &[&image])
        .code(12)
        .stderr_has("attestation")
        .stderr_has("expected a signature by key");
    attest(&bench, "ci", &image);
    verify(&bench, &policy, &[&image])
        .success()
        .stdout_has("  image signature:")
        .stdout_has("  attestation of type https://slsa.dev/provenance/v1:");

    // The attestation alone, which is all that this command looks at.
    bench
        .sealmark(&[
            "verify-attestation",
            "--policy",
            "policies/policy.yaml",
            &image,
        ])
        .success();
    bench
        .sealmark(&[
            "verify-attestation",
            "--policy",
            "policies/policy.yaml",
            "--type",
            "vuln",
            &image,
        ])
        .code(1)
        .stderr_has("--type and --policy");

    // Each part asked for otherwise.
    for (from, to, reason) in [
        (
            "signers: [alice, bob]\n      threshold: 2\n      ann",
            "signers: [alice, ci]\n      threshold: 2\n      ann",
            "by 1 of the 2 signers needed",
        ),
        (
            "stage: release",
            "stage: test",
            "expected annotation stage=test, found annotation stage=release",
        ),
        ("signers: [ci]", "signers: [bob]", "attestation is good"),
        (
            "equals: https://example.com/builder",
            "equals: https://example.com/other",
            "predicate: expected ",
        ),
        (
            "path: /runDetails/builder/id",
            "path: /runDetails/builder/name",
            "predicate: expected /runDetails/builder/name",
        ),
        (
            "REPOSITORY]\n    log: ignored",
            "REPOSITORY]\n    log: required",
            "transparency log: expected",
        ),
        (
            "log: ignored\n    signature:",
            "log: ignored\n    timestamp: required\n    signature:",
            "timestamp: expected",
        ),
        (
            "[REPOSITORY]",
            "[example.com/acme/app]",
            "has no rule for the image ",
        ),
        (
            "[REPOSITORY]",
            "[REPOSITORY-two]",
            "has no rule for the image ",
        ),
    ] {
        let changed = POLICY.replacen(from, to, 1);
        assert_ne!(changed, POLICY, "{from}");
        verify(
            &bench,
            &changed.replace("REPOSITORY", &repository),
            &[&image],
        )
        .code(12)
        .stderr_has(reason);
    }
    // Patterns of repositories.
    for pattern in [
        format!("{registry}/acme/*"),
        format!("{registry}/**"),
        "'**'".to_owned(),
    ] {
        verify(&bench, &POLICY.replace("REPOSITORY", &pattern), &[&image]).success();
    }
    let none = format!("{registry}/*");
    verify(&bench, &POLICY.replace("REPOSITORY", &none), &[&image])
        .code(12)
        .stderr_has("has no rule for the image ");
}

#[test]
fn what_a_policy_says_is_not_said_by_flags_too() {
    let Some(bench) = ground() else { return };
    for words in [
        &["--key", "alice.pub"][..],
        &["--threshold", "2"],
        &["--certificate-identity", "alice@example.com"],
        &["--insecure-ignore-tlog"],
        &["--insecure-ignore-sct"],
        &["--use-signed-timestamps"],
    ] {
        verify(&bench, POLICY, &[words, &["127.0.0.1:9/app"]].concat())
            .code(1)
            .stderr_has(&format!("{} and --policy: ", words[0]));
    }
    verify(&bench, "rules: 1", &["127.0.0.1:9/app"])
        .code(1)
        .stderr_has("policies/policy.yaml: ");
    // A rule whose key is not there.
    let missing = POLICY
        .replace("REPOSITORY", "127.0.0.1:9/app")
        .replace("../bob.pub", "../carol.pub");
    bench.sandbox.write("policies/policy.yaml", missing);
    bench
        .sealmark(&["verify", "--policy", "policies/policy.yaml", "127.0.0.1:9/app@sha256:0000000000000000000000000000000000000000000000000000000000000000"])
        .code(1)
        .stderr_has("carol.pub");
}

#[test]
fn a_file_needs_every_signature_that_the_policy_asks_for() {
    let Some(bench) = ground() else { return };
    bench.sandbox.write(
        "policies/policy.yaml",
        POLICY.replace("REPOSITORY", "example.com/app"),
    );
    bench.sandbox.write("app.bin", "hello");
    for name in ["alice", "bob"] {
        bench
            .sealmark(&[
                "sign-blob",
                "--key",
                &format!("{name}.key"),
                "--bundle",
                &format!("{name}.json"),
                "app.txt",
            ])
            .success();
    }
    let verify = |words: &[&str]| {
        bench.sealmark(&[&["verify-blob", "--policy", "policies/policy.yaml"], words].concat())
    };
    verify(&["--bundle", "alice.json", "--bundle", "bob.json", "app.txt"]).success();
    verify(&["--bundle", "alice.json", "app.txt"])
        .code(12)
        .stderr_has("good signatures by 1 of the 2 signers needed");
    verify(&[
        "--bundle",
        "alice.json",
        "--bundle",
        "alice.json",
        "app.txt",
    ])
    .code(12);
    verify(&["--bundle", "alice.json", "--bundle", "bob.json", "app.bin"])
        .code(12)
        .stderr_has("has no rule for the file app.bin");
    // The same with flags.
    bench
        .sealmark(&[
            "verify-blob",
            "--key",
            "alice.pub",
            "--key",
            "bob.pub",
            "--threshold",
            "2",
            "--bundle",
            "alice.json",
            "--bundle",
            "bob.json",
            "app.txt",
        ])
        .success();
}

/// The policy that `--explain` shows, as YAML.
fn shown(finished: &Finished) -> String {
    let stdout = finished.stdout();
    let mut lines = stdout.lines();
    assert_eq!(
        lines.next(),
        Some("policy (made of the flags):"),
        "{finished}"
    );
    lines
        .map_while(|line| line.strip_prefix("  "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_policy_that_explain_shows_is_one_that_can_be_saved() {
    let Some(bench) = ground() else { return };
    let Some(images) = images() else { return };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let image = format!("{registry}/acme/app:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    sign(&bench, "alice", &image);
    attest(&bench, "ci", &image);
    bench
        .sealmark(&[
            "sign-blob",
            "--key",
            "alice.key",
            "--bundle",
            "alice.json",
            "app.txt",
        ])
        .success();
    let identity = [
        "--certificate-identity-regexp",
        "^https://example.com/it's: \"#\"$",
        "--certificate-oidc-issuer",
        "https://id.example.com",
        "--certificate-github-workflow-ref",
        "refs/heads/main",
    ];
    let bundle = ["--bundle", "alice.json", "app.txt"];
    for (command, flags, words, code) in [
        ("verify", &["--key", "alice.pub"][..], &[&*image][..], 0),
        ("verify", &["--key", "bob.pub"], &[&image], 12),
        (
            "verify",
            &["--key", "alice.pub", "-a", "stage=release"],
            &[&image],
            0,
        ),
        (
            "verify",
            &["--key", "alice.pub", "-a", "stage=yes"],
            &[&image],
            12,
        ),
        (
            "verify",
            &["--key", "alice.pub", "--key", "bob.pub", "--threshold", "2"],
            &[&image],
            12,
        ),
        ("verify", &identity, &[&image], 13),
        (
            "verify-attestation",
            &["--key", "ci.pub", "--type", "slsaprovenance1"],
            &[&image],
            0,
        ),
        (
            "verify-attestation",
            &[
                "--key",
                "ci.pub",
                "--type",
                "slsaprovenance1",
                "--type",
                "spdx",
            ],
            &[&image],
            10,
        ),
        ("verify-blob", &["--key", "alice.pub"], &bundle, 0),
        ("verify-blob", &["--key", "ci.pub"], &bundle, 12),
    ] {
        let by_flags = bench
            .sealmark(&[&[command, "--explain"], flags, words].concat())
            .code(code);
        bench.sandbox.write("saved.yaml", shown(&by_flags));
        let by_file = bench
            .sealmark(&[&[command, "--explain", "--policy", "saved.yaml"], words].concat())
            .code(code);
        // What is asked and what came of it is the same to the word, but for why a check was not made.
        let rest = |finished: &Finished| -> Vec<String> {
            let stdout = finished.stdout();
            let lines = stdout
                .lines()
                .skip_while(|line| !line.starts_with("trusting: "));
            lines
                .map(|line| line.split(": not checked, ").next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(rest(&by_flags), rest(&by_file), "{command} {flags:?}");
    }
}
