//! Certificates of an authority of one's own, timestamps and SCTs, in files of their own: as cosign 1 and 2 keep them, and
//! beside what Sealmark signs. Every good story is also told to cosign, and cosign must agree.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use bench::{Bench, Registries, Tool, have};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Finished, images};
use sealmark_x509::Certificate;
use serde_json::{Value, json as value};

const IDENTITY: &str = "release@example.com";
const ISSUER: &str = "https://id.example.com";
/// What makes do with certificates alone.
const ALONE: [&str; 6] = [
    "--certificate-identity",
    IDENTITY,
    "--certificate-oidc-issuer",
    ISSUER,
    "--insecure-ignore-tlog",
    "--insecure-ignore-sct",
];
const CHAIN: [&str; 2] = ["--certificate-chain", "chain.crt"];

/// A root, an authority below it, a signer's certificate as Fulcio writes them, and a timestamp authority.
const OPENSSL: &str = "[req]\ndistinguished_name=dn\n[dn]\n\
    [root]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n\
    [between]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n\
    extendedKeyUsage=codeSigning\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    [leaf]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n\
    subjectAltName=email:release@example.com\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    1.3.6.1.4.1.57264.1.1=DER:68747470733a2f2f69642e6578616d706c652e636f6d\n\
    [tsa]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
    extendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    [ts]\nserial=serial\ndefault_policy=1.2.3.4.1\ndigests=sha256\nsigner_digest=sha256\naccuracy=secs:1\n\
    ordering=no\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n";

/// The authority's files are `root`, `between`, `leaf` and `tsa` with `.pem` (keys) and `.crt`; `leaf.key` is the signer's
/// key as cosign keeps it, `chain.crt` the authority and `tsa-chain.crt` the timestamp authority.
fn ground(peers: &[&str]) -> Option<Bench> {
    if !have(&[&["openssl"], peers].concat()) {
        return None;
    }
    let bench = Bench::new();
    let sandbox = &bench.sandbox;
    sandbox.write("openssl.cnf", OPENSSL);
    sandbox.write("serial", "17\n");
    sandbox.write("app.txt", "hello");
    sandbox.write("other.txt", "another");
    for (name, parent) in [
        ("root", ""),
        ("between", "root"),
        ("leaf", "between"),
        ("tsa", "root"),
    ] {
        let openssl = |line: String| {
            let run = bench.peer("openssl").args(line.split(' '));
            run.run().success();
        };
        openssl(format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.pem"
        ));
        let by = match parent {
            "" => String::new(),
            parent => format!(" -CA {parent}.crt -CAkey {parent}.pem"),
        };
        openssl(format!(
            "req -x509 -new -config openssl.cnf -key {name}.pem -subj /O=Example/CN={name} -days 30 -extensions {name} \
             -out {name}.crt{by}"
        ));
    }
    let read = |name: &str| sandbox.read(name);
    sandbox.write("chain.crt", read("between.crt") + &read("root.crt"));
    sandbox.write("tsa-chain.crt", read("tsa.crt") + &read("root.crt"));
    bench
        .sealmark(&[
            "import-key-pair",
            "--key",
            "leaf.pem",
            "--output-key-prefix",
            "leaf",
        ])
        .success();
    Some(bench)
}

