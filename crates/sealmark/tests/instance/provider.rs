//! People of a foreign OpenID provider, in a browser and on another device.

use std::os::unix::fs::PermissionsExt;

use sealmark_testkit::Program;

use crate::bench::{Bench, SEALMARK, have};
use crate::clients::{Client, script};
use crate::world::{Instance, WHO};

/// Signs `blob` with an identity token that it gets by `flow`.
fn sign(bench: &Bench, client: Client, flow: &str, who: &str) -> Program {
    let words = [
        "sign-blob",
        "--yes",
        "--bundle=bundle.json",
        "--signing-config=instance/signing_config_rekor_v2.json",
        "--trusted-root=instance/trusted_root.json",
        "--fulcio-auth-flow",
        flow,
        "blob",
    ];
    let browser = script("browser.py");
    let program = match (flow, client) {
        ("device", Client::Sealmark) => {
            let program = bench.sandbox.command(browser).arg("--device");
            program.arg(SEALMARK)
        }
        ("device", _) => {
            let program = bench.sandbox.command(browser).arg("--device");
            program.arg(sealmark_testkit::Peer::find("cosign3").expect("it was looked for"))
        }
        _ => client.program(bench),
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = bench.sandbox.join("bin");
    program
        .args(words)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("LOGIN", who)
}

#[test]
fn people_of_another_provider_log_in_with_a_browser_or_a_device() {
    if !have(&["cosign3", "node-sigstore"]) {
        return;
    }
    let bench = Bench::new();
    let (_provider, url) = bench
        .peer("node-sigstore")
        .arg(script("provider.mjs"))
        .serve(|line| {
            let (_, url) = line.split_once("provider at ")?;
            Some(url.trim().to_owned())
        });
    let config = format!("oidc-issuers:\n  {url}:\n    client-id: sigstore\n    type: email\n");
    let _instance = Instance::of(&bench, &config);
    let opener = bench.sandbox.write(
        "bin/xdg-open",
        std::fs::read(script("browser.py")).expect("it is in the checkout"),
    );
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755))
        .expect("it is the test's own");
    bench.sandbox.write("blob", "what is signed");
    for client in [Client::Sealmark, Client::Cosign3] {
        for flow in ["normal", "device"] {
            sign(&bench, client, flow, WHO).run().success();
            for verifier in [Client::Sealmark, Client::Cosign3] {
                for (who, right) in [(WHO, true), ("eve@example.org", false)] {
                    let verified = verifier
                        .program(&bench)
                        .args(["verify-blob", "--bundle=bundle.json"])
                        .arg("--trusted-root=instance/trusted_root.json")
                        .args(["--certificate-identity", who])
                        .args(["--certificate-oidc-issuer", &url, "blob"])
                        .run();
                    match right {
                        true => verified.success(),
                        false => verified.failure(),
                    };
                }
            }
            std::fs::remove_file(bench.sandbox.join("bundle.json")).expect("it was written");
        }
        // The provider has not checked whose address it is.
        let refused = sign(&bench, client, "normal", "unverified@example.org");
        refused.run().failure().stderr_has("verified");
        assert!(!bench.sandbox.join("bundle.json").exists());
    }
}
