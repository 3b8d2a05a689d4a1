//! The plugin protocol both ways: cosign uses this program as a plugin, and this program uses plugins.

use std::path::Path;

use sealmark_testkit::key_vault::SECRET;
use sealmark_testkit::{SealmarkRegistry, images, require_or_skip};
use serde_json::{Value, json};

use crate::{SEALMARK, World, message, openssl};

const EMPTY_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

#[test]
fn cosign_signs_files_through_this_program_and_each_verifies_the_other() {
    let cosign = require_or_skip!("cosign3");
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("file", "the file\n");
    world.sandbox.write("config.json", EMPTY_CONFIG);
    for (name, hash) in [
        ("ec256", "sha256"),
        ("ec384", "sha384"),
        ("ec521", "sha512"),
        ("rsa2048", "sha256"),
        ("rsa3072", "sha256"),
        ("rsa4096", "sha256"),
    ] {
        let key = world.key(name);
        let public = world.public_key(name);
        let theirs = world
            .cosign(&cosign, &["public-key", "--key", &key])
            .run()
            .success();
        assert_eq!(theirs.stdout().trim(), world.sandbox.read(&public).trim());

        let sign = [
            "sign-blob",
            "--key",
            &key,
            "--yes",
            "--bundle",
            "theirs",
            "--signing-config",
            "config.json",
            "file",
        ];
        world.cosign(&cosign, &sign).run().success();
        world
            .sealmark(&[
                "verify-blob",
                "--key",
                &public,
                "--bundle",
                "theirs",
                "file",
            ])
            .run()
            .success();
        world
            .sealmark(&["sign-blob", "--key", &key, "--bundle", "ours", "file"])
            .run()
            .success();
        for (reference, bundle) in [
            (&key, "theirs"),
            (&public, "theirs"),
            (&key, "ours"),
            (&public, "ours"),
        ] {
            let verify = [
                "verify-blob",
                "--key",
                reference,
                "--bundle",
                bundle,
                "--insecure-ignore-tlog",
                "--signature-digest-algorithm",
                hash,
                "file",
            ];
            world.cosign(&cosign, &verify).run().success();
        }
    }
}

#[test]
fn cosign_signs_an_image_with_the_story_s_keys() {
    let cosign = require_or_skip!("cosign3");
    let Some(images) = images() else { return };
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("config.json", EMPTY_CONFIG);
    let registry = SealmarkRegistry::start(SEALMARK);
    for name in ["sigstore-azure-test-key", "sigstore-azure-test-key-ec"] {
        let image = format!("{}/{name}:v1", registry.address());
        if !images.push(&world.sandbox, images.single, &image) {
            return;
        }
        let key = world.key(name);
        let public = world.public_key(name);
        let sign = [
            "sign",
            "--key",
            &key,
            "--yes",
            "--signing-config",
            "config.json",
            "--allow-http-registry",
            &image,
        ];
        world.cosign(&cosign, &sign).run().success();
        world
            .sealmark(&["verify", "--key", &public, &image])
            .run()
            .success();
        world
            .sealmark(&["verify", "--key", &key, &image])
            .run()
            .success();
        let verify = [
            "verify",
            "--insecure-ignore-tlog",
            "--allow-http-registry",
            "--key",
        ];
        for reference in [&key, &public] {
            let words = [&verify[..], &[reference, &image]].concat();
            world.cosign(&cosign, &words).run().success();
        }
    }
}

#[test]
fn cosign_makes_a_key_in_the_vault_and_its_errors_are_ours() {
    let cosign = require_or_skip!("cosign3");
    if !openssl() {
        return;
    }
    let world = World::new();
    let key = world.key("made");
    world
        .cosign(&cosign, &["generate-key-pair", "--kms", &key])
        .run()
        .success();
    assert!(
        world
            .sandbox
            .read("cosign.pub")
            .contains("BEGIN PUBLIC KEY")
    );
    let again = world
        .cosign(&cosign, &["generate-key-pair", "--kms", &key])
        .run()
        .failure();
    assert!(
        again
            .stderr()
            .contains("there is a key of this name already"),
        "{again}"
    );
    let refused = world
        .cosign(&cosign, &["public-key", "--key", &world.key("rbac")])
        .run()
        .failure();
    assert!(
        refused.stderr().contains("Key Vault Crypto User"),
        "{refused}"
    );
}

