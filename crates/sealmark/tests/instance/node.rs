//! sigstore-js, as npm uses it for provenance: statements in envelopes.

use sealmark_formats::Digest;
use serde_json::json;

use crate::bench::{Bench, have};
use crate::clients::Client;
use crate::world::{Instance, WHO};

const PREDICATE: &str = "https://slsa.dev/provenance/v1";

#[test]
fn npms_provenance_is_verified_by_everybody() {
    if !have(&Client::PEERS) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    bench.sandbox.write("package.tgz", "what is published");
    let digest = Digest::sha256(b"what is published").hex();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "pkg:npm/a@1.0.0", "digest": {"sha256": digest}}],
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": {}, "runDetails": {}},
    });
    let attest = |kind: &str, version: u32, timestamp: bool| {
        let given = json!({
            "url": instance.url, "token": instance.issuer.token(), "bundle": "attested.json",
            "entryType": kind, "majorApiVersion": version, "timestamp": timestamp,
            "statement": statement,
        });
        let program = Client::Node.program(&bench).arg("attest");
        program.stdin(given.to_string()).run()
    };
    // It sends envelopes to Rekor v2, which takes none since 2.3.
    attest("dsse", 2, true)
        .failure()
        .stderr_has("dsse is not taken");
    // What npm asks for, and what its later versions will.
    for (kind, timestamp) in [("intoto", false), ("dsse", true)] {
        attest(kind, 1, timestamp).success();
        for who in [WHO, "eve@example.org"] {
            let issuer = instance.issuer.url.as_str();
            let root = instance.file("trusted_root.json");
            let cosign_like = |client: Client| {
                client
                    .program(&bench)
                    .args(["verify-blob-attestation", "--bundle", "attested.json"])
                    .args(["--type", PREDICATE, "--certificate-identity", who])
                    .args(["--certificate-oidc-issuer", issuer, "--trusted-root"])
                    .arg(&root)
                    .arg("package.tgz")
                    .run()
            };
            let verify = |client: Client| {
                client.verify(&bench, &instance, "attested.json", "package.tgz", who)
            };
            let mut all = vec![
                cosign_like(Client::Sealmark),
                cosign_like(Client::Cosign3),
                verify(Client::Node),
            ];
            // sigstore-python takes no time from entries of the kind `intoto`.
            match kind {
                "intoto" => _ = verify(Client::Python).failure(),
                _ => all.push(verify(Client::Python)),
            }
            for finished in all {
                match who {
                    WHO => finished.success(),
                    _ => finished.failure(),
                };
            }
        }
    }
    // The other way round: what cosign attests.
    bench
        .sandbox
        .write("predicate.json", r#"{"buildDefinition":{}}"#);
    for (config, known) in [
        ("signing_config.json", true),
        // It knows an envelope's entry in Rekor v2 only of the kind that Rekor v2 no longer takes.
        ("signing_config_rekor_v2.json", false),
    ] {
        Client::Cosign3
            .program(&bench)
            .args(["attest-blob", "--yes", "--bundle", "attested.json"])
            .args(["--type", PREDICATE, "--predicate", "predicate.json"])
            .arg("--signing-config")
            .arg(instance.file(config))
            .arg("--trusted-root")
            .arg(instance.file("trusted_root.json"))
            .arg("package.tgz")
            .env("SIGSTORE_ID_TOKEN", instance.issuer.token())
            .run()
            .success();
        for who in [WHO, "eve@example.org"] {
            let verified =
                Client::Node.verify(&bench, &instance, "attested.json", "package.tgz", who);
            match who {
                WHO if known => verified.success(),
                _ => verified.failure(),
            };
        }
    }
}
