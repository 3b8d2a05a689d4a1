//! Keys in KMS that wrap the password of a server's private keys.

use sealmark_keys::Algorithm;
use sealmark_testkit::{Program, Sandbox, require_or_skip};
use serde_json::{Value, json};

use super::double::{Double, refusal};
use super::localstack::{certificates, start};
use super::sealmark;

/// A call that this program does not make.
fn call(kms: &str, action: &str, body: &Value) -> Value {
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request
        .post(format!("http://{kms}/"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{action}"))
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20261123/us-west-2/kms/aws4_request, SignedHeaders=host, Signature=0",
        )
        .body(body.to_string());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let text = runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn serve(sandbox: &Sandbox, kms: &str, dir: &str, more: &[&str]) -> Program {
    let line = format!("serve --only log --listen 127.0.0.1:0 --dir {dir}");
    sealmark(sandbox, kms, &line).args(more)
}

fn starts(program: Program) {
    let (server, ()) = program.serve(|line| line.contains("log ready").then_some(()));
    assert!(server.terminate().success());
}

#[test]
fn a_symmetric_key_wraps_a_password_and_whole_instances_sign_with_keys_there() {
    let localstack = require_or_skip!("localstack");
    let openssl = require_or_skip!("openssl");
    let sandbox = Sandbox::new();
    certificates(&sandbox, &openssl);
    let (_server, kms) = start(&sandbox, localstack);
    let made = call(&kms, "CreateKey", &json!({}));
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let alias = json!({ "AliasName": "alias/sigstore", "TargetKeyId": arn });
    call(&kms, "CreateAlias", &alias);

    starts(serve(
        &sandbox,
        &kms,
        "log",
        &["--password-kms", "awskms:///alias/sigstore"],
    ));
    let wrapped: Value = serde_json::from_str(&sandbox.read("log/password.kms")).unwrap();
    // The key itself, whatever the alias leads to later.
    assert_eq!(wrapped["key"], format!("awskms:///{arn}"));
    assert_eq!(wrapped["algorithm"], "SYMMETRIC_DEFAULT");
    for flags in [
        &[][..],
        &["--password-kms", &arn],
        &["--password-kms", "awskms:///alias/sigstore"],
    ] {
        starts(serve(&sandbox, &kms, "log", flags));
    }
    // What is bound to it is the instance: for another it is not unwrapped.
    let other = sandbox
        .read("log/password.kms")
        .replace("127.0.0.1", "example.com");
    let ours = sandbox.read("log/password.kms");
    sandbox.write("log/password.kms", other);
    let refused = serve(&sandbox, &kms, "log", &[]).run().failure();
    let said = refused.stderr();
    assert!(
        said.contains("AWS KMS refused kms:Decrypt") && said.contains("InvalidCiphertextException"),
        "{said}"
    );
    assert!(
        said.contains("not wrapped by this key for this instance"),
        "{said}"
    );
    sandbox.write("log/password.kms", ours);
    // A key that is disabled.
    call(&kms, "DisableKey", &json!({ "KeyId": arn }));
    let refused = serve(&sandbox, &kms, "log", &[]).run().failure();
    assert!(refused.stderr().contains("aws kms enable-key"), "{refused}");
    call(&kms, "EnableKey", &json!({ "KeyId": arn }));
    starts(serve(&sandbox, &kms, "log", &[]));

    let issuers = "oidc-issuers:\n  https://token.actions.githubusercontent.com:\n    client-id: sigstore\n    type: email\n";
    sandbox.write("issuers.yaml", issuers);
    // A key that signs does not wrap, and is one for a service.
    for (alias, algorithm) in [
        ("ca", "rsa-2048"),
        ("ct", "ecdsa-p256"),
        ("log", "ecdsa-p256"),
        ("tsa", "ecdsa-p384"),
        ("tuf", "ecdsa-p256"),
    ] {
        let line = format!(
            "generate-key-pair --kms awskms:///alias/{alias} --algorithm {algorithm} --output-key-prefix {alias}"
        );
        sealmark(&sandbox, &kms, &line).run().success();
    }
    let refused = serve(
        &sandbox,
        &kms,
        "new",
        &["--password-kms", "awskms:///alias/log"],
    )
    .run()
    .failure();
    assert!(refused.stderr().contains("kms:Encrypt"), "{refused}");
    assert!(!sandbox.join("new/password.kms").exists());
    let instance = |more: &[&str]| {
        let program = sealmark(
            &sandbox,
            &kms,
            "serve --dir instance --config issuers.yaml --listen 127.0.0.1:0 --url http://127.0.0.1:3999",
        );
        let (server, ()) = program
            .args(more)
            .serve(|line| line.contains("ready; Ctrl-C").then_some(()));
        assert!(server.terminate().success());
    };
    let keys = ["ca", "ct", "log", "tsa", "tuf"]
        .map(|name| format!("--key={name}=awskms:///alias/{name}"));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    instance(&keys);
    instance(&[]);
    let told = sealmark(&sandbox, &kms, "serve check --dir instance --online")
        .run()
        .success()
        .stdout();
    assert_eq!(told.matches(" answers: ").count(), 5, "{told}");
    // The CA alone.
    let program = sealmark(
        &sandbox,
        &kms,
        "serve --only ca --without-ct --config issuers.yaml --dir alone --listen 127.0.0.1:0 --key ca=awskms:///alias/ca",
    );
    let (server, ()) = program.serve(|line| line.contains("ready").then_some(()));
    assert!(server.terminate().success());
    let kept = std::fs::read_to_string(sandbox.join("alone/keys/ca.ref")).unwrap();
    assert_eq!(kept.trim(), "awskms:///alias/ca");
    assert!(!sandbox.join("alone/keys/ca.pem").exists());
}

#[test]
fn whoever_may_not_wrap_or_unwrap_is_named_with_what_is_missing() {
    let sandbox = Sandbox::new();
    for denied in ["Encrypt", "Decrypt"] {
        let kms = Double::start(Algorithm::EcdsaP256, move |call| {
            let arn = super::ARN;
            match call.action.as_str() {
                action if action == denied => Some(refusal(
                    "AccessDeniedException",
                    &format!(
                        "User: arn:aws:iam::562077019569:user/ci is not authorized to perform: kms:{denied} on resource: {arn}"
                    ),
                )),
                "Encrypt" => Some(super::double::good(&json!({
                    "CiphertextBlob": "AQIDBA==", "KeyId": arn,
                }))),
                _ => None,
            }
        });
        let flags = ["--password-kms", "awskms:///alias/sigstore"];
        let refused = serve(&sandbox, kms.address(), "log", &flags)
            .run()
            .failure();
        let expected =
            format!("kms:{denied} must be allowed for arn:aws:iam::562077019569:user/ci");
        assert!(refused.stderr().contains(&expected), "{refused}");
        assert!(!sandbox.join("log/password.kms").exists());
    }
    // One that unwraps something else is not used.
    let kms = Double::start(Algorithm::EcdsaP256, |call| {
        let answer = match call.action.as_str() {
            "Encrypt" => {
                json!({ "CiphertextBlob": "AQIDBA==", "KeyId": super::ARN })
            }
            "Decrypt" => json!({ "Plaintext": "AQIDBA==", "KeyId": super::ARN }),
            _ => return None,
        };
        assert_eq!(
            call.body["EncryptionContext"]["sealmark-instance"],
            "127.0.0.1"
        );
        Some(super::double::good(&answer))
    });
    let flags = ["--password-kms", "awskms:///alias/sigstore"];
    let refused = serve(&sandbox, kms.address(), "log", &flags)
        .run()
        .failure();
    assert!(
        refused
            .stderr()
            .contains("another secret than what it wrapped"),
        "{refused}"
    );
    assert!(!sandbox.join("log/password.kms").exists());
}
