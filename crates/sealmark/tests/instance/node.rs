//! sigstore-js, as npm uses it for provenance: statements in envelopes.

use sealmark_formats::Digest;
use serde_json::json;

use crate::bench::{Bench, SEALMARK, have};
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
    // What npm asks for, what its later versions will, and Rekor v2, which keeps the time with an authority.
    for (kind, version, timestamp) in [("intoto", 1, false), ("dsse", 1, true), ("dsse", 2, true)] {
        let given = json!({
            "url": instance.url, "token": instance.issuer.token(), "bundle": "attested.json",
            "entryType": kind, "majorApiVersion": version, "timestamp": timestamp,
            "statement": statement,
        });
        Client::Node
            .program(&bench)
            .arg("attest")
            .stdin(given.to_string())
            .run()
            .success();
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
    // The other way round: what we attest.
    bench
        .sandbox
        .write("predicate.json", r#"{"buildDefinition":{}}"#);
    bench
        .sandbox
        .command(SEALMARK)
        .args(["attest-blob", "--yes", "--bundle", "attested.json"])
        .args(["--type", PREDICATE, "--predicate", "predicate.json"])
        .args(["--signing-config", "instance/signing_config_rekor_v2.json"])
        .args([
            "--trusted-root",
            "instance/trusted_root.json",
            "package.tgz",
        ])
        .env("SIGSTORE_ID_TOKEN", instance.issuer.token())
        .run()
        .success();
    let verify = |who| Client::Node.verify(&bench, &instance, "attested.json", "package.tgz", who);
    verify(WHO).success();
    verify("eve@example.org").failure();
}
