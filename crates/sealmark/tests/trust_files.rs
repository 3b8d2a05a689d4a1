//! `SIGSTORE_ROOT_FILE`, `SIGSTORE_REKOR_PUBLIC_KEY`, `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE` and
//! `SIGSTORE_TSA_CERTIFICATE_FILE`: files instead of parts of a trusted root, as cosign takes them.
//!
//! The bundles are cases of the public suite sigstore-conformance; see `crates/conformance/tests/fixtures`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};

use sealmark_testkit::{Finished, Sandbox};
use serde_json::Value;

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const ROOT: &str = "SIGSTORE_ROOT_FILE";
const REKOR: &str = "SIGSTORE_REKOR_PUBLIC_KEY";
const CT: &str = "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE";
const TSA: &str = "SIGSTORE_TSA_CERTIFICATE_FILE";

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn suite(name: &str) -> PathBuf {
    crates()
        .join("conformance/tests/fixtures/bundle-verify")
        .join(name)
}

fn pem(label: &str, base64: &Value) -> String {
    let base64 = base64.as_str().unwrap();
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// The parts of a trusted root in files that are named like the variables, with a prefix.
fn take_apart(sandbox: &Sandbox, prefix: &str, root: &Path) {
    let root: Value = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
    let list = |name: &str| root[name].as_array().unwrap().clone();
    let chain = |authority: &Value| -> String {
        let certificates = authority["certChain"]["certificates"].as_array().unwrap();
        let pems = certificates
            .iter()
            .map(|certificate| pem("CERTIFICATE", &certificate["rawBytes"]));
        pems.collect()
    };
    let keys = |name: &str| -> String {
        let logs = list(name);
        // A log of the staging instance has its key as PKCS #1, which is no PEM "PUBLIC KEY".
        let pkix = |log: &&Value| {
            let details = log["publicKey"]["keyDetails"].as_str().unwrap();
            details.starts_with("PKIX_") && !details.starts_with("PKIX_RSA")
        };
        let pems = logs
            .iter()
            .filter(pkix)
            .map(|log| pem("PUBLIC KEY", &log["publicKey"]["rawBytes"]));
        pems.collect()
    };
    let authorities: String = list("certificateAuthorities").iter().map(chain).collect();
    let timestamps: String = list("timestampAuthorities")
        .iter()
        .take(1)
        .map(chain)
        .collect();
    for (name, content) in [
        (ROOT, authorities),
        (REKOR, keys("tlogs")),
        (CT, keys("ctlogs")),
        (TSA, timestamps),
    ] {
        sandbox.write(format!("{prefix}{name}"), content);
    }
}

/// A signature, and what proves it: certificate, CT log, and a log or a timestamp authority.
struct Story {
    command: &'static str,
    case: &'static str,
    flags: &'static [&'static str],
    root: PathBuf,
    /// What the proofs are checked with.
    variables: [&'static str; 3],
}

impl Story {
    fn verify(&self, sandbox: &Sandbox, files: &[(&str, String)]) -> Finished {
        let mut run = sandbox.command(SEALMARK).arg(self.command).arg("--bundle");
        run = run.arg(suite(self.case).join("bundle.sigstore.json"));
        for (name, file) in files {
            run = run.env(name, file);
        }
        run.args(self.flags)
            .args(["--certificate-identity-regexp", "^https://github.com/"])
            .args(["--certificate-oidc-issuer-regexp", "githubusercontent.com$"])
            .arg(suite("a.txt"))
            .run()
    }
}

#[test]
fn each_variable_replaces_its_part() {
    let log = Story {
        command: "verify-blob-attestation",
        case: "happy-path-intoto-in-dsse-v3",
        flags: &["--type", "slsaprovenance1"],
        root: crates().join("trust/embedded/trusted_root.json"),
        variables: [ROOT, REKOR, CT],
    };
    let timestamp = Story {
        command: "verify-blob",
        case: "rekor2-checkpoint-cosigned",
        flags: &["--use-signed-timestamps", "--insecure-ignore-tlog"],
        root: suite("rekor2-checkpoint-cosigned/trusted_root.json"),
        variables: [ROOT, CT, TSA],
    };
    // The instance of the other story knows nothing of this one.
    for (story, stranger) in [(&log, &timestamp), (&timestamp, &log)] {
        let sandbox = Sandbox::new();
        take_apart(&sandbox, "", &story.root);
        take_apart(&sandbox, "other-", &stranger.root);
        let right: Vec<_> = story.variables.map(|name| (name, name.to_owned())).to_vec();
        story.verify(&sandbox, &right).success();
        for (index, name) in story.variables.into_iter().enumerate() {
            let with = |file: String| {
                let mut files = right.clone();
                files[index].1 = file;
                story.verify(&sandbox, &files)
            };
            with(format!("other-{name}"))
                .code(12)
                .stderr_has("trusted are the files from ")
                .stderr_has(name);
            for (file, content) in [("words", "no PEM at all"), ("empty", "")] {
                sandbox.write(file, content);
                with(file.to_owned()).code(1).stderr_has(name);
            }
            with("no-such-file".to_owned())
                .code(1)
                .stderr_has("no-such-file");
        }
    }
}

#[test]
fn a_trusted_root_that_is_named_wins() {
    let sandbox = Sandbox::new();
    sandbox.write("words", "no PEM at all");
    let story = Story {
        command: "verify-blob",
        case: "rekor2-checkpoint-cosigned",
        flags: &["--trusted-root", "root.json"],
        root: suite("rekor2-checkpoint-cosigned/trusted_root.json"),
        variables: [ROOT, CT, TSA],
    };
    sandbox.write("root.json", std::fs::read(&story.root).unwrap());
    let wrong: Vec<_> = story
        .variables
        .map(|name| (name, "words".to_owned()))
        .to_vec();
    story.verify(&sandbox, &wrong).success();
}
