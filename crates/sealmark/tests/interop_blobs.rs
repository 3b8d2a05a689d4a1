//! Files signed by one tool and verified by another, and keys that go from one tool to another.
//!
//! The matrix: {Sealmark, cosign 2.5.0, cosign 3.1.1} sign-blob × the same verify-blob × every kind of key × {bundle,
//! legacy bundle, signature alone}. What a peer cannot do is listed in [`peer_cannot`], and is proven: a peer that can
//! after all fails the test too.

mod bench;

use bench::{Bench, PASSWORD, Tool, have, json};
use sealmark_testkit::Finished;
use serde_json::Value;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Bundle,
    LegacyBundle,
    Signature,
}

const FORMS: [Form; 3] = [Form::Bundle, Form::LegacyBundle, Form::Signature];

/// Each kind of key, with the hash that belongs to it.
const KEYS: [(&str, &str); 6] = [
    ("ecdsa-p256", "sha256"),
    ("ecdsa-p384", "sha384"),
    ("ecdsa-p521", "sha512"),
    ("rsa-2048", "sha256"),
    ("rsa-4096", "sha256"),
    ("ed25519", "sha512"),
];

fn hash_of(algorithm: &str) -> &'static str {
    let found = KEYS.iter().find(|(name, _)| *name == algorithm);
    found.expect("a kind of key that is listed").1
}

/// What a peer itself cannot verify, and why.
fn peer_cannot(verifier: Tool, signer: Tool, algorithm: &str, form: Form) -> Option<&'static str> {
    let large_curve = matches!(algorithm, "ecdsa-p384" | "ecdsa-p521");
    match (verifier, signer, form) {
        (Tool::Cosign2, Tool::Sealmark | Tool::Cosign3, _) if large_curve => Some(
            "cosign 2.5.0 hashes files with SHA-256 whatever the key, and its verify-blob cannot be told otherwise",
        ),
        (Tool::Cosign3, Tool::Sealmark | Tool::Cosign3, Form::LegacyBundle) if large_curve => Some(
            "cosign 3.1.1 verifies a legacy bundle with SHA-256 whatever --signature-digest-algorithm says",
        ),
        (Tool::Cosign3, Tool::Cosign3, Form::Bundle) if algorithm == "ed25519" => Some(
            "cosign 3.1.1 writes Ed25519 bundles without a digest and refuses them: message is missing artifact digest",
        ),
        _ => None,
    }
}

fn sign(bench: &Bench, tool: Tool, form: Form, key: &str, file: &str, to: &str) -> Finished {
    let mut sign = bench.run(tool).args(["sign-blob", "--key", key, "--yes"]);
    sign = match tool {
        Tool::Sealmark => sign,
        Tool::Cosign3 if form == Form::Bundle => {
            sign.arg("--signing-config").arg(&bench.signing_config)
        }
        Tool::Cosign3 => sign.args([
            "--tlog-upload=false",
            "--use-signing-config=false",
            "--new-bundle-format=false",
        ]),
        Tool::Cosign2 => sign.arg("--tlog-upload=false"),
    };
    sign = match (tool, form) {
        (Tool::Cosign2, Form::Bundle) => sign.arg("--new-bundle-format"),
        (Tool::Sealmark, Form::LegacyBundle) => sign.arg("--legacy-bundle"),
        _ => sign,
    };
    let flag = match form {
        Form::Signature => "--output-signature",
        _ => "--bundle",
    };
    sign.args([flag, to, file]).run()
}

fn verify(
    bench: &Bench,
    (tool, signer): (Tool, Tool),
    form: Form,
    algorithm: &str,
    file: &str,
    from: &str,
) -> Finished {
    let public = format!("{algorithm}.pub");
    let mut verify =
        bench
            .run(tool)
            .args(["verify-blob", "--key", &public, "--insecure-ignore-tlog"]);
    verify = match (tool, form) {
        // Without a trusted root it asks the network for one, although a key needs none.
        (Tool::Cosign2, Form::Bundle) => verify
            .arg("--new-bundle-format")
            .arg("--trusted-root")
            .arg(&bench.trusted_root),
        (Tool::Cosign3, Form::LegacyBundle | Form::Signature) => {
            verify.arg("--new-bundle-format=false")
        }
        _ => verify,
    };
    // The hash follows from the key, but cosign must be told so; cosign 2 signs with SHA-256 whatever the key.
    if tool == Tool::Cosign3 && signer != Tool::Cosign2 && algorithm.starts_with("ecdsa") {
        verify = verify.args(["--signature-digest-algorithm", hash_of(algorithm)]);
    }
    let flag = match form {
        Form::Signature => "--signature",
        _ => "--bundle",
    };
    verify.args([flag, from, file]).run()
}

