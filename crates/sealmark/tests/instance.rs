//! `serve`: a whole private Sigstore, in which cosign 2, cosign 3 and sigstore-python sign, and all verify each other's.

mod bench;

use std::path::PathBuf;

use bench::issuer::{Issuer, WHO};
use bench::{Bench, SEALMARK, have};
use sealmark_testkit::{Finished, Program, Server, get};
use serde_json::Value;

struct Instance {
    url: String,
    directory: PathBuf,
    server: Server,
    issuer: Issuer,
}

impl Instance {
    fn start(bench: &Bench) -> Self {
        let issuer = Issuer::start();
        let config = format!(
            "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
            issuer.url
        );
        bench.sandbox.write("issuers.yaml", config);
        let (server, url) = serve(bench, "127.0.0.1:0");
        Self {
            url,
            directory: bench.sandbox.join("instance"),
            server,
            issuer,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it has no TLS")
    }
}

fn serve(bench: &Bench, listen: &str) -> (Server, String) {
    let program = bench.sandbox.command(SEALMARK);
    let words = ["serve", "--dir", "instance", "--listen", listen];
    program
        .args(words)
        .args(["--config", "issuers.yaml"])
        .serve(|line| {
            let (_, rest) = line.split_once("Sigstore at ")?;
            rest.split(": ").next().map(str::to_owned)
        })
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Client {
    Cosign2,
    Cosign3,
    Python,
    Sealmark,
}

use Client::*;

impl Client {
    fn peer(self) -> Option<&'static str> {
        match self {
            Cosign2 => Some("cosign2"),
            Cosign3 => Some("cosign3"),
            Python => Some("sigstore-python"),
            Sealmark => None,
        }
    }

    fn program(self, bench: &Bench) -> Program {
        match self.peer() {
            Some(peer) => bench.peer(peer),
            None => bench.sandbox.command(SEALMARK),
        }
    }

    /// Signs `file`; `config` is the signing configuration of those who have one.
    fn sign(
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
        program.env("SIGSTORE_ID_TOKEN", token).arg(file).run()
    }

    fn verify(
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

#[test]
fn everybody_signs_in_it_and_verifies_what_the_others_signed() {
    if !have(&["cosign2", "cosign3", "sigstore-python"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    for (at, (client, config)) in [
        // The very first one too: the index 0, which cosign 2.5.0 and sigstore-python take for a missing one, is not its.
        (Cosign2, ""),
        (Cosign3, "signing_config.json"),
        (Cosign3, "signing_config_rekor_v2.json"),
        (Python, ""),
        (Sealmark, "signing_config.json"),
        (Sealmark, "signing_config_rekor_v2.json"),
    ]
    .into_iter()
    .enumerate()
    {
        let (file, bundle) = (format!("{at}.txt"), format!("{at}.json"));
        bench.sandbox.write(&file, format!("file {at}"));
        client
            .sign(&bench, &instance, config, &file, &bundle)
            .success();
        for verifier in [Cosign2, Cosign3, Python, Sealmark] {
            // cosign 2.5.0 knows no Rekor v2.
            let is_v2 = config.ends_with("v2.json") || client == Python;
            if verifier == Cosign2 && is_v2 {
                verifier
                    .verify(&bench, &instance, &bundle, &file, WHO)
                    .failure();
                continue;
            }
            verifier
                .verify(&bench, &instance, &bundle, &file, WHO)
                .success();
            verifier
                .verify(&bench, &instance, &bundle, &file, "eve@example.org")
                .failure();
        }
    }
}

#[test]
fn who_initializes_needs_no_files() {
    if !have(&["cosign3", "cosign2"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let mirror = format!("{}/tuf", instance.url);
    let issuer = instance.issuer.url.as_str();
    let at_home = |client: Client| {
        let program = client.program(&bench);
        program.env("TUF_ROOT", bench.sandbox.join(format!("tuf-{client:?}")))
    };
    for client in [Cosign3, Cosign2, Sealmark] {
        let program = at_home(client).args(["initialize", "--mirror", &mirror, "--root"]);
        program.arg(instance.file("root.json")).run().success();
    }
    bench.sandbox.write("a.txt", "a");
    at_home(Cosign3)
        .env("SIGSTORE_ID_TOKEN", instance.issuer.token())
        .args(["sign-blob", "--yes", "--bundle", "a.json", "a.txt"])
        .run()
        .success();
    for client in [Cosign3, Cosign2, Sealmark] {
        let program = at_home(client)
            .args(["verify-blob", "--bundle", "a.json"])
            .args(["--certificate-identity", WHO])
            .args(["--certificate-oidc-issuer", issuer]);
        let program = match client {
            // For bundles it looks only at the public instance's mirror, unless it is given a trusted root.
            Cosign2 => program
                .arg("--new-bundle-format")
                .arg("--trusted-root")
                .arg(instance.file("trusted_root.json")),
            _ => program,
        };
        program.arg("a.txt").run().success();
    }
}

#[test]
fn a_start_makes_everything_and_the_next_goes_on_with_it() {
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let root = bench.sandbox.read("instance/trusted_root.json");
    let parsed: Value = serde_json::from_str(&root).unwrap();
    for (member, count) in [
        ("tlogs", 2),
        ("certificateAuthorities", 1),
        ("ctlogs", 1),
        ("timestampAuthorities", 1),
    ] {
        assert_eq!(parsed[member].as_array().unwrap().len(), count, "{member}");
    }
    for path in [
        "/api/v2/trustBundle",
        "/api/v2/configuration",
        "/api/v1/log",
        "/api/v2/checkpoint",
        "/ct/ct/v1/get-sth",
        "/ct/checkpoint",
        "/api/v1/timestamp/certchain",
        "/tuf/timestamp.json",
        "/tuf/1.root.json",
        "/healthz",
    ] {
        assert_eq!(get(instance.address(), path).unwrap().status, 200, "{path}");
    }
    // Private keys are their owner's alone.
    use std::os::unix::fs::PermissionsExt;
    for key in [
        "ca/keys/root.pem",
        "ca/keys/ca.pem",
        "ct/keys/ct.pem",
        "tsa/keys/tsa.pem",
    ] {
        let mode = instance.file(key).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    // A second one in the same directory.
    bench
        .sandbox
        .command(SEALMARK)
        .args([
            "serve",
            "--dir",
            "instance",
            "--listen",
            "127.0.0.1:0",
            "--url",
            &instance.url,
        ])
        .args(["--config", "issuers.yaml"])
        .run()
        .failure()
        .stderr_has("in use by another process");
    let address = instance.address().to_owned();
    assert!(instance.server.terminate().success());
    let (server, _) = serve(&bench, &address);
    assert_eq!(bench.sandbox.read("instance/trusted_root.json"), root);
    assert!(server.terminate().success());
    // Another URL would be another instance.
    bench
        .sandbox
        .command(SEALMARK)
        .args([
            "serve",
            "--dir",
            "instance",
            "--listen",
            "127.0.0.1:0",
            "--config",
            "issuers.yaml",
        ])
        .args(["--url", "https://sigstore.example.com"])
        .run()
        .failure()
        .stderr_has("https://sigstore.example.com");
}

#[test]
fn what_is_missing_or_wrong_is_said_before_anything_is_made() {
    let bench = Bench::new();
    bench.sandbox.write(
        "bad.yaml",
        "oidc-issuers:\n  https://a.example:\n    client-id: x\n    typ: email\n",
    );
    for (words, message) in [
        (
            &[][..],
            "nobody could get a certificate: say with --config FILE",
        ),
        (&["--config", "missing.yaml"], "missing.yaml"),
        (&["--config", "bad.yaml"], "line 4"),
        (
            &["--config", "bad.yaml", "--only", "log"],
            "--config is for the certificate authority",
        ),
    ] {
        let program = bench.sandbox.command(SEALMARK);
        let program = program.args(["serve", "--dir", "instance", "--listen", "127.0.0.1:0"]);
        program.args(words).run().failure().stderr_has(message);
        assert!(!bench.sandbox.join("instance").exists(), "{words:?}");
    }
}
