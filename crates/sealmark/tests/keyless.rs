//! Keyless signatures of the public instance, verified by identity, offline, beside cosign.
//!
//! The bundles are cases of the public suite sigstore-conformance; see `crates/conformance/tests/fixtures`.

use std::path::{Path, PathBuf};

use sealmark_testkit::{Finished, Sandbox, require_or_skip};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/tests/fixtures/bundle-verify")
}

fn verify(program: impl AsRef<Path>, case: &str, flags: &[&str]) -> Finished {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(program).arg("verify-blob").arg("--bundle");
    command = command.arg(suite().join(case).join("bundle.sigstore.json"));
    let root = suite().join(case).join("trusted_root.json");
    if root.exists() {
        command = command.arg("--trusted-root").arg(root);
    }
    command.args(flags).arg(suite().join("a.txt")).run()
}

const CASE: &str = "rekor2-checkpoint-cosigned";
const BY_IDENTITY: [&str; 4] = [
    "--certificate-identity",
    IDENTITY,
    "--certificate-oidc-issuer",
    ISSUER,
];

#[test]
fn the_right_identity_is_verified_and_everything_that_was_checked_is_said() {
    verify(SEALMARK, CASE, &BY_IDENTITY)
        .success()
        .stdout_has("identity: identity \"https://github.com/sigstore-conformance/")
        .stdout_has("transparency log: entry ")
        .stdout_has("timestamp: ")
        .stdout_has("certificate: by ")
        .stdout_has("certificate transparency: ");
}

#[test]
fn identities_are_compared_exactly_or_by_pattern() {
    let issuer = ["--certificate-oidc-issuer", ISSUER];
    let by_pattern = |pattern: &'static str| {
        let flags = [&["--certificate-identity-regexp", pattern][..], &issuer[..]].concat();
        verify(SEALMARK, CASE, &flags)
    };
    // Patterns are not tied to the ends, as in cosign.
    by_pattern("sigstore-conformance").success();
    by_pattern("^https://github.com/sigstore-conformance/.*@refs/heads/main$").success();
    by_pattern("^sigstore-conformance")
        .code(12)
        .stderr_has("identity: expected");
    by_pattern("(")
        .code(1)
        .stderr_has("--certificate-identity-regexp");

    let other = ["--certificate-identity", "someone@example.com"];
    verify(SEALMARK, CASE, &[&other[..], &issuer[..]].concat())
        .code(12)
        .stderr_has("someone@example.com")
        .stderr_has(IDENTITY);
    let issuer = ["--certificate-oidc-issuer", "https://accounts.example.com"];
    verify(SEALMARK, CASE, &[&BY_IDENTITY[..2], &issuer[..]].concat())
        .code(12)
        .stderr_has(ISSUER);
}

#[test]
fn a_key_does_not_verify_what_an_identity_signed() {
    let key = suite().join("managed-key-and-trusted-root/key.pub");
    verify(SEALMARK, CASE, &["--key", &key.display().to_string()])
        .code(12)
        .stderr_has("a signature with a certificate (keyless signing)");
}

#[test]
fn workflow_claims_must_match() {
    let with = |flag: &str, value: &str| {
        verify(SEALMARK, CASE, &[&BY_IDENTITY[..], &[flag, value]].concat())
    };
    let repository = "--certificate-github-workflow-repository";
    with(
        repository,
        "sigstore-conformance/extremely-dangerous-public-oidc-beacon",
    )
    .success();
    with(repository, "someone/else")
        .code(12)
        .stderr_has("extremely-dangerous-public-oidc-beacon");
    with("--certificate-github-workflow-ref", "refs/heads/main").success();
    with("--certificate-github-workflow-ref", "refs/tags/v1").code(12);
}

#[test]
fn cosign_agrees() {
    let cosign = require_or_skip!("cosign3");
    for case in [
        "bundle-with-sct-with-extensions",
        CASE,
        "rekor2-no-timestamp_fail",
    ] {
        let good = !case.ends_with("_fail");
        // cosign looks at timestamps only when told to.
        let flags = [&BY_IDENTITY[..], &["--use-signed-timestamps"]].concat();
        let theirs = verify(&cosign, case, &flags);
        assert_eq!(theirs.exit_code() == Some(0), good, "{case}: {theirs}");
        let ours = verify(SEALMARK, case, &flags);
        assert_eq!(ours.exit_code() == Some(0), good, "{case}: {ours}");
    }
}

#[test]
fn a_forgotten_variable_adds_nobody() {
    let sandbox = Sandbox::new();
    let verify = sandbox
        .command(SEALMARK)
        .env("COSIGN_CERTIFICATE_IDENTITY_REGEXP", ".*")
        .args([
            "verify-blob",
            "--certificate-identity",
            "nobody@example.com",
        ])
        .args(["--certificate-oidc-issuer", ISSUER, "--bundle"])
        .arg(suite().join(CASE).join("bundle.sigstore.json"))
        .arg("--trusted-root")
        .arg(suite().join(CASE).join("trusted_root.json"));
    verify.arg(suite().join("a.txt")).run().code(12);
}