/// Every tool signs a file in every form, and every tool verifies it.
fn matrix(algorithm: &str) {
    let tools = Tool::found();
    let bench = Bench::new();
    bench.make_key(algorithm, algorithm);
    bench.sandbox.write("file", "the file\n");
    bench.sandbox.write("other", "another file\n");
    let mut faults = Vec::new();
    for signer in &tools {
        for form in FORMS {
            let evidence = format!("{}-{form:?}", signer.name());
            let key = format!("{algorithm}.key");
            sign(&bench, *signer, form, &key, "file", &evidence).success();
            for verifier in &tools {
                let pair = (*verifier, *signer);
                let verified = verify(&bench, pair, form, algorithm, "file", &evidence);
                let good = verified.exit_code() == Some(0);
                let what = format!("{verifier:?} verifies {form:?} of {signer:?} ({algorithm})");
                match peer_cannot(*verifier, *signer, algorithm, form) {
                    Some(reason) if good => {
                        faults.push(format!("{what}: works, and is listed as: {reason}"));
                    }
                    Some(reason) => println!("peer cannot: {what}: {reason}"),
                    None if !good => faults.push(format!("{what}: {verified}")),
                    None => {}
                }
                if *verifier == Tool::Sealmark {
                    verify(&bench, pair, form, algorithm, "other", &evidence).code(12);
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn files_signed_with_ecdsa_p256() {
    matrix("ecdsa-p256");
}

#[test]
fn files_signed_with_ecdsa_p384() {
    matrix("ecdsa-p384");
}

#[test]
fn files_signed_with_ecdsa_p521() {
    matrix("ecdsa-p521");
}

#[test]
fn files_signed_with_rsa_2048() {
    matrix("rsa-2048");
}

#[test]
fn files_signed_with_rsa_4096() {
    matrix("rsa-4096");
}

#[test]
fn files_signed_with_ed25519() {
    matrix("ed25519");
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "ecdsa-p256");
    let data = b"piped\n";
    for signer in Tool::found() {
        let bundle = format!("{}.json", signer.name());
        let mut sign = bench.run(signer).args(["sign-blob", "--yes"]);
        sign = match signer {
            Tool::Sealmark => sign,
            Tool::Cosign2 => sign.args(["--tlog-upload=false", "--new-bundle-format"]),
            Tool::Cosign3 => sign.arg("--signing-config").arg(&bench.signing_config),
        };
        sign.args(["--key", "ecdsa-p256.key", "--bundle", &bundle, "-"])
            .stdin(data)
            .run()
            .success();
        for verifier in Tool::found() {
            let verify = |data: &[u8]| {
                let mut verify = bench.run(verifier).arg("verify-blob");
                if verifier == Tool::Cosign2 {
                    verify = verify
                        .args(["--new-bundle-format", "--trusted-root"])
                        .arg(&bench.trusted_root);
                }
                verify
                    .args(["--key", "ecdsa-p256.pub", "--insecure-ignore-tlog"])
                    .args(["--bundle", &bundle, "-"])
                    .stdin(data)
                    .run()
            };
            verify(data).success();
            verify(b"piped").failure();
        }
    }
}

#[test]
fn a_file_elsewhere_is_verified_and_signed_by_its_digest() {
    if !have(&["openssl"]) {
        return;
    }
    let bench = Bench::new();
    let tools = Tool::found();
    bench.sandbox.write("file", "far away\n");
    for algorithm in ["ecdsa-p256", "rsa-2048", "ecdsa-p384"] {
        bench.make_key(algorithm, algorithm);
        let hash = hash_of(algorithm);
        let digest = |file: &str| {
            let printed = bench
                .peer("openssl")
                .args(["dgst", "-r", &format!("-{hash}"), file])
                .run()
                .success()
                .stdout();
            format!(
                "{hash}:{}",
                &printed[..printed.find(' ').expect("two columns")]
            )
        };
        let key = format!("{algorithm}.key");
        let right = digest("file");
        let wrong = digest(&key);
        sign(&bench, Tool::Sealmark, Form::Bundle, &key, &right, "digest").success();
        sign(&bench, Tool::Sealmark, Form::Bundle, &key, "file", "whole").success();
        let mut evidence = vec!["digest", "whole"];
        if tools.contains(&Tool::Cosign3) {
            sign(&bench, Tool::Cosign3, Form::Bundle, &key, "file", "cosign3").success();
            evidence.push("cosign3");
        }
        for evidence in evidence {
            for verifier in [Tool::Sealmark, Tool::Cosign3] {
                if !tools.contains(&verifier) {
                    continue;
                }
                let pair = (verifier, Tool::Sealmark);
                let run =
                    |what: &str| verify(&bench, pair, Form::Bundle, algorithm, what, evidence);
                run("file").success();
                run(&wrong).failure();
                // cosign knows digests by SHA-256 alone.
                if verifier == Tool::Sealmark || hash == "sha256" {
                    run(&right).success();
                }
            }
        }
    }
}

#[test]
fn an_ed25519_signature_is_over_the_bytes_and_a_digest_does_not_do() {
    let bench = Bench::new();
    bench.make_key("ed25519", "ed25519");
    bench.sandbox.write("file", "");
    // SHA-256 of nothing.
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    bench
        .sealmark(&["sign-blob", "--key", "ed25519.key", "--bundle", "b", "file"])
        .success();
    bench
        .sealmark(&[
            "verify-blob",
            "--key",
            "ed25519.pub",
            "--bundle",
            "b",
            digest,
        ])
        .code(12)
        .stderr_has("the signed data is needed");
    bench
        .sealmark(&["sign-blob", "--key", "ed25519.key", digest])
        .code(1)
        .stderr_has("Ed25519");
}

#[test]
fn several_files_get_a_bundle_each() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "ecdsa-p256");
    for name in ["in/a", "in/b", "in/c d"] {
        bench.sandbox.write(name, name);
    }
    let sign = |more: &[&str]| {
        bench
            .run(Tool::Sealmark)
            .args(["sign-blob", "--key", "ecdsa-p256.key"])
            .args(more)
            .args(["in/a", "in/b", "in/c d"])
            .run()
    };
    sign(&[]).success();
    sign(&["--bundle", "{}.signed"]).success();
    for name in ["in/a", "in/b", "in/c d"] {
        for suffix in ["sigstore.json", "signed"] {
            let bundle = format!("{name}.{suffix}");
            for verifier in [Tool::Sealmark, Tool::Cosign3] {
                if !Tool::found().contains(&verifier) {
                    continue;
                }
                let pair = (verifier, Tool::Sealmark);
                let run = |file| verify(&bench, pair, Form::Bundle, "ecdsa-p256", file, &bundle);
                run(name).success();
                run(if name == "in/a" { "in/b" } else { "in/a" }).failure();
            }
        }
    }
    // One bundle cannot be for three files, nor one signature: nothing is written.
    for flags in [["--bundle", "one"], ["--output-signature", "one"]] {
        sign(&flags).code(1);
        assert!(!bench.sandbox.join("one").exists());
    }
}

/// Private keys as openssl writes them: what it is called with, the kind of key, and the peers that import it.
const OPENSSL_KEYS: [(&str, &str, &[Tool]); 10] = [
    (
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "ecdsa-p256",
        &[Tool::Cosign3],
    ),
    (
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "ecdsa-p384",
        &[Tool::Cosign3],
    ),
    (
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "ecdsa-p521",
        &[Tool::Cosign3],
    ),
    (
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "rsa-2048",
        &[Tool::Cosign3],
    ),
    (
        "genpkey -algorithm ED25519",
        "ed25519",
        &[Tool::Cosign2, Tool::Cosign3],
    ),
    ("genrsa -traditional 2048", "rsa-2048", &[Tool::Cosign3]),
    (
        "ecparam -name secp384r1 -genkey -noout",
        "ecdsa-p384",
        &[Tool::Cosign3],
    ),
    (
        "ecparam -name secp521r1 -genkey -noout",
        "ecdsa-p521",
        &[Tool::Cosign3],
    ),
    // With "EC PARAMETERS" before the key.
    ("ecparam -name prime256v1 -genkey", "ecdsa-p256", &[]),
    (
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass env:COSIGN_PASSWORD",
        "ecdsa-p256",
        &[],
    ),
];

#[test]
fn keys_made_by_openssl_are_imported_and_work_in_the_other_tools() {
    if !have(&["openssl"]) {
        return;
    }
    let tools = Tool::found();
    let bench = Bench::new();
    bench.sandbox.write("file", "the file\n");
    for (command, algorithm, importers) in OPENSSL_KEYS {
        let pem = bench
            .peer("openssl")
            .env("COSIGN_PASSWORD", PASSWORD)
            .args(command.split(' '))
            .run()
            .success();
        bench.sandbox.write("openssl.pem", pem.stdout_bytes());
        for importer in &tools {
            for name in ["key", "pub"] {
                let _ = std::fs::remove_file(bench.sandbox.join(format!("{algorithm}.{name}")));
            }
            let imported = bench
                .run(*importer)
                .args(["import-key-pair", "--key", "openssl.pem"])
                .args(["--output-key-prefix", algorithm])
                .run();
            // cosign 2.5.0 takes none but Ed25519: "unsupported public key type". Proven like everything it cannot do.
            if *importer != Tool::Sealmark && !importers.contains(importer) {
                imported.failure();
                continue;
            }
            imported.success();
            let key = format!("{algorithm}.key");
            for signer in &tools {
                // One of the two is Sealmark, and not both.
                if (*importer == Tool::Sealmark) == (*signer == Tool::Sealmark) {
                    continue;
                }
                let form = Form::Signature;
                sign(&bench, *signer, form, &key, "file", "signature").success();
                for verifier in &tools {
                    if peer_cannot(*verifier, *signer, algorithm, form).is_none() {
                        let pair = (*verifier, *signer);
                        verify(&bench, pair, form, algorithm, "file", "signature").success();
                    }
                }
            }
        }
    }
}

#[test]
fn key_pairs_made_by_cosign_sign_and_verify() {
    let bench = Bench::new();
    bench.sandbox.write("file", "the file\n");
    let tools = Tool::found();
    for maker in &tools {
        bench
            .run(*maker)
            .args(["generate-key-pair", "--output-key-prefix", "ecdsa-p256"])
            .run()
            .success();
        // One key, seen by all tools alike.
        let public = bench.sandbox.read("ecdsa-p256.pub");
        for tool in &tools {
            let printed = bench
                .run(*tool)
                .args(["public-key", "--key", "ecdsa-p256.key"])
                .run()
                .success();
            assert_eq!(printed.stdout().trim(), public.trim(), "{maker:?} {tool:?}");
        }
        for signer in &tools {
            let form = Form::Bundle;
            sign(&bench, *signer, form, "ecdsa-p256.key", "file", "bundle").success();
            for verifier in &tools {
                let pair = (*verifier, *signer);
                verify(&bench, pair, form, "ecdsa-p256", "file", "bundle").success();
            }
        }
        // The wrong password opens it for nobody.
        bench
            .run(Tool::Sealmark)
            .env("COSIGN_PASSWORD", "wrong")
            .args(["sign-blob", "--key", "ecdsa-p256.key", "file"])
            .run()
            .code(1)
            .stderr_has("password");
        for name in ["key", "pub"] {
            std::fs::remove_file(bench.sandbox.join(format!("ecdsa-p256.{name}"))).unwrap();
        }
    }
}

#[test]
fn openssl_verifies_what_sealmark_signs() {
    if !have(&["openssl"]) {
        return;
    }
    let bench = Bench::new();
    bench.sandbox.write("file", "the file\n");
    bench.sandbox.write("other", "another file\n");
    for (algorithm, hash) in KEYS.into_iter().filter(|(name, _)| *name != "rsa-4096") {
        bench.make_key(algorithm, algorithm);
        let public = format!("{algorithm}.pub");
        bench
            .sealmark(&[
                "sign-blob",
                "--key",
                &format!("{algorithm}.key"),
                "--b64=false",
                "--output-signature",
                "raw",
                "file",
            ])
            .success();
        let check = |file: &str| {
            let openssl = bench.peer("openssl");
            match algorithm {
                "ed25519" => openssl
                    .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &public])
                    .args(["-sigfile", "raw", "-in", file]),
                _ => openssl
                    .args(["dgst", &format!("-{hash}"), "-verify", &public])
                    .args(["-signature", "raw", file]),
            }
            .run()
        };
        check("file").success();
        check("other").failure();
        // And the raw signature is read back as it is.
        bench
            .sealmark(&[
                "verify-blob",
                "--key",
                &public,
                "--signature",
                "raw",
                "file",
            ])
            .success();
    }
}