/// One call of the plugin.
fn call(world: &World, method: &str, resource: &str, more: &Value, stdin: &[u8]) -> Value {
    let plugin = world.plugin();
    let mut arguments = json!({
        "initOptions": {"protocolVersion": "v1", "keyResourceID": resource, "hashFunc": 5, "rpcOptions": {}},
        "methodName": method,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        match name.as_str() {
            "initOptions" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    arguments["initOptions"][name] = value.clone();
                }
            }
            _ => arguments[name] = value.clone(),
        }
    }
    let program = world.sandbox.command(Path::new(&plugin));
    let finished = world
        .vault
        .logged_in(program)
        .args(["v1", &arguments.to_string()])
        .stdin(stdin)
        .run();
    serde_json::from_slice(finished.stdout_bytes())
        .unwrap_or_else(|error| panic!("not JSON: {error}\n{finished}"))
}

#[test]
fn every_method_of_the_protocol_is_there_and_deadlines_count() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let host = world.vault.host();
    let resource = format!("{host}/ec384");
    let none = json!({});
    let ask = |method: &str, more: &Value| call(&world, method, &resource, more, b"a message");
    assert_eq!(
        ask("defaultAlgorithm", &none)["defaultAlgorithm"]["defaultAlgorithm"],
        "ecdsa-p256"
    );
    let supported = ask("supportedAlgorithms", &none);
    let supported = supported["supportedAlgorithms"]["supportedAlgorithms"].as_array();
    assert!(supported.is_some_and(|names| names.contains(&json!("rsa-3072"))));
    assert!(ask("publicKey", &none)["publicKey"]["publicKeyPEM"].is_string());
    // The wish for SHA-256 that a client has before it knows the key does not count; the key's own hash does.
    let signed = ask("signMessage", &none);
    let signature = signed["signMessage"]["signature"].clone();
    assert!(signature.is_string(), "{signed}");
    for remotely in [false, true] {
        let verify = json!({"verifySignature": {
            "signature": signature, "verifyOptions": {"rpcOptions": {"remoteVerification": remotely}},
        }});
        let good = ask("verifySignature", &verify);
        assert_eq!(good, json!({"verifySignature": {}}));
        let bad = call(
            &world,
            "verifySignature",
            &resource,
            &verify,
            b"another message",
        );
        assert!(bad["errorMessage"].is_string(), "{bad}");
    }
    for (method, resource, more, part) in [
        (
            "signMessage",
            resource.as_str(),
            json!({"signMessage": {"signOptions": {"messageOptions": {"hashFunc": 5}}}}),
            "signs with ECDSA P-384 with SHA-384, not with sha256",
        ),
        (
            "signMessage",
            &resource,
            json!({"signMessage": {"signOptions": {"messageOptions": {"digest": "AAAA"}}}}),
            "a digest of 3 bytes was given",
        ),
        (
            "signMessage",
            &resource,
            json!({"initOptions": {"hashFunc": 3}}),
            "the hash 3 of Go's crypto is none of",
        ),
        (
            "publicKey",
            &resource,
            json!({"initOptions": {"ctxDeadline": "2001-01-01T00:00:00Z"}}),
            "deadline 2001-01-01T00:00:00Z has passed",
        ),
        (
            "publicKey",
            &resource,
            json!({"initOptions": {"ctxDeadline": "soon"}}),
            "is not a time of RFC 3339",
        ),
        (
            "publicKey",
            &resource,
            json!({"initOptions": {"protocolVersion": "v2"}}),
            "speaks version v1 of the protocol, not \"v2\"",
        ),
        (
            "publicKey",
            "v/k",
            none.clone(),
            "cannot be the name of a vault",
        ),
        (
            "publicKey",
            &resource,
            json!({"initOptions": {"rpcOptions": {"keyVersion": "7"}}}),
            "is not a key's version",
        ),
        (
            "createKey",
            &resource,
            json!({"createKey": {"algorithm": "dsa"}}),
            "unknown key algorithm \"dsa\"",
        ),
        (
            "createKey",
            &format!("{host}/new"),
            json!({"createKey": {"algorithm": "ed25519"}}),
            "Key Vault makes no Ed25519 keys",
        ),
        (
            "fly",
            &resource,
            none.clone(),
            "the method \"fly\" is not supported",
        ),
    ] {
        let refused = call(&world, method, resource, &more, b"a message");
        let said = refused["errorMessage"].as_str().unwrap_or_default();
        assert!(said.contains(part), "{part}: {refused}");
    }
    // An RSA key has every hash, and a digest may come instead of the message.
    let digest = "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="; // SHA-256 of "a"
    let resource = format!("{host}/rsa2048");
    let options = |more: Value| json!({"signMessage": {"signOptions": {"messageOptions": more}}});
    for more in [
        options(json!({"hashFunc": 7})),
        options(json!({"digest": digest, "hashFunc": 5})),
    ] {
        let signed = call(&world, "signMessage", &resource, &more, b"a");
        assert!(signed["signMessage"]["signature"].is_string(), "{signed}");
    }
    let made = call(
        &world,
        "createKey",
        &format!("{host}/new"),
        &json!({"createKey": {"algorithm": "rsa-2048"}}),
        b"",
    );
    assert!(made["createKey"]["publicKeyPEM"].is_string(), "{made}");
    // A person who starts it is told what it is for.
    let plugin = world.plugin();
    let alone = world.sandbox.command(&plugin).run().code(1);
    assert!(
        alone
            .stderr()
            .contains("this is a plugin for keys, which cosign runs"),
        "{alone}"
    );
}

