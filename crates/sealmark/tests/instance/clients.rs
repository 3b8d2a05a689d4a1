//! Those who sign and verify bundles, each in its own words.

use std::path::{Path, PathBuf};

use sealmark_testkit::{Finished, Program};
use serde_json::json;

use crate::bench::{Bench, SEALMARK};
use crate::world::Instance;

/// What the peers that are no programs of their own run.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/instance")
        .join(name)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Client {
    Cosign2,
    Cosign3,
    Node,
    Python,
    Sealmark,
}

use Client::*;

impl Client {
    pub(crate) const ALL: [Self; 5] = [Cosign2, Cosign3, Node, Python, Sealmark];

    /// All that are not ours.
    pub(crate) const PEERS: [&str; 4] = ["cosign2", "cosign3", "node-sigstore", "sigstore-python"];

    pub(crate) fn program(self, bench: &Bench) -> Program {
        match self {
            Cosign2 => bench.peer("cosign2"),
            Cosign3 => bench.peer("cosign3"),
            Node => bench.peer("node-sigstore").arg(script("sigstore.cjs")),
            Python => bench.peer("sigstore-python"),
            Sealmark => bench.sandbox.command(SEALMARK),
        }
    }

    /// Signs `file`; `config` is the signing configuration of those who have one.
    pub(crate) fn sign(
        self,
        bench: &Bench,
        instance: &Instance,
        config: &str,
        file: &str,
        to: &str,
    ) -> Finished {
        let token = instance.issuer.token();
        let program = self.program(bench);
        let program = match self {
            Cosign2 => program
                .args(["sign-blob", "--yes", "--new-bundle-format", "--bundle", to])
                .args(["--fulcio-url", &instance.url, "--rekor-url", &instance.url])
                .env("SIGSTORE_ROOT_FILE", instance.file("fulcio.pem"))
                .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", instance.file("ctfe.pub"))
                .env("SIGSTORE_REKOR_PUBLIC_KEY", instance.file("rekor.pub")),
            Cosign3 | Sealmark => program
                .args(["sign-blob", "--yes", "--bundle", to, "--signing-config"])
                .arg(instance.file(config))
                .arg("--trusted-root")
                .arg(instance.file("trusted_root.json")),
            Node => program.arg("sign").stdin(
                json!({"config": instance.file(config), "token": token, "bundle": to, "file": file})
                    .to_string(),
            ),
            Python => program
                .arg("--trust-config")
                .arg(instance.file("trust_config.json"))
                .args([
                    "sign",
                    "--bundle",
                    to,
                    "--overwrite",
                    "--identity-token",
                    &token,
                ]),
        };
        let program = program.env("SIGSTORE_ID_TOKEN", token);
        match self {
            Node => program.run(),
            _ => program.arg(file).run(),
        }
    }

    /// Verifies that `who` signed `file`.
    pub(crate) fn verify(
        self,
        bench: &Bench,
        instance: &Instance,
        bundle: &str,
        file: &str,
        who: &str,
    ) -> Finished {
        let program = self.program(bench);
        let issuer = instance.issuer.url.as_str();
        let program = match self {
            Node => {
                let root = instance.file("trusted_root.json");
                let given = json!({
                    "root": root, "bundle": bundle, "file": file, "identity": who, "issuer": issuer,
                });
                return program.arg("verify").stdin(given.to_string()).run();
            }
            Python => program
                .arg("--trust-config")
                .arg(instance.file("trust_config.json"))
                .args(["verify", "identity", "--bundle", bundle])
                .args(["--cert-identity", who, "--cert-oidc-issuer", issuer]),
            _ => program
                .args(["verify-blob", "--bundle", bundle, "--trusted-root"])
                .arg(instance.file("trusted_root.json"))
                .args(["--certificate-identity", who])
                .args(["--certificate-oidc-issuer", issuer]),
        };
        let program = match self {
            Cosign2 => program.arg("--new-bundle-format"),
            _ => program,
        };
        program.arg(file).run()
    }
}
