//! The article's user pastes what the console shows, and is not refused.

use sealmark_keys::Algorithm;
use sealmark_testkit::{FaultyServer, Sandbox, SealmarkRegistry, images};

use super::double::Double;
use super::{ARN, ID, SEALMARK, bare, sealmark};

#[test]
fn every_form_that_was_pasted_signs_an_image_and_verifies_it() {
    let Some(images) = images() else { return };
    let registry = SealmarkRegistry::start(SEALMARK);
    let sandbox = Sandbox::new();
    let kms = Double::start(Algorithm::EcdsaP256, |_| None);
    for (number, (pasted, asked)) in [
        // Refused by cosign: "kms specification should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN]".
        (format!("awskms://{ID}"), ID),
        // Refused by cosign: "failed to parse endpoint URL: … invalid port \":key\" after host".
        (format!("awskms://{ARN}"), ARN),
        (format!("awskms:///{ID}"), ID),
        (format!("awskms:///{ARN}"), ARN),
        (ARN.to_owned(), ARN),
        ("awskms://alias/release".to_owned(), "alias/release"),
    ]
    .into_iter()
    .enumerate()
    {
        // Each has an image of its own: what is signed by the key already is not signed again.
        let image = format!("{}/flasksample{number}:v1", registry.address());
        if !images.push(&sandbox, images.single, &image) {
            return;
        }
        let before = kms.calls().len();
        sealmark(
            &sandbox,
            kms.address(),
            &format!("sign --key {pasted} {image}"),
        )
        .run()
        .success();
        // The public key is asked for once, and nothing else is asked.
        let by = "us-west-2 AKIAENVIRONMENT";
        assert_eq!(
            kms.calls()[before..],
            [
                format!("GetPublicKey {asked} {by}"),
                format!("Sign {asked} {by}")
            ],
            "{pasted}"
        );
        let before = kms.calls().len();
        sealmark(
            &sandbox,
            kms.address(),
            &format!("verify --key {pasted} {image}"),
        )
        .run()
        .success();
        assert_eq!(
            kms.calls()[before..],
            [format!("GetPublicKey {asked} {by}")]
        );
    }
}

#[test]
fn the_region_of_the_arn_is_used_and_verbose_tells_what_was_chosen() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let kms = Double::start(Algorithm::EcdsaP384, |_| None);
    let line = format!(
        "-v sign-blob --key {} --bundle file.bundle file",
        ARN.replace("us-west-2", "eu-west-1")
    );
    let signed = sealmark(&sandbox, kms.address(), &line).run().success();
    let arn = ARN.replace("us-west-2", "eu-west-1");
    for part in [
        format!("key awskms:///{arn}\n"),
        format!(
            "AWS KMS at http://{} (by the endpoint that is set for KMS), region eu-west-1",
            kms.address()
        ),
        "AWS credentials from the environment (AWS_ACCESS_KEY_ID), without an end".to_owned(),
        "AWS identity arn:aws:iam::562077019569:user/AKIAENVIRONMENT".to_owned(),
        format!("AWS key awskms:///{ARN}: ECC_NIST_P384, signs ECDSA P-384 with SHA-384"),
    ] {
        assert!(signed.stderr().contains(&part), "{part}\n{signed}");
    }
    assert!(!signed.stderr().contains("secret-of"), "{signed}");
    assert!(
        kms.calls()
            .contains(&format!("Sign {arn} eu-west-1 AKIAENVIRONMENT"))
    );
    // The public key in a file verifies it as well, and so does KMS.
    sealmark(
        &sandbox,
        kms.address(),
        &format!("public-key --key {arn} --outfile aws.pub"),
    )
    .run()
    .success();
    sealmark(
        &sandbox,
        kms.address(),
        "verify-blob --key aws.pub --bundle file.bundle file",
    )
    .run()
    .success();
    let asked = sealmark(
        &sandbox,
        kms.address(),
        &format!("verify-blob --verify-remotely --key {arn} --bundle file.bundle file"),
    )
    .run()
    .success();
    let expected = format!("the provider of awskms:///{ARN} verified it, too");
    assert!(asked.stderr().contains(&expected), "{asked}");
    assert_eq!(
        kms.calls()
            .iter()
            .filter(|call| call.starts_with("Verify"))
            .count(),
        1
    );
    let local = sealmark(
        &sandbox,
        kms.address(),
        "verify-blob --verify-remotely --key aws.pub --bundle file.bundle file",
    );
    let local = local.run().failure();
    assert!(
        local.stderr().contains("none of the keys is in a provider"),
        "{local}"
    );
}

#[test]
fn a_slip_of_the_pen_is_told_with_what_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for (slip, expected) in [
        ("awskm:///alias/release", "did you mean awskms://?"),
        ("awskms:///release", "did you mean awskms:///alias/release?"),
        (
            "awskms:////alias/release",
            "there is a slash too many; did you mean awskms:///alias/release?",
        ),
        (
            "arn:aws:s3:::bucket",
            "this is an ARN of the service \"s3\", not of a key",
        ),
        (
            "arn:aws:kms:us-west-2:562077019569:key/61c124fb",
            "the ARN ends with \"61c124fb\", which is not a key id",
        ),
    ] {
        let line = format!("sign-blob --key {slip} file");
        let failed = bare(&sandbox, &FaultyServer::nobody(), &line).run().code(1);
        assert!(failed.stderr().contains(expected), "{failed}");
    }
}

#[test]
fn ed25519_signs_what_is_small_and_says_why_not_the_rest() {
    let sandbox = Sandbox::new();
    sandbox.write("small", vec![7; 4096]);
    sandbox.write("large", vec![7; 4097]);
    let kms = Double::start(Algorithm::Ed25519, |_| None);
    let key = "awskms:///alias/ed";
    sealmark(
        &sandbox,
        kms.address(),
        &format!("sign-blob --key {key} --bundle b small"),
    )
    .run()
    .success();
    sealmark(
        &sandbox,
        kms.address(),
        &format!("verify-blob --verify-remotely --key {key} --bundle b small"),
    )
    .run()
    .success();
    let failed = sealmark(
        &sandbox,
        kms.address(),
        &format!("sign-blob --key {key} --bundle b large"),
    );
    let failed = failed.run().code(1);
    let expected = "awskms:///alias/ed cannot sign: 4097 bytes are to be signed, and AWS KMS signs at most 4096 with \
                    Ed25519, which signs the data itself and no digest; use an ECDSA or RSA key";
    assert!(failed.stderr().contains(expected), "{failed}");
    let logged = format!(
        "sign-blob --key {key} --rekor-url http://{} --bundle c small",
        kms.address()
    );
    sandbox.write(
        "root.json",
        "{\"mediaType\":\"application/vnd.dev.sigstore.trustedroot+json;version=0.1\"}",
    );
    let failed = sealmark(
        &sandbox,
        kms.address(),
        &format!("{logged} --trusted-root root.json"),
    );
    let failed = failed.run().code(1);
    assert!(failed.stderr().contains("a log takes digests of what was signed, and a signature by an Ed25519 key is not over one"), "{failed}");
}