#[test]
fn keys_of_other_people_s_plugins_are_used() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.sandbox.write("file", "the file\n");
    // Somebody's plugin for a scheme of theirs: here it is this program behind a script.
    let plugin = world.plugin();
    let host = world.vault.host();
    world.program(
        "sigstore-kms-ourhsm",
        &format!(
            "#!/bin/sh\nexec {} \"$1\" \"$(echo \"$2\" | sed 's#\"keyResourceID\":\"#&{host}/#')\"\n",
            plugin.display()
        ),
    );
    for name in ["ec256", "ec521", "rsa3072"] {
        let key = format!("ourhsm://{name}");
        world
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
            .success()
            .stderr_has(&format!("key {key} of the plugin sigstore-kms-ourhsm"));
        let public = world.public_key(name);
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
    }
    let refused = world
        .sealmark(&["public-key", "--key", "ourhsm://rbac"])
        .run()
        .code(1);
    assert!(
        message(&refused).contains("ourhsm://rbac: the plugin sigstore-kms-ourhsm says: "),
        "{refused}"
    );
}

#[test]
fn a_plugin_that_misbehaves_is_named_and_never_waited_for() {
    let world_is_possible = openssl();
    if !world_is_possible {
        return;
    }
    let world = World::new();
    for (script, part) in [
        (
            "echo hello",
            "the plugin sigstore-kms-bad did not answer in JSON as the protocol wants it",
        ),
        (
            "echo no license >&2; exit 3",
            "did not answer in JSON as the protocol wants it; it says: no license",
        ),
        ("echo '{}'", "answered without a public key"),
        (
            "echo '{\"errorMessage\":\"no\\u001b[2Ksuch key\"}'",
            "says: no [2Ksuch key",
        ),
        (
            "echo '{\"publicKey\":{\"publicKeyPEM\":\"aGVsbG8=\"}}'",
            "gave a public key that cannot be used",
        ),
        ("kill -9 $$", "was ended by a signal"),
        ("sleep 60", "no answer within 2 s"),
        ("cat /dev/zero", "answered more than 1048576 bytes"),
    ] {
        world.program("sigstore-kms-bad", &format!("#!/bin/sh\n{script}\n"));
        let refused = world
            .stranger(&["public-key", "--key", "bad://k?pin=1234", "--timeout", "2s"])
            .run()
            .code(1);
        let said = message(&refused);
        let in_time = part.contains("within 2 s") && said.contains("gave up after 2s");
        assert!(said.contains(part) || in_time, "{part}: {refused}");
        assert!(!said.contains("1234") && !said.contains(SECRET), "{said}");
    }
    // A plugin whose signatures are not good is no signer.
    let plugin = world.plugin();
    let host = world.vault.host();
    world.program(
        "sigstore-kms-bad",
        &format!(
            "#!/bin/sh\ncase \"$2\" in *signMessage*) echo '{{\"signMessage\":{{\"signature\":\"AAAA\"}}}}';; \
             *) exec {} \"$1\" \"$(echo \"$2\" | sed 's#\"keyResourceID\":\"k#\"keyResourceID\":\"{host}/ec256#')\";; esac\n",
            plugin.display()
        ),
    );
    world.sandbox.write("file", "the file\n");
    let refused = world
        .sealmark(&[
            "sign-blob",
            "--key",
            "bad://k",
            "--bundle",
            "bundle",
            "file",
        ])
        .run()
        .code(1);
    assert!(
        message(&refused).contains("bad://k gave a signature that its public key does not verify"),
        "{refused}"
    );
    // Where there is none, a slip is still a slip.
    let slip = world
        .stranger(&["public-key", "--key", "azurkms://v/k"])
        .run()
        .code(1);
    assert!(
        message(&slip).contains("did you mean azurekms://?"),
        "{slip}"
    );
}
