//! A release is signed with a key on a token, and with one in OpenBao; whoever has the public key verifies it, also with
//! cosign.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::{Bench, SEALMARK, Tool, have};
use sealmark_testkit::{OpenBao, Program, SealmarkRegistry, SoftHsm};

const PIN: &str = "482910";

/// Signs an image and a file with `key` and verifies both, with the key where it is and with its public key in a file.
fn sign_and_verify(run: impl Fn(&[&str]) -> Program, bench: &Bench, key: &str) {
    let registry = SealmarkRegistry::start(SEALMARK);
    let image = format!("{}/app:1", registry.address());
    let images = sealmark_testkit::images().unwrap();
    assert!(images.push(&bench.sandbox, "v1", &image));
    bench.sandbox.write("app.txt", "hello");

    let pem = run(&["public-key", "--key", key]).run().success().stdout();
    bench.sandbox.write("release.pub", &pem);
    run(&["sign", "--key", key, &image]).run().success();
    run(&["verify", "--key", key, &image]).run().success();
    run(&["verify", "--key", "release.pub", &image])
        .run()
        .success();
    bench
        .cosign_verify(Tool::Cosign3, "release", &[&image])
        .success();

    run(&[
        "sign-blob",
        "--key",
        key,
        "--bundle",
        "app.bundle",
        "app.txt",
    ])
    .run()
    .success();
    run(&[
        "verify-blob",
        "--key",
        key,
        "--bundle",
        "app.bundle",
        "app.txt",
    ])
    .run()
    .success();
    bench
        .run(Tool::Cosign3)
        .args([
            "verify-blob",
            "--key",
            "release.pub",
            "--bundle",
            "app.bundle",
        ])
        .args(["--insecure-ignore-tlog", "app.txt"])
        .run()
        .success();
    bench.sandbox.write("app.txt", "tampered");
    run(&[
        "verify-blob",
        "--key",
        key,
        "--bundle",
        "app.bundle",
        "app.txt",
    ])
    .run()
    .failure();
}

#[test]
fn a_release_is_signed_with_a_key_on_a_token() {
    if !have(&["cosign3", "skopeo"]) {
        return;
    }
    let Some(hsm) = SoftHsm::start("story", PIN) else {
        return;
    };
    hsm.tool("--keypairgen --key-type EC:prime256v1 --id 01 --label release")
        .success();
    let bench = Bench::new();
    let run = |words: &[&str]| {
        let (variable, configuration) = hsm.environment();
        bench
            .run(Tool::Sealmark)
            .args(words)
            .env(variable, configuration)
            .env("COSIGN_PKCS11_MODULE_PATH", &hsm.module)
            .env("COSIGN_PKCS11_PIN", PIN)
    };
    sign_and_verify(run, &bench, "pkcs11:token=story;object=release");
    // A token is here: no network is needed for it.
    bench.sandbox.write("app.txt", "hello");
    run(&[
        "verify-blob",
        "--offline",
        "--key",
        "pkcs11:token=story;object=release",
    ])
    .args(["--bundle", "app.bundle", "app.txt"])
    .run()
    .success();

    let said = run(&[
        "sign-blob",
        "-v",
        "--key",
        "pkcs11:object=release",
        "--bundle",
        "b",
        "app.txt",
    ])
    .run()
    .success()
    .stderr();
    assert!(
        said.contains("logging in to the token \"story\" with the PIN from COSIGN_PKCS11_PIN"),
        "{said}"
    );
    assert!(
        said.contains(";object=release;id=%01: ECDSA P-256 with SHA-256"),
        "{said}"
    );
    assert!(!said.contains(PIN), "{said}");
    let wrong = run(&[
        "sign-blob",
        "--key",
        "pkcs11:object=release",
        "--bundle",
        "b",
        "app.txt",
    ])
    .env("COSIGN_PKCS11_PIN", "hunter2")
    .run()
    .failure()
    .stderr();
    assert!(
        wrong.contains("cannot sign: the token refuses the PIN (from COSIGN_PKCS11_PIN)"),
        "{wrong}"
    );
    assert!(!wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn a_release_is_signed_with_a_key_in_openbao() {
    if !have(&["cosign3", "skopeo"]) {
        return;
    }
    let Some(bao) = OpenBao::start() else { return };
    bao.run(&["write", "-f", "transit/keys/release", "type=rsa-3072"])
        .success();
    let bench = Bench::new();
    let run = |words: &[&str]| {
        bench
            .run(Tool::Sealmark)
            .args(words)
            .env("BAO_ADDR", &bao.address)
            .env("BAO_TOKEN", "root")
    };
    sign_and_verify(run, &bench, "openbao://release");
}
