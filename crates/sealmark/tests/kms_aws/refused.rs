//! What AWS refuses, what does not answer, and what its user is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealmark_keys::Algorithm;
use sealmark_testkit::{FaultyServer, Reply, Sandbox};
use serde_json::json;

use super::double::{Double, good, refusal};
use super::{ARN, bare, sealmark};

const USER: &str = "arn:aws:sts::562077019569:assumed-role/builder/ci";

#[test]
fn each_refusal_names_what_was_asked_for_what_and_what_to_do() {
    let denied = |action: &str| {
        format!(
            "User: {USER} is not authorized to perform: {action} on resource: {ARN} because no identity-based policy \
             allows the {action} action"
        )
    };
    // Which alias is refused what, how, and the end of the message.
    let table = [
        ("a", "GetPublicKey", "AccessDeniedException", denied("kms:GetPublicKey"), format!("kms:GetPublicKey must be allowed for {USER}, by the key's policy or its own")),
        ("b", "Sign", "AccessDeniedException", denied("kms:Sign"), format!("kms:Sign must be allowed for {USER}, by the key's policy or its own")),
        ("c", "GetPublicKey", "NotFoundException", "Alias arn:aws:kms:us-west-2:562077019569:alias/c is not found.".to_owned(), "aliases belong to one account and region: aws kms list-aliases --region us-west-2 shows those of the credentials' own account; give the ARN for another region or account".to_owned()),
        ("d", "GetPublicKey", "DisabledException", format!("{ARN} is disabled."), "the key is disabled; enable it: aws kms enable-key --region us-west-2 --key-id …".to_owned()),
        ("e", "Sign", "KMSInvalidStateException", format!("{ARN} is pending deletion."), "the key is about to be deleted; keep it: aws kms cancel-key-deletion --region us-west-2 --key-id …, and then enable-key".to_owned()),
        ("f", "GetPublicKey", "UnsupportedOperationException", "You cannot get the public key of a symmetric key.".to_owned(), "the key is not one that signs: make one with sealmark generate-key-pair --kms awskms:///alias/NAME".to_owned()),
        ("g", "GetPublicKey", "ExpiredTokenException", "The security token included in the request is expired".to_owned(), "the credentials have expired: log in again".to_owned()),
        ("h", "GetPublicKey", "UnrecognizedClientException", "The security token included in the request is invalid.".to_owned(), "AWS does not know these credentials: is the access key deleted, or of another partition than us-west-2?".to_owned()),
        ("i", "GetPublicKey", "InvalidSignatureException", "Signature expired: 20261123T000000Z is now earlier than 20261123T001500Z".to_owned(), "is the secret access key complete, and this machine's clock right?".to_owned()),
    ];
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let served = table.clone();
    let kms = Double::start(Algorithm::EcdsaP256, move |call| {
        let hit = served.iter().find(|(alias, action, ..)| {
            call.key() == format!("alias/{alias}") && call.action == *action
        });
        hit.map(|(_, _, code, message, _)| refusal(&format!("com.amazonaws.kms#{code}"), message))
    });
    for (alias, action, code, words, advice) in table {
        let line = format!("sign-blob --key awskms:///alias/{alias} --bundle b file");
        let failed = sealmark(&sandbox, kms.address(), &line).run().code(1);
        let expected = format!(
            "error: AWS KMS refused kms:{action} with awskms:///alias/{alias} ({}, region us-west-2): {code}: {words}; \
             {advice}\n",
            kms.address()
        );
        assert!(
            failed.stderr().ends_with(&expected),
            "expected {expected}{failed}"
        );
    }
}

#[test]
fn keys_that_do_not_sign_are_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let specs = [
        (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            "it is a symmetric key (SYMMETRIC_DEFAULT), which encrypts",
        ),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            "it is a symmetric key (HMAC_256), whose codes only its holders can check",
        ),
        (
            "RSA_2048",
            "ENCRYPT_DECRYPT",
            "it is for ENCRYPT_DECRYPT and not for SIGN_VERIFY, which cannot be changed",
        ),
        (
            "ECC_NIST_P256",
            "KEY_AGREEMENT",
            "it is for KEY_AGREEMENT and not for SIGN_VERIFY, which cannot be changed",
        ),
        (
            "ECC_SECG_P256K1",
            "SIGN_VERIFY",
            "its curve is secp256k1, which Sigstore's formats do not have",
        ),
        (
            "SM2",
            "SIGN_VERIFY",
            "it is an SM2 key, which Sigstore's formats do not have",
        ),
        (
            "ML_DSA_65",
            "SIGN_VERIFY",
            "it is an ML-DSA key (ML_DSA_65), which is not supported",
        ),
    ];
    for (spec, usage, expected) in specs {
        let kms = Double::start(Algorithm::EcdsaP256, move |_| {
            Some(good(&json!({
                "KeyId": ARN, "PublicKey": "", "CustomerMasterKeySpec": spec, "KeyUsage": usage,
            })))
        });
        let line = "sign-blob --key awskms:///alias/k --bundle b file";
        let failed = sealmark(&sandbox, kms.address(), line).run().code(1);
        let expected = format!("awskms:///alias/k cannot sign: {expected}; make one that signs: ");
        assert!(failed.stderr().contains(&expected), "{expected}\n{failed}");
    }
}

