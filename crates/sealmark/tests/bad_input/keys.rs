//! `--key`: what is wrong with a key file or with where a key is said to be.

use crate::{Ground, Table};

/// A reference at which nothing is: keys are looked at first.
const IMAGE: &str =
    "127.0.0.1:9/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_key_file_that_cannot_be_used() {
    let ground = Ground::new();
    let key = ground.read("cosign.key");
    ground.write("truncated.key", &key[..key.len() / 2]);
    let lines: Vec<&str> = key.lines().collect();
    let without_a_line = [&lines[..3], &lines[4..]].concat().join("\n");
    ground.write("damaged.key", without_a_line);
    ground.write("empty.key", "");
    ground.write("dir/file", "");
    let huge = std::fs::File::create(ground.sandbox.join("huge.key")).unwrap();
    huge.set_len(100 << 20).unwrap();
    let certificate = include_str!("../fixtures/github-workflow.pem");
    ground.write("cert.pem", certificate);

    let mut table = Table::default();
    table.expect(
        "wrong password",
        ground
            .sealmark("sign-blob --key cosign.key app.txt")
            .env("COSIGN_PASSWORD", "wrong"),
        1,
        "cannot use key cosign.key: wrong password for the private key; it was taken from COSIGN_PASSWORD",
    );
    table.expect(
        "no password anywhere",
        ground.sandbox.command(crate::SEALMARK).args([
            "sign-blob",
            "--key",
            "cosign.key",
            "app.txt",
        ]),
        1,
        "cannot use key cosign.key: wrong password for the private key; it was read from standard input, as COSIGN_PASSWORD is not set",
    );
    for (file, message) in [
        (
            "truncated.key",
            "cannot use key truncated.key: the key file is not PEM: the file is cut off: there is no -----END ENCRYPTED SIGSTORE PRIVATE KEY----- line",
        ),
        (
            "damaged.key",
            "cannot use key damaged.key: not a valid encrypted Sigstore private key: missing field `cipher` at line 1 column 366",
        ),
        (
            "empty.key",
            "cannot use key empty.key: the key file is empty",
        ),
        (
            "huge.key",
            "cannot use key huge.key: the key file is larger than 64 KiB, which no key is; is it the right file?",
        ),
        (
            "cert.pem",
            "cannot use key cert.pem: expected a private key, found a CERTIFICATE; give the private key that belongs to it",
        ),
        (
            "cosign.pub",
            "cannot use key cosign.pub: expected a private key, found a PUBLIC KEY; give the private key that belongs to it",
        ),
        (
            "missing.key",
            "cannot read key missing.key: there is no such file",
        ),
        ("dir", "cannot read key dir: it is a directory"),
        (
            "app.txt",
            "cannot use key app.txt: the key file is not PEM: there is no -----BEGIN …----- line",
        ),
    ] {
        let line = format!("sign --key {file} {IMAGE}");
        table.expect(&format!("sign, {file}"), ground.sealmark(&line), 1, message);
    }
    for (file, message) in [
        (
            "cosign.key",
            "cosign.key is an encrypted private key, but a public key is needed; write its public key to a file: sealmark public-key --key cosign.key",
        ),
        (
            "truncated.key",
            "cannot use key truncated.key: the key file is not PEM: the file is cut off: there is no -----END ENCRYPTED SIGSTORE PRIVATE KEY----- line",
        ),
        (
            "cert.pem",
            "cannot use key cert.pem: expected a public key (PUBLIC KEY), found a CERTIFICATE; take its key out: openssl x509 -in CERT -noout -pubkey",
        ),
        (
            "huge.key",
            "cannot use key huge.key: the key file is larger than 64 KiB, which no key is; is it the right file?",
        ),
        (
            "missing.pub",
            "cannot read key missing.pub: there is no such file",
        ),
        ("dir", "cannot read key dir: it is a directory"),
    ] {
        let line = format!("verify --key {file} {IMAGE}");
        table.expect(
            &format!("verify, {file}"),
            ground.sealmark(&line),
            1,
            message,
        );
    }
}

#[test]
fn a_key_that_is_said_to_be_elsewhere() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (key, message) in [
        (
            "awskm:///alias/release",
            "unknown key reference \"awskm:///alias/release\": did you mean awskms://? known are a file's path, env://VARIABLE, https://… and what docs/keys.md lists: awskms, azurekms, gcpkms, gitlab, hashivault, k8s, openbao, pkcs11",
        ),
        (
            "azurekms://v/k",
            "bad key reference \"azurekms://v/k\": \"v\" cannot be the name of a vault: it has 3 to 24 characters; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME",
        ),
        (
            "foo://bar",
            "unknown key reference \"foo://bar\": known are a file's path, env://VARIABLE, https://… and what docs/keys.md lists: awskms, azurekms, gcpkms, gitlab, hashivault, k8s, openbao, pkcs11",
        ),
        (
            "env://",
            "bad key reference \"env://\": the variable's name is missing: env://VARIABLE",
        ),
        (
            "env://UNSET",
            "cannot read key env://UNSET: the environment variable UNSET is not set",
        ),
        (
            "http://example.com/cosign.pub",
            "bad key reference \"http://example.com/cosign.pub\": http:// is allowed to this machine only, as anyone on the way could exchange the key; use https://",
        ),
        (
            "pkcs11:token=t;object=k?pin-value=123456",
            "pkcs11:token=t;object=k cannot be found: which module has the token? Give ?module-path=/PATH/MODULE.so in the URI, or COSIGN_PKCS11_MODULE_PATH",
        ),
        (
            "k8s://secret",
            "bad key reference \"k8s://secret\": the namespace or the secret is missing: k8s://NAMESPACE/SECRET",
        ),
    ] {
        for command in ["sign", "verify"] {
            let line = format!("{command} --key {key} {IMAGE}");
            table.expect(
                &format!("{command}, {key}"),
                ground.sealmark(&line),
                1,
                message,
            );
        }
    }
    table.expect(
        "an empty reference",
        ground.sealmark("verify --key").arg("").arg(IMAGE),
        1,
        "bad key reference \"\": it is empty",
    );
}

#[test]
fn a_key_whose_password_and_data_both_want_standard_input() {
    let ground = Ground::new();
    let program = ground
        .sandbox
        .command(crate::SEALMARK)
        .args([
            "sign-blob",
            "--key",
            "cosign.key",
            "--bundle",
            "b.json",
            "-",
        ])
        .stdin("data");
    let mut table = Table::default();
    table.expect("both", program, 1, "the key is encrypted and standard input is the file to sign: give the password in COSIGN_PASSWORD");
    assert!(!ground.exists("b.json"));
}