#[test]
fn an_ed25519_bundle_has_a_digest_since_cosign_refuses_one_without() {
    let bench = Bench::new();
    bench.make_key("ed25519", "ed25519");
    bench.sandbox.write("file", "the file\n");
    sign(
        &bench,
        Tool::Sealmark,
        Form::Bundle,
        "ed25519.key",
        "file",
        "ours",
    )
    .success();
    let read = |name: &str| -> Value { serde_json::from_str(&bench.sandbox.read(name)).unwrap() };
    let ours = read("ours");
    assert_eq!(
        ours["messageSignature"]["messageDigest"]["algorithm"],
        "SHA2_512"
    );
    if !Tool::found().contains(&Tool::Cosign3) {
        return;
    }
    sign(
        &bench,
        Tool::Cosign3,
        Form::Bundle,
        "ed25519.key",
        "file",
        "theirs",
    )
    .success();
    let theirs = read("theirs");
    assert_eq!(
        theirs["messageSignature"]["messageDigest"],
        serde_json::json!({})
    );
    // Ed25519 is deterministic: without the log, cosign 3 signs the bytes and not their digest, as we do.
    assert_eq!(
        ours["messageSignature"]["signature"],
        theirs["messageSignature"]["signature"]
    );
    let report = json(&bench.sealmark(&[
        "verify-blob",
        "--key",
        "ed25519.pub",
        "--bundle",
        "theirs",
        "--output",
        "json",
        "file",
    ]));
    assert_eq!(report["verdict"], "verified");
}
