//! Key pairs that services keep as a folder would: in secrets of Kubernetes, in variables of GitLab, in secrets of GitHub;
//! and keys of others' plugins. Each is shared with cosign, both ways, at a double of the service.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "../bench/mod.rs"]
mod bench;
mod hosts;
mod kubernetes;
mod plugin;

use bench::{Bench, Tool};
use sealmark_testkit::{Finished, Program};

/// Each tool signs a file with `key`, and each verifies what the other has signed. `with` gives a program its environment.
fn share(bench: &Bench, key: &str, with: impl Fn(Program) -> Program) {
    let run = |tool: Tool, words: &[&str]| with(bench.run(tool).args(words)).run();
    bench.sandbox.write("app.txt", "hello");
    let config = bench.signing_config.display().to_string();
    run(
        Tool::Sealmark,
        &["sign-blob", "--key", key, "--bundle", "ours", "app.txt"],
    )
    .success();
    let sign = [
        "sign-blob",
        "--key",
        key,
        "--signing-config",
        &config,
        "--bundle",
        "theirs",
        "--yes",
        "app.txt",
    ];
    run(Tool::Cosign3, &sign).success();
    for bundle in ["ours", "theirs"] {
        let words = ["verify-blob", "--key", key, "--bundle", bundle, "app.txt"];
        run(Tool::Sealmark, &words).success();
        run(
            Tool::Cosign3,
            &[&words[..], &["--insecure-ignore-tlog"]].concat(),
        )
        .success();
    }
    let ours = run(Tool::Sealmark, &["public-key", "--key", key])
        .success()
        .stdout();
    assert_eq!(
        ours,
        run(Tool::Cosign3, &["public-key", "--key", key])
            .success()
            .stdout()
    );
    bench.sandbox.write("app.txt", "tampered");
    let refused = run(
        Tool::Sealmark,
        &["verify-blob", "--key", key, "--bundle", "ours", "app.txt"],
    );
    refused.failure();
}

/// The message of a failure.
#[track_caller]
fn message(finished: &Finished) -> String {
    let text = finished.stderr();
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    line.unwrap_or_else(|| panic!("no message\n{finished}"))
        .to_owned()
}

#[test]
fn offline_a_key_that_needs_the_network_is_refused_before_anybody_is_asked() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "release");
    bench.sandbox.write("app.txt", "hello");
    let sign = [
        "sign-blob",
        "--key",
        "release.key",
        "--bundle",
        "b",
        "app.txt",
    ];
    bench.sealmark(&sign).success();
    let verify = |key: &str| {
        let words = [
            "verify-blob",
            "--offline",
            "--key",
            key,
            "--bundle",
            "b",
            "app.txt",
        ];
        let run = bench.run(Tool::Sealmark).args(words);
        run.env("KEY", bench.sandbox.read("release.pub")).run()
    };
    verify("release.pub").success();
    verify("env://KEY").success();
    for key in [
        "awskms:///alias/release",
        "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/release",
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "hashivault://transit/release",
        "k8s://demo/release",
        "gitlab://acme/app",
        "github://acme/app",
    ] {
        assert_eq!(
            message(&verify(key).code(1)),
            format!(
                "--offline: the key {key} would have to be asked for; keep its public key in a file while there is a network: \
                 sealmark public-key --key {key} --outfile FILE"
            )
        );
    }
    let url = message(&verify("https://example.com/release.pub").code(1));
    assert_eq!(
        url,
        "--offline: the key https://example.com/release.pub would have to be fetched; keep it in a file"
    );
}