#[test]
fn a_busy_kms_is_asked_again() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let count = AtomicUsize::new(0);
    let kms = Double::start(Algorithm::EcdsaP256, move |call| {
        let throttled = call.action == "Sign" && count.fetch_add(1, Ordering::SeqCst) < 2;
        throttled.then(|| refusal("ThrottlingException", "Rate exceeded"))
    });
    let line = "-v sign-blob --key awskms:///alias/k --bundle b file";
    let signed = sealmark(&sandbox, kms.address(), line).run().success();
    assert!(
        signed
            .stderr()
            .contains("AWS KMS says ThrottlingException; trying again in 0.5 s"),
        "{signed}"
    );
    let always = Double::start(Algorithm::EcdsaP256, |_| {
        Some(refusal("ThrottlingException", "Rate exceeded"))
    });
    let failed = sealmark(&sandbox, always.address(), line).run().code(1);
    assert!(
        failed.stderr().contains("Rate exceeded; try again later"),
        "{failed}"
    );
    let tries = always
        .calls()
        .iter()
        .filter(|call| call.starts_with("GetPublicKey"))
        .count();
    assert_eq!(tries, 4);
}

#[test]
fn whoever_does_not_answer_is_named_and_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let line = "--timeout 2s sign-blob --key awskms:///alias/k --bundle b file";
    let silent = Double::start(Algorithm::EcdsaP256, |_| Some(Reply::Hang));
    let start = Instant::now();
    let failed = sealmark(&sandbox, silent.address(), line).run().code(1);
    assert!(start.elapsed() < Duration::from_secs(20), "{failed}");
    let expected = format!(
        "AWS KMS: POST http://{}/: no complete answer within 2 s",
        silent.address()
    );
    assert!(failed.stderr().contains(&expected), "{failed}");

    let nobody = FaultyServer::nobody();
    let line = "sign-blob --key awskms:///alias/k --bundle b file";
    let failed = sealmark(&sandbox, &nobody, line).run().code(1);
    for part in [
        &*nobody,
        "cannot connect",
        "the address comes from the endpoint that is set for KMS (key awskms:///alias/k)",
    ] {
        assert!(failed.stderr().contains(part), "{failed}");
    }
    // Names under `.invalid` exist nowhere (RFC 6761).
    let failed = sealmark(&sandbox, "kms.us-wset-2.invalid", line)
        .run()
        .code(1);
    for part in [
        "kms.us-wset-2.invalid",
        "is it, and the region us-west-2, spelled as AWS spells it?",
    ] {
        assert!(failed.stderr().contains(part), "{failed}");
    }
}

#[test]
fn what_kms_signs_is_not_believed_unless_it_verifies() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let other = Double::start(Algorithm::EcdsaP256, |call| {
        (call.action == "Sign").then(|| good(&json!({ "Signature": "MAYCAQECAQE=" })))
    });
    let line = "sign-blob --key awskms:///alias/k --bundle b file";
    let failed = sealmark(&sandbox, other.address(), line).run().code(1);
    let expected = format!(
        "awskms:///{ARN} gave a signature that its public key does not verify (ECDSA P-256 with SHA-256)"
    );
    assert!(failed.stderr().contains(&expected), "{failed}");
    assert!(!sandbox.join("b").exists());

    // The other way round: what verifies here, and KMS does not call its own.
    let denier = Double::start(Algorithm::EcdsaP256, |call| {
        (call.action == "Verify").then(|| refusal("KMSInvalidSignatureException", ""))
    });
    sealmark(&sandbox, denier.address(), line).run().success();
    let failed = sealmark(
        &sandbox,
        denier.address(),
        "verify-blob --verify-remotely --key awskms:///alias/k --bundle b file",
    );
    let failed = failed.run().code(12);
    assert!(
        failed
            .stderr()
            .contains("does not call the signature in b one of this key"),
        "{failed}"
    );
    assert!(!failed.stdout().contains("verified"), "{failed}");
}

#[test]
fn without_a_region_or_credentials_it_is_said_where_they_were_looked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let line = "sign-blob --key awskms:///alias/k --bundle b file";
    let nobody = FaultyServer::nobody();
    let failed = bare(&sandbox, &nobody, line).run().code(1);
    let home = sandbox.join("home/.aws");
    let home = home.display();
    let expected = format!(
        "error: awskms:///alias/k: in which region of AWS is it? Give the key's ARN, or set AWS_REGION; neither \
         AWS_REGION nor AWS_DEFAULT_REGION is set, and there is no region in the profile default ({home}/config (not \
         there) and {home}/credentials (not there))\n"
    );
    assert_eq!(failed.stderr(), expected);
    let failed = bare(&sandbox, &nobody, line)
        .env("AWS_REGION", "us-west-2")
        .run()
        .code(1);
    let expected = format!(
        "error: no credentials for AWS, in any of these places:\n  \
         - environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set\n  \
         - web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set\n  \
         - profile default: not in {home}/config (not there) and {home}/credentials (not there)\n  \
         - container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set\n  \
         - EC2 instance: AWS_EC2_METADATA_DISABLED is true\n  \
         set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with AWS_PROFILE\n"
    );
    assert_eq!(failed.stderr(), expected);
}