/// `tool`, whose trusted root is no other than what the words say.
fn run(bench: &Bench, tool: Tool, words: &[&[&str]]) -> Finished {
    let run = bench.run(tool).args(words.concat());
    // The flags that name files came before the bundle format.
    match (tool, words[0][0]) {
        (Tool::Cosign3, command) if command.starts_with("verify") => {
            run.arg("--new-bundle-format=false").run()
        }
        _ => run.run(),
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_file_signed_with_an_own_authoritys_key_verifies_by_identity() {
    let Some(bench) = ground(&["cosign2", "cosign3"]) else {
        return;
    };
    let sandbox = &bench.sandbox;
    let sign = ["sign-blob", "--yes", "--key", "leaf.key", "app.txt"];
    let output = ["--output-signature", "app.sig"];
    for signer in [Tool::Sealmark, Tool::Cosign2] {
        let no_log: &[&str] = &["--tlog-upload=false"];
        run(&bench, signer, &[&sign, &output, no_log]).success();
        let verify = |tool, file, words: &[&[&str]]| {
            let start = ["verify-blob", "--signature", "app.sig", file];
            run(&bench, tool, &[&[&start[..], &ALONE[..]], words].concat())
        };
        let certificate = ["--certificate", "leaf.crt"];
        let two = [
            "--ca-roots",
            "root.crt",
            "--ca-intermediates",
            "between.crt",
        ];
        for tool in Tool::ALL {
            verify(tool, "app.txt", &[&certificate, &CHAIN]).success();
            verify(tool, "app.txt", &[&certificate, &two]).success();
            verify(tool, "other.txt", &[&certificate, &CHAIN]).failure();
            // Below the root alone there is a gap.
            verify(
                tool,
                "app.txt",
                &[&certificate, &["--ca-roots", "root.crt"]],
            )
            .failure();
            // Someone else's certificate.
            verify(tool, "app.txt", &[&["--certificate", "tsa.crt"], &CHAIN]).failure();
        }
        verify(Tool::Sealmark, "app.txt", &[&certificate, &CHAIN])
            .success()
            .stdout_has(
                "identity: identity \"release@example.com\" of issuer \"https://id.example.com\"",
            )
            .stdout_has("certificate: by CN=between,O=Example");
        // Without the authority the public one is believed, which knows nothing of it.
        verify(Tool::Sealmark, "app.txt", &[&certificate])
            .code(12)
            .stderr_has("which is not trusted");
        verify(Tool::Sealmark, "app.txt", &[&CHAIN])
            .code(12)
            .stderr_has("identity");
        verify(
            Tool::Sealmark,
            "app.txt",
            &[&certificate, &CHAIN, &["--key", "leaf.pub"]],
        )
        .code(1)
        .stderr_has("a key or a certificate?");
    }
    // In every form that a certificate has.
    let pem = sandbox.read("leaf.crt");
    let der = Certificate::from_pem(pem.as_bytes())
        .unwrap()
        .der()
        .to_vec();
    for form in [der.clone(), base64(&der).into(), base64(&pem).into()] {
        sandbox.write("certificate", form);
        let words = ["--certificate", "certificate", "--signature", "app.sig"];
        run(
            &bench,
            Tool::Sealmark,
            &[&["verify-blob", "app.txt"], &words, &ALONE, &CHAIN],
        )
        .success();
    }
    // A bundle of Sealmark's names the key; whose key that is, the certificate says.
    run(
        &bench,
        Tool::Sealmark,
        &[&sign, &["--bundle", "bundle.json"]],
    )
    .success();
    let bundle = ["verify-blob", "--bundle", "bundle.json"];
    let certificate = ["--certificate", "leaf.crt"];
    for (file, code) in [("app.txt", 0), ("other.txt", 12)] {
        let words: [&[&str]; 5] = [&bundle, &certificate, &CHAIN, &ALONE, &[file]];
        run(&bench, Tool::Sealmark, &words).code(code);
    }
    let without: [&[&str]; 4] = [&bundle, &CHAIN, &ALONE, &["app.txt"]];
    run(&bench, Tool::Sealmark, &without).code(12);
}

#[test]
fn a_certificate_in_a_bundle_of_cosign_verifies() {
    let Some(bench) = ground(&["cosign2", "cosign3"]) else {
        return;
    };
    let config = bench.signing_config.display().to_string();
    let key = ["--yes", "--key", "leaf.key", "--certificate", "leaf.crt"];
    let sign = ["sign-blob", "--signing-config", &config, "app.txt"];
    let to = ["--bundle", "bundle.json"];
    run(&bench, Tool::Cosign3, &[&sign, &key, &CHAIN, &to]).success();
    let root = [
        "trusted-root",
        "create",
        "--out",
        "own-root.json",
        "--fulcio",
    ];
    let service = "url=https://ca.example.com,certificate-chain=chain.crt";
    run(&bench, Tool::Sealmark, &[&root, &[service]]).success();
    for trust in [["--trusted-root", "own-root.json"], CHAIN] {
        for (file, code) in [("app.txt", 0), ("other.txt", 12)] {
            let words: [&[&str]; 5] = [&["verify-blob"], &to, &ALONE, &trust, &[file]];
            run(&bench, Tool::Sealmark, &words).code(code);
        }
    }
    let theirs = bench.run(Tool::Cosign3).args(["verify-blob", "app.txt"]);
    let theirs = theirs.args(to).args(ALONE);
    theirs
        .args(["--trusted-root", "own-root.json"])
        .run()
        .success();

    // An attestation of cosign 2, whose bundle has the certificate beside the envelope.
    bench.sandbox.write("predicate.json", "{}");
    let attest = ["attest-blob", "--tlog-upload=false", "app.txt"];
    let predicate = ["--predicate", "predicate.json", "--bundle", "legacy.json"];
    run(&bench, Tool::Cosign2, &[&attest, &key, &CHAIN, &predicate]).success();
    let verify = ["verify-blob-attestation", "--bundle", "legacy.json"];
    for (file, good) in [("app.txt", true), ("other.txt", false)] {
        let words: [&[&str]; 4] = [&verify, &ALONE, &CHAIN, &[file]];
        for tool in [Tool::Sealmark, Tool::Cosign2] {
            let finished = run(&bench, tool, &words);
            assert_eq!(finished.exit_code() == Some(0), good, "{finished}");
        }
    }
}

#[test]
fn an_image_signed_with_an_own_authoritys_key_verifies_by_identity() {
    let Some(bench) = ground(&["cosign2", "cosign3", "skopeo"]) else {
        return;
    };
    let Some(images) = images() else { return };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let legacy: &[&str] = &["--new-bundle-format=false", "--use-signing-config=false"];
    // With the certificate in the signature, and with the key alone.
    for (index, (tool, embedded)) in [
        (Tool::Cosign2, true),
        (Tool::Cosign3, true),
        (Tool::Cosign2, false),
        (Tool::Sealmark, false),
    ]
    .into_iter()
    .enumerate()
    {
        let image = format!("{registry}/app{index}:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let sign = ["sign", "--yes", "--key", "leaf.key", "--tlog-upload=false"];
        let certificate: &[&str] = &["--certificate", "leaf.crt"];
        let with = match (tool, embedded) {
            (Tool::Cosign3, _) => [legacy, certificate, &CHAIN].concat(),
            (_, true) => [certificate, &CHAIN].concat(),
            (Tool::Sealmark, false) => vec!["--format", "legacy"],
            (_, false) => Vec::new(),
        };
        run(&bench, tool, &[&sign, &with, &[&image]]).success();
        let verify =
            |tool, words: &[&str]| run(&bench, tool, &[&["verify", &image], &ALONE, words]);
        let given: &[&str] = if embedded { &[] } else { certificate };
        for tool in Tool::ALL {
            verify(tool, &[given, &CHAIN].concat()).success();
            let two = [
                "--ca-roots",
                "root.crt",
                "--ca-intermediates",
                "between.crt",
            ];
            verify(tool, &[given, &two].concat()).success();
        }
        if !embedded {
            verify(Tool::Sealmark, &CHAIN)
                .code(13)
                .stderr_has("a key made this signature");
        }
        // Another identity, and no authority at all.
        let other = [
            "verify",
            &image,
            "--certificate-identity",
            "someone@example.com",
        ];
        let other: [&[&str]; 4] = [&other, &ALONE[2..], given, &CHAIN];
        run(&bench, Tool::Sealmark, &other)
            .code(12)
            .stderr_has("release@example.com");
        verify(Tool::Sealmark, given)
            .code(12)
            .stderr_has("which is not trusted");
    }

    // In a bundle of cosign 3.
    let image = format!("{registry}/bundle:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    let config = bench.signing_config.display().to_string();
    let sign = [
        "sign",
        "--yes",
        "--key",
        "leaf.key",
        "--signing-config",
        &config,
    ];
    let certificate = ["--certificate", "leaf.crt", &image];
    run(&bench, Tool::Cosign3, &[&sign, &CHAIN, &certificate]).success();
    let verify = ["verify", &image];
    run(&bench, Tool::Sealmark, &[&verify, &ALONE, &CHAIN]).success();
    run(&bench, Tool::Sealmark, &[&verify, &ALONE]).code(12);
    run(&bench, Tool::Sealmark, &[&verify, &["--key", "leaf.pub"]]).success();
}

#[test]
fn a_signature_of_an_image_verifies_from_files() {
    let Some(bench) = ground(&["cosign2", "skopeo"]) else {
        return;
    };
    let Some(images) = images() else { return };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let image = format!("{registry}/app:v1");
    let other = format!("{registry}/other:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    assert!(images.push(&bench.sandbox, images.index, &other));
    for (tool, words) in [
        (
            Tool::Cosign2,
            vec!["--upload=false", "--tlog-upload=false", "--yes"],
        ),
        (Tool::Sealmark, vec!["--format", "legacy"]),
    ] {
        let files = [
            "--output-signature",
            "app.sig",
            "--output-payload",
            "app.payload",
        ];
        let sign: [&[&str]; 4] = [&["sign", "--key", "leaf.key"], &files, &words, &[&image]];
        run(&bench, tool, &sign).success();
        let verify = |tool, image: &str, words: &[&str]| {
            let start = [
                "verify",
                "--insecure-ignore-tlog",
                "--key",
                "leaf.pub",
                image,
            ];
            run(&bench, tool, &[&start, words])
        };
        let both = ["--signature", "app.sig", "--payload", "app.payload"];
        for verifier in [Tool::Sealmark, Tool::Cosign2] {
            verify(verifier, &image, &both).success();
            verify(verifier, &other, &both).failure();
        }
        // What is signed without annotations can be told from the image.
        verify(Tool::Sealmark, &image, &both[..2]).success();
        verify(Tool::Sealmark, &other, &both[..2]).code(12);
        verify(Tool::Sealmark, &image, &["--payload", "app.payload"]).code(1);
        verify(Tool::Sealmark, &image, &["--signature", "app.sig", &other])
            .code(1)
            .stderr_has("a signature of one image");
        verify(Tool::Sealmark, &image, &["--signature", "no-such-file"])
            .code(1)
            .stderr_has("no such file");
        bench.sandbox.write("app.payload", "{}");
        verify(Tool::Sealmark, &image, &both).code(12);
    }
}

/// A timestamp of these bytes by the authority `tsa`, DER.
fn timestamp(bench: &Bench, bytes: &[u8]) -> Vec<u8> {
    bench.sandbox.write("stamped", bytes);
    for line in [
        "ts -query -data stamped -sha256 -cert -out query.tsq",
        "ts -reply -config openssl.cnf -section ts -queryfile query.tsq -inkey tsa.pem -signer tsa.crt -out reply.tsr",
    ] {
        bench.peer("openssl").args(line.split(' ')).run().success();
    }
    std::fs::read(bench.sandbox.join("reply.tsr")).unwrap()
}

#[test]
fn a_timestamp_in_a_file_is_checked() {
    let Some(bench) = ground(&["cosign2"]) else {
        return;
    };
    let sandbox = &bench.sandbox;
    let sign = [
        "sign-blob",
        "--yes",
        "--key",
        "leaf.key",
        "app.txt",
        "--tlog-upload=false",
    ];
    run(
        &bench,
        Tool::Cosign2,
        &[&sign, &["--output-signature", "app.sig"]],
    )
    .success();
    run(
        &bench,
        Tool::Cosign2,
        &[&sign, &["--bundle", "legacy.json"]],
    )
    .success();
    run(
        &bench,
        Tool::Sealmark,
        &[&sign, &["--bundle", "bundle.json"]],
    )
    .success();
    let decode = |text: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .unwrap()
    };
    let field = |file: &str, pointer: &str| {
        let json: Value = serde_json::from_str(&sandbox.read(file)).unwrap();
        decode(json.pointer(pointer).unwrap().as_str().unwrap())
    };
    let chain = ["--timestamp-certificate-chain", "tsa-chain.crt"];
    for (source, signature) in [
        (["--signature", "app.sig"], decode(&sandbox.read("app.sig"))),
        (
            ["--bundle", "legacy.json"],
            field("legacy.json", "/base64Signature"),
        ),
        (
            ["--bundle", "bundle.json"],
            field("bundle.json", "/messageSignature/signature"),
        ),
    ] {
        let der = timestamp(&bench, &signature);
        let wrapped = |der: &[u8]| value!({"SignedRFC3161Timestamp": base64(der)}).to_string();
        sandbox.write("time.json", wrapped(&der));
        sandbox.write("time.tsr", &der);
        let other = timestamp(&bench, b"another signature");
        sandbox.write("other.json", wrapped(&other));
        let verify = |tool, words: &[&[&str]]| {
            let start = ["verify-blob", "app.txt", "--insecure-ignore-tlog"];
            run(&bench, tool, &[&[&start[..], &source], words].concat())
        };
        let by_key = ["--key", "leaf.pub"];
        for file in ["time.json", "time.tsr"] {
            let time = ["--rfc3161-timestamp", file];
            verify(Tool::Sealmark, &[&by_key, &time, &chain])
                .success()
                .stdout_has("timestamp: ");
            // A timestamp that is given must be good: by an authority that is trusted.
            verify(Tool::Sealmark, &[&by_key, &time])
                .code(12)
                .stderr_has("timestamp: expected a timestamp by a trusted authority");
        }
        let wrong = ["--rfc3161-timestamp", "other.json"];
        verify(Tool::Sealmark, &[&by_key, &wrong, &chain])
            .code(12)
            .stderr_has("timestamp: expected");
        verify(
            Tool::Sealmark,
            &[&by_key, &["--rfc3161-timestamp", "app.txt"]],
        )
        .code(1)
        .stderr_has("neither JSON with SignedRFC3161Timestamp nor a DER response");
        let by_identity: [&[&str]; 3] = [&ALONE[..4], &["--insecure-ignore-sct"], &CHAIN];
        let certificate = ["--certificate", "leaf.crt"];
        let time = ["--rfc3161-timestamp", "time.json"];
        let words: [&[&str]; 4] = [&by_identity.concat(), &certificate, &time, &chain];
        verify(Tool::Sealmark, &words).success();
        if source[1] == "app.sig" {
            let asked: &[&str] = &["--use-signed-timestamps"];
            verify(Tool::Cosign2, &[&by_key, &time, &chain, asked]).success();
            verify(Tool::Cosign2, &[&by_key, &wrong, &chain, asked]).failure();
            verify(Tool::Cosign2, &[&words[..], &[asked]].concat()).success();
        }
    }
}

/// An SCT of `certificate` by `log`: JSON as a CT log answers (RFC 6962, 4.1), and the TLS structure (3.2).
fn sct(log: &PrivateKey, certificate: &[u8]) -> (String, Vec<u8>) {
    let time: u64 = 1_700_000_000_000;
    // Version 1, a signature of a certificate's timestamp, an entry with a whole certificate, no extensions.
    let mut signed = vec![0, 0];
    signed.extend(time.to_be_bytes());
    signed.extend([0, 0]);
    signed.extend(&u32::try_from(certificate.len()).unwrap().to_be_bytes()[1..]);
    signed.extend(certificate);
    signed.extend([0, 0]);
    let signature = log.sign(&signed).unwrap();
    // SHA-256 and ECDSA.
    let mut by = vec![4, 3];
    by.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
    by.extend(signature);
    let id = log.public_key().id().digest().bytes().to_vec();
    let json = value!({
        "sct_version": 0,
        "id": base64(&id),
        "timestamp": time,
        "extensions": "",
        "signature": base64(&by),
    });
    let mut tls = vec![0];
    tls.extend(id);
    tls.extend(time.to_be_bytes());
    tls.extend([0, 0]);
    tls.extend(by);
    (json.to_string(), tls)
}

#[test]
fn an_sct_in_a_file_is_checked() {
    let Some(bench) = ground(&["cosign2"]) else {
        return;
    };
    let sandbox = &bench.sandbox;
    let log = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    sandbox.write("ct.pub", log.public_key().to_pem());
    let certificate = |name: &str| {
        let pem = sandbox.read(name);
        Certificate::from_pem(pem.as_bytes())
            .unwrap()
            .der()
            .to_vec()
    };
    let (json, tls) = sct(&log, &certificate("leaf.crt"));
    sandbox.write("sct.json", json);
    sandbox.write("sct.tls", tls);
    sandbox.write("other.json", sct(&log, &certificate("tsa.crt")).0);
    let sign = ["sign-blob", "--key", "leaf.key", "app.txt"];
    run(
        &bench,
        Tool::Sealmark,
        &[&sign, &["--output-signature", "app.sig"]],
    )
    .success();
    let verify = |tool, ct: &str, words: &[&str]| {
        bench
            .run(tool)
            .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", ct)
            .args(["verify-blob", "app.txt", "--signature", "app.sig"])
            .args(["--certificate", "leaf.crt"])
            .args([&ALONE[..5], &CHAIN, words].concat())
            .run()
    };
    for file in ["sct.json", "sct.tls"] {
        verify(Tool::Sealmark, "ct.pub", &["--sct", file])
            .success()
            .stdout_has("certificate transparency: ");
    }
    verify(Tool::Cosign2, "ct.pub", &["--sct", "sct.json"]).success();
    for (ct, words) in [
        ("ct.pub", &["--sct", "other.json"][..]),
        ("leaf.pub", &["--sct", "sct.json"]),
        ("ct.pub", &[]),
    ] {
        verify(Tool::Sealmark, ct, words)
            .code(12)
            .stderr_has("certificate transparency: expected");
        verify(Tool::Cosign2, ct, words).failure();
    }
    verify(Tool::Sealmark, "ct.pub", &["--sct", "no-such-file"])
        .code(1)
        .stderr_has("no-such-file");
    // For the certificate that comes with the signature.
    let with_certificate = value!({
        "base64Signature": sandbox.read("app.sig").trim(),
        "cert": base64(sandbox.read("leaf.crt")),
    });
    sandbox.write("legacy.json", with_certificate.to_string());
    for (bundle, words, code) in [
        ("legacy.json", &["--sct", "sct.json"][..], 0),
        ("legacy.json", &["--sct", "other.json"], 12),
        ("legacy.json", &[], 12),
        // A bundle has the promise inside.
        ("bundle.json", &["--sct", "sct.json"], 1),
    ] {
        run(
            &bench,
            Tool::Sealmark,
            &[&sign, &["--bundle", "bundle.json"]],
        )
        .success();
        let verify = bench
            .run(Tool::Sealmark)
            .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ct.pub")
            .args(["verify-blob", "app.txt", "--bundle", bundle])
            .args([&ALONE[..5], &CHAIN, words].concat())
            .run()
            .code(code);
        if code == 1 {
            verify.stderr_has("is a Sigstore bundle");
        }
    }
}

fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/tests/fixtures/bundle-verify")
        .join(name)
}

/// A case of the public suite as cosign 1 and 2 would have kept it: `base64Signature`, `cert`, `rekorBundle`.
fn as_legacy(case: &str, material: &str) -> String {
    let path = suite(case).join("bundle.sigstore.json");
    let bundle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let number = |name: &str| entry[name].as_str().unwrap().parse::<i64>().unwrap();
    let log = base64::engine::general_purpose::STANDARD
        .decode(entry["logId"]["keyId"].as_str().unwrap())
        .unwrap();
    let signature = match bundle.get("dsseEnvelope") {
        // The log has the hash of exactly this form.
        Some(envelope) => base64(
            serde_json::to_string(&value!({
                "payload": envelope["payload"],
                "payloadType": envelope["payloadType"],
                "signatures": [{"sig": envelope["signatures"][0]["sig"]}],
            }))
            .unwrap(),
        ),
        None => bundle["messageSignature"]["signature"]
            .as_str()
            .unwrap()
            .to_owned(),
    };
    value!({
        "base64Signature": signature,
        "cert": base64(material),
        "rekorBundle": {
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": number("integratedTime"),
                "logIndex": number("logIndex"),
                "logID": log.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            },
        },
    })
    .to_string()
}

#[test]
fn a_legacy_bundle_with_certificate_and_log_entry_verifies() {
    let bench = Bench::new();
    let case = "happy-path-intoto-in-dsse-v3";
    let path = suite(case).join("bundle.sigstore.json");
    let bundle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"]
        .as_str()
        .unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    bench.sandbox.write("legacy.json", as_legacy(case, &pem));
    let by = |identity: &str| {
        bench
            .run(Tool::Sealmark)
            .args([
                "verify-blob-attestation",
                "--bundle",
                "legacy.json",
                "--type",
                "slsaprovenance1",
            ])
            .args([
                "--certificate-identity-regexp",
                identity,
                "--certificate-oidc-issuer-regexp",
            ])
            .arg("^https://token.actions.githubusercontent.com$")
            .arg(suite("a.txt"))
    };
    by("^https://github.com/")
        .run()
        .success()
        .stdout_has("transparency log: entry ")
        .stdout_has("certificate: by CN=sigstore-intermediate,O=sigstore.dev")
        .stdout_has("certificate transparency: ");
    by("^https://example.com/")
        .run()
        .code(12)
        .stderr_has("identity: expected");
    // Without the log's promise nobody knows when the certificate was used.
    let mut legacy: Value = serde_json::from_str(&bench.sandbox.read("legacy.json")).unwrap();
    legacy["rekorBundle"] = Value::Null;
    bench.sandbox.write("legacy.json", legacy.to_string());
    by("^https://github.com/")
        .run()
        .code(12)
        .stderr_has("transparency log: expected");
    by("^https://github.com/")
        .arg("--insecure-ignore-tlog")
        .run()
        .code(12)
        .stderr_has("certificate: expected");
}

#[test]
fn a_legacy_bundle_with_key_and_log_entry_verifies() {
    let bench = Bench::new();
    let case = "managed-key-and-trusted-root";
    let key = suite(case).join("key.pub");
    let pem = std::fs::read_to_string(&key).unwrap();
    let legacy = as_legacy(case, &pem);
    bench.sandbox.write("legacy.json", &legacy);
    let mut changed: Value = serde_json::from_str(&legacy).unwrap();
    changed["rekorBundle"]["Payload"]["integratedTime"] = value!(1);
    bench.sandbox.write("changed.json", changed.to_string());
    let verify = |bundle: &str, key: &Path| {
        bench
            .run(Tool::Sealmark)
            .args(["verify-blob", "--bundle", bundle, "--trusted-root"])
            .arg(suite(case).join("trusted_root.json"))
            .arg("--key")
            .arg(key)
            .arg(suite("a.txt"))
            .run()
    };
    verify("legacy.json", &key)
        .success()
        .stdout_has("transparency log: entry ");
    verify("changed.json", &key)
        .code(12)
        .stderr_has("transparency log: expected");
    // The key in the bundle is a claim; --key is what counts (GHSA-fx35-mq7g-6g98).
    bench.make_key("ecdsa-p256", "mallory");
    verify("legacy.json", &bench.sandbox.join("mallory.pub")).code(12);
}
