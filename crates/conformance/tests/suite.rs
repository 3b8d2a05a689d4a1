//! Cases of the public suite sigstore-conformance: those that end in `_fail` are refused at the check that is meant, the
//! others verify; each by path and by digest.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealmark_formats::Digest;

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// What must be wrong with each case that must be refused.
const REASONS: &[(&str, &str)] = &[
    (
        "bundle-empty-certificate-chain_fail",
        "x509CertificateChain has 0 certificates",
    ),
    (
        "bundle-invalid-base64-signature_fail",
        "messageSignature.signature is not base64",
    ),
    ("bundle-negative-log-index_fail", "logIndex is negative"),
    ("bundle-unknown-version_fail", "version=99.9"),
    ("checkpoint-wrong-roothash_fail", "transparency log: "),
    ("dsse-invalid-sig_fail", "signature: "),
    (
        "inclusion-proof-corrupted-hash_fail",
        "the inclusion proof leads to the root",
    ),
    (
        "incorrect-public-key_fail",
        "it is of another signature or signer",
    ),
    ("integrated-time-in-future_fail", "had expired"),
    ("intoto-expired-certificate_fail", "certificate: "),
    ("intoto-log-entry-mismatch_fail", "transparency log: "),
    ("managed-key-no-key_fail", "names another key"),
    ("managed-key-wrong-key_fail", "PUBLIC KEY"),
    (
        "rekor2-checkpoint-missing-origin_fail",
        "the second line must be the size",
    ),
    (
        "rekor2-checkpoint-missing-root-hash_fail",
        "the root hash, is missing",
    ),
    (
        "rekor2-checkpoint-missing-size_fail",
        "the second line must be the size",
    ),
    ("rekor2-dsse-invalid-sig_fail", "signature: "),
    (
        "rekor2-dsse-mismatch-sig_fail",
        "it is of another signature or signer",
    ),
    (
        "rekor2-no-timestamp_fail",
        "a time at which the signature was made",
    ),
    (
        "rekor2-timestamp-payload-mismatch_fail",
        "a time at which the signature was made",
    ),
    ("rekor2-timestamp-with-incorrect-time_fail", "certificate: "),
    ("wrong-material_fail", "signature: "),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bundle-verify")
}

/// Runs the client on a case; what it says if it refuses.
fn run(case: &Path, artifact: &str) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealmark-conformance"));
    command
        .arg("verify-bundle")
        .arg("--bundle")
        .arg(case.join("bundle.sigstore.json"));
    let own = |name: &str, default: &str| {
        std::fs::read_to_string(case.join(name))
            .map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
    };
    if case.join("key.pub").exists() {
        command.arg("--key").arg(case.join("key.pub"));
    } else {
        command.args(["--certificate-identity", &own("identity", IDENTITY)]);
        command.args(["--certificate-oidc-issuer", &own("issuer", ISSUER)]);
    }
    if case.join("trusted_root.json").exists() {
        command
            .arg("--trusted-root")
            .arg(case.join("trusted_root.json"));
    }
    let output = command.arg(artifact).output().expect("the client runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(text),
        code => panic!("{}: not a clean refusal: {code:?} {text}", case.display()),
    }
}

#[test]
fn every_case_ends_as_it_must() {
    let mut faults = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures()).expect("fixtures") {
        let case = entry.expect("a folder").path();
        if !case.is_dir() {
            continue;
        }
        let name = case
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let own = case.join("artifact");
        let file = if own.exists() {
            own
        } else {
            fixtures().join("a.txt")
        };
        let digest = Digest::sha256(&std::fs::read(&file).expect("the artifact")).to_string();
        for artifact in [file.display().to_string(), digest] {
            count += 1;
            let must_fail = name.ends_with("_fail");
            match run(&case, &artifact) {
                Ok(()) if must_fail => faults.push(format!("{name} {artifact}: verified")),
                Err(reason) if !must_fail => {
                    faults.push(format!("{name} {artifact}: {reason}"));
                }
                Err(reason) => {
                    let expected = REASONS.iter().find(|(case, _)| *case == name);
                    if expected.is_none_or(|(_, text)| !reason.contains(text)) {
                        faults.push(format!("{name} {artifact}: other reason: {reason}"));
                    }
                }
                Ok(()) => {}
            }
        }
    }
    assert!(count > 60, "{count} cases only");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// A log whose key is no longer trusted proves nothing of what was signed after, also a log that gives no time.
#[test]
fn a_log_counts_only_while_its_key_is_trusted() {
    let case = fixtures().join("rekor2-checkpoint-cosigned");
    let copy = tempfile::tempdir().expect("a folder");
    let read = |name: &str| std::fs::read(case.join(name)).expect("a file of the case");
    let mut root: serde_json::Value =
        serde_json::from_slice(&read("trusted_root.json")).expect("JSON");
    let good = root.clone();
    for log in root["tlogs"].as_array_mut().expect("logs") {
        log["publicKey"]["validFor"] =
            serde_json::json!({"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"});
    }
    std::fs::write(
        copy.path().join("bundle.sigstore.json"),
        read("bundle.sigstore.json"),
    )
    .expect("a copy");
    let artifact = fixtures().join("a.txt").display().to_string();
    for (root, verified) in [(good, true), (root, false)] {
        std::fs::write(copy.path().join("trusted_root.json"), root.to_string()).expect("a root");
        let result = run(copy.path(), &artifact);
        assert_eq!(result.is_ok(), verified, "{result:?}");
        if let Err(reason) = result {
            assert!(reason.contains("the log's key is trusted"), "{reason}");
        }
    }
}
