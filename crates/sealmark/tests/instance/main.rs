//! `serve`: a whole private Sigstore, in which cosign 2, cosign 3, gitsign, sigstore-python, sigstore-js and Sealmark
//! sign, and all verify each other's.

#[path = "../bench/mod.rs"]
mod bench;
mod certificates;
mod clients;
mod gitsign;
mod node;
mod provider;
mod timestamps;
mod world;

use bench::{Bench, SEALMARK, have};
use clients::Client::{self, *};
use sealmark_testkit::get;
use serde_json::Value;
use world::{Instance, WHO, serve};

#[test]
fn everybody_signs_in_it_and_verifies_what_the_others_signed() {
    if !have(&Client::PEERS) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    for (at, (client, config)) in [
        // The very first one too: the index 0, which cosign 2.5.0 and sigstore-python take for a missing one, is not its.
        (Cosign2, ""),
        (Cosign3, "signing_config.json"),
        (Cosign3, "signing_config_rekor_v2.json"),
        (Node, "signing_config.json"),
        (Node, "signing_config_rekor_v2.json"),
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
        for verifier in Client::ALL {
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
            // Whom a verifier takes it for does not depend on who signed.
            if verifier == Sealmark || at == 0 {
                verifier
                    .verify(&bench, &instance, &bundle, &file, "eve@example.org")
                    .failure();
            }
        }
    }
}

#[test]
fn a_signing_configuration_without_timestamp_authorities_is_everybodys() {
    if !have(&["cosign3", "node-sigstore", "sigstore-python"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let service = |url: &str| {
        format!("url={url},api-version=1,start-time=2026-01-01T00:00:00Z,operator=example.org")
    };
    bench
        .sandbox
        .command(SEALMARK)
        .args(["signing-config", "create", "--rekor-config", "ANY"])
        .args(["--fulcio", &service(&instance.url)])
        .args(["--rekor", &service(&instance.url)])
        .args(["--oidc-provider", &service(&instance.issuer.url)])
        .args(["--out", "instance/untimed.json"])
        .run()
        .success();
    bench.sandbox.write("a.txt", "a");
    // sigstore-python reads it as a part of another file.
    let parse = |name: &str| -> Value {
        serde_json::from_str(&bench.sandbox.read(format!("instance/{name}"))).unwrap()
    };
    let mut trust = parse("trust_config.json");
    trust["signingConfig"] = parse("untimed.json");
    bench
        .sandbox
        .write("instance/trust_config.json", trust.to_string());
    for client in [Cosign3, Node, Python, Sealmark] {
        client
            .sign(&bench, &instance, "untimed.json", "a.txt", "a.json")
            .success();
        assert!(!bench.sandbox.read("a.json").contains("signedTimestamp\""));
        Sealmark
            .verify(&bench, &instance, "a.json", "a.txt", WHO)
            .success();
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
        (&["--config", "bad.yaml"], "bad.yaml:4: "),
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
