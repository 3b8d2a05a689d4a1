//! Every kind of key signs files and images, and its signatures are good for whoever has the public key.

use sealmark_testkit::key_vault::SECRET;
use sealmark_testkit::{Peer, SealmarkRegistry};

use crate::{SEALMARK, World, message, openssl};

#[test]
fn every_kind_of_key_signs_and_openssl_agrees() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("file", "the file\n");
    for (name, hash) in [
        ("ec256", "sha256"),
        ("ec384", "sha384"),
        ("ec521", "sha512"),
        ("echsm", "sha256"),
        ("rsa2048", "sha256"),
        ("rsa3072", "sha256"),
        ("rsa4096", "sha256"),
        ("rsahsm", "sha256"),
    ] {
        let key = world.key(name);
        let public = world.public_key(name);
        world
            .sealmark(&["sign-blob", "--key", &key, "--bundle", "bundle", "file"])
            .run()
            .success();
        for reference in [&key, &public] {
            world
                .sealmark(&[
                    "verify-blob",
                    "--key",
                    reference,
                    "--bundle",
                    "bundle",
                    "file",
                ])
                .run()
                .success();
        }
        // Without leading zeros kept, one signature in a hundred would be wrong; a few more do not show that, the
        // unit tests do. Here the signature alone goes to OpenSSL.
        world
            .sealmark(&[
                "sign-blob",
                "--key",
                &key,
                "--output-signature",
                "sig",
                "file",
            ])
            .run()
            .success();
        let openssl = |words: &[&str]| {
            let program = Peer::find("openssl").expect("it was there");
            world.sandbox.command(program).args(words).run().success();
        };
        openssl(&["base64", "-d", "-A", "-in", "sig", "-out", "sig.der"]);
        openssl(&[
            "dgst",
            &format!("-{hash}"),
            "-verify",
            &public,
            "-signature",
            "sig.der",
            "file",
        ]);
    }
}

#[test]
fn an_image_is_signed_and_the_story_s_rsa_key_works() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let registry = SealmarkRegistry::start(SEALMARK);
    let image = format!("{}/flasksample:v1", registry.address());
    let Some(images) = sealmark_testkit::images() else {
        return;
    };
    if !images.push(&world.sandbox, images.single, &image) {
        return;
    }
    for name in ["sigstore-azure-test-key", "sigstore-azure-test-key-ec"] {
        let key = world.key(name);
        let public = world.public_key(name);
        world
            .sealmark(&["sign", "--key", &key, &image])
            .run()
            .success();
        world
            .sealmark(&["verify", "--key", &public, &image])
            .run()
            .success();
    }
}

#[test]
fn the_newest_version_is_found_once_and_pinned_in_what_is_printed() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("file", "the file\n");
    let key = world.key("ec256");
    let signed = world
        .sealmark(&[
            "sign-blob",
            "-v",
            "--key",
            &key,
            "--bundle",
            "bundle",
            "file",
        ])
        .run()
        .success();
    let pinned = signed
        .stderr()
        .lines()
        .find_map(|line| {
            let (_, rest) = line.split_once("Azure key ")?;
            rest.split(' ').next().map(str::to_owned)
        })
        .unwrap_or_else(|| panic!("no version\n{signed}"));
    assert!(pinned.starts_with(&format!("{key}/")), "{pinned}");
    assert!(signed.stderr().contains("the newest"), "{signed}");
    assert!(
        !signed.stderr().contains(SECRET) && !signed.stderr().contains("eyJ"),
        "{signed}"
    );
    // Challenge, token, key, signature: nothing is asked for twice.
    let requests: Vec<String> = world
        .vault
        .requests()
        .iter()
        .map(|request| {
            let path = request.path.split('?').next().unwrap_or_default();
            let version = pinned.rsplit('/').next().unwrap_or_default();
            format!("{} {}", request.method, path.replace(version, "V"))
        })
        .collect();
    assert_eq!(
        requests,
        [
            "GET /keys/ec256/",
            "POST /08c1c649-bfdd-439e-8e5b-5ff31c72ce4e/oauth2/v2.0/token",
            "GET /keys/ec256/",
            "POST /keys/ec256/V/sign",
        ]
    );
    // Every form of the portal is the same key.
    let host = world.vault.host();
    let version = pinned.rsplit('/').next().unwrap_or_default();
    for form in [
        pinned.clone(),
        format!("azurekms://{host}/keys/ec256"),
        format!("azurekms://{host}/keys/ec256/{version}"),
        format!(
            "azurekms://https://{host}/keys/ec256/{}/",
            version.to_uppercase()
        ),
    ] {
        world
            .sealmark(&["verify-blob", "--key", &form, "--bundle", "bundle", "file"])
            .run()
            .success();
    }
}

#[test]
fn a_key_that_cannot_sign_says_so_in_words() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("file", "the file\n");
    for (name, part) in [
        (
            "ec256k",
            "it is a key of the curve P-256K, with which Sigstore knows no signature",
        ),
        (
            "oct",
            "it is a symmetric key (oct-HSM), which has no public part",
        ),
        (
            "nosign",
            "the key may not sign: its permitted operations are verify; permit it: az keyvault key set-attributes",
        ),
        (
            "disabled",
            "the key is disabled; enable it: az keyvault key set-attributes",
        ),
    ] {
        let key = world.key(name);
        let refused = world
            .sealmark(&["sign-blob", "--key", &key, "--bundle", "bundle", "file"])
            .run()
            .failure();
        assert!(message(&refused).contains(part), "{refused}");
        assert!(!world.sandbox.join("bundle").exists());
    }
    // Reading the public key needs no permission to sign.
    world.public_key("nosign");
}
