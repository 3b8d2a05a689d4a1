//! Attestations of images and files: made by both generations of cosign, verified here, beside what cosign says of them;
//! and forged ones, refused.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use base64::Engine as _;
use bench::{Bench, Registries, Tool, have, json};
use sealmark_formats::dsse;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Finished, Images, images};
use serde_json::{Value, json as value};

const PEERS: [&str; 3] = ["skopeo", "cosign2", "cosign3"];
const COSIGNS: [Tool; 2] = [Tool::Cosign2, Tool::Cosign3];
const REVIEW: &str = "https://example.com/review/v1";

/// Names as cosign has them, a predicate, and the type that it becomes.
const TYPES: [(&str, &str, &str); 5] = [
    (
        "custom",
        r#"{"passed":true}"#,
        "https://cosign.sigstore.dev/attestation/v1",
    ),
    (
        "slsaprovenance1",
        r#"{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}"#,
        "https://slsa.dev/provenance/v1",
    ),
    (
        "spdxjson",
        r#"{"spdxVersion":"SPDX-2.3","name":"app"}"#,
        "https://spdx.dev/Document",
    ),
    (
        "vuln",
        r#"{"invocation":{"uri":"https://example.com"},"scanner":{"uri":"https://example.com/scanner"}}"#,
        "https://cosign.sigstore.dev/attestation/vuln/v1",
    ),
    (REVIEW, r#"{"reviewer":"bob"}"#, REVIEW),
];

/// A bench with the keys of alice and bob, if the peers are there.
fn ground(peers: &[&str]) -> Option<Bench> {
    if !have(peers) {
        return None;
    }
    let bench = Bench::new();
    for name in ["alice", "bob"] {
        bench.make_key("ecdsa-p256", name);
    }
    Some(bench)
}

fn image_ground() -> Option<(Bench, Images)> {
    Some((ground(&PEERS)?, images()?))
}

/// `cosign attest` by alice, without a log: in the tag `.att` (2), as a bundle (3).
fn attest(bench: &Bench, tool: Tool, name: &str, predicate: &str, image: &str) {
    let predicate = bench.sandbox.write("predicate.json", predicate);
    let attest = bench.run(tool).args(["attest", "--key", "alice.key"]);
    let attest = match tool {
        Tool::Cosign3 => attest.arg("--signing-config").arg(&bench.signing_config),
        _ => attest.arg("--tlog-upload=false"),
    };
    attest
        .args(["--yes", "--allow-http-registry", "--type", name])
        .arg("--predicate")
        .arg(&predicate)
        .arg(image)
        .run()
        .success();
}

/// `cosign verify-attestation` with alice's key.
fn cosign_verify(bench: &Bench, tool: Tool, name: &str, image: &str) -> Finished {
    bench
        .run(tool)
        .args(["verify-attestation", "--key", "alice.pub", "--type", name])
        .args(["--insecure-ignore-tlog", "--allow-http-registry", image])
        .run()
}

/// `sealmark verify-attestation` with the public key and these words.
fn verify(bench: &Bench, key: &str, words: &[&str]) -> Finished {
    bench
        .run(Tool::Sealmark)
        .args(["verify-attestation", "--key", &format!("{key}.pub")])
        .args(words)
        .run()
}

/// The JSON of each line.
fn lines(finished: &Finished) -> Vec<Value> {
    let text = finished.stdout();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_cosign_attests_of_images_verifies() {
    let Some((bench, images)) = image_ground() else {
        return;
    };
    let registries = Registries::start();
    for (index, registry) in registries.addresses().into_iter().enumerate() {
        for tool in COSIGNS {
            let image = format!("{registry}/{}:v1", tool.name());
            assert!(images.push(&bench.sandbox, images.single, &image));
            // Every type in one registry, two in the other.
            let types = &TYPES[..if index == 0 { TYPES.len() } else { 2 }];
            for (name, predicate, _) in types {
                attest(&bench, tool, name, predicate, &image);
            }
            for (name, _, uri) in types {
                let good = verify(&bench, "alice", &["--type", name, &image]).success();
                assert!(good.stdout().starts_with("verified "), "{good}");
                verify(&bench, "alice", &["--type", uri, &image]).success();
                verify(&bench, "bob", &["--type", name, &image]).code(12);
                let ours = verify(
                    &bench,
                    "alice",
                    &["--type", name, "--output", "cosign", &image],
                );
                let theirs = cosign_verify(&bench, tool, name, &image).success();
                let (ours, theirs) = (lines(&ours.success()), lines(&theirs));
                assert_eq!(ours.len(), 1, "{name}");
                assert_eq!(ours[0]["payload"], theirs[0]["payload"], "{name}");
                assert_eq!(ours[0]["payloadType"], theirs[0]["payloadType"]);
                assert_eq!(
                    ours[0]["signatures"][0]["sig"],
                    theirs[0]["signatures"][0]["sig"]
                );
            }
            // Without --type it is the type that cosign has by default.
            verify(&bench, "alice", &[&image]).success();
            // Whoever names two types wants both.
            let both = ["--type", "custom", "--type", "slsaprovenance1", &image];
            let report = verify(&bench, "alice", &[&both[..], &["-o", "json"]].concat());
            let report = json(&report.success());
            assert_eq!(report[0]["demands"].as_array().map(Vec::len), Some(2));
            verify(
                &bench,
                "alice",
                &["--type", "custom", "--type", "openvex", &image],
            )
            .code(10)
            .stderr_has("has no attestation of type https://openvex.dev/ns");
        }
    }
}

#[test]
fn a_type_that_is_not_there_is_answered_with_those_that_are() {
    let Some((bench, images)) = image_ground() else {
        return;
    };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let image = format!("{registry}/app:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    // Nothing at all, and no image.
    verify(&bench, "alice", &["--type", "vuln", &image])
        .code(10)
        .stderr_has("has no attestation of type https://cosign.sigstore.dev/attestation/vuln/v1: no bundle refers to");
    verify(&bench, "alice", &[&format!("{registry}/none:v1")]).code(11);
    // A signature is no attestation.
    bench
        .sealmark(&["sign", "--key", "alice.key", &image])
        .success();
    verify(&bench, "alice", &[&image])
        .code(10)
        .stderr_has("has no attestation of type")
        .stderr_has("an image signature, https://sigstore.dev/cosign/sign/v1");
    verify(
        &bench,
        "alice",
        &["--type", "https://sigstore.dev/cosign/sign/v1", &image],
    )
    .success();
    let (spdx, predicate, _) = TYPES[2];
    attest(&bench, Tool::Cosign2, spdx, predicate, &image);
    attest(&bench, Tool::Cosign3, REVIEW, TYPES[4].1, &image);
    verify(&bench, "alice", &[&image]).code(10).stderr_has(
        "It has attestations of type https://example.com/review/v1, https://spdx.dev/Document; name the one that is \
         meant with --type",
    );
    verify(&bench, "alice", &["--type", "slsaprovnance", &image])
        .code(1)
        .stderr_has("did you mean slsaprovenance?");
    // Of another image, and in spite of that.
    let other = format!("{registry}/other:v1");
    assert!(images.push(&bench.sandbox, images.index, &other));
    let digest = images.digest(images.single).replace(':', "-");
    bench
        .peer("skopeo")
        .args([
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ])
        .arg(format!("docker://{registry}/app:{digest}.att"))
        .arg(format!(
            "docker://{registry}/other:{}.att",
            images.digest(images.index).replace(':', "-")
        ))
        .run()
        .success();
    let spdx = ["--type", "spdxjson", &other];
    verify(&bench, "alice", &spdx)
        .code(12)
        .stderr_has("a signature of another artifact");
    verify(
        &bench,
        "alice",
        &[&spdx[..], &["--check-claims=false"]].concat(),
    )
    .success();
}

#[test]
fn attestations_in_a_layout_on_disk_verify() {
    let Some((bench, images)) = image_ground() else {
        return;
    };
    if !have(&["oras"]) {
        return;
    }
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let image = format!("{registry}/app:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    let copy = |layout: &str| {
        bench
            .peer("oras")
            .args([
                "copy",
                "--recursive",
                "--from-plain-http",
                "--to-oci-layout",
            ])
            .args([&image, &format!("{layout}:v1")])
            .run()
            .success();
    };
    copy("bare");
    attest(&bench, Tool::Cosign3, REVIEW, TYPES[4].1, &image);
    copy("attested");
    let local = |layout: &str, words: &[&str]| {
        verify(
            &bench,
            "alice",
            &[&["--local-image", layout], words].concat(),
        )
    };
    local("attested", &["--type", REVIEW]).success();
    local("attested", &[]).code(10).stderr_has("--type");
    // What is on disk is nowhere else.
    for finished in [
        local("bare", &["--type", REVIEW]),
        bench.sealmark(&["verify", "--key", "alice.pub", "--local-image", "bare"]),
    ] {
        let finished = finished.code(10).stderr_has("no bundle refers to");
        assert!(
            !finished.stderr().contains("COSIGN_REPOSITORY"),
            "{finished}"
        );
    }
}

/// `sealmark verify-blob-attestation` with alice's key.
fn verify_blob(bench: &Bench, words: &[&str]) -> Finished {
    bench.sealmark(&[&["verify-blob-attestation", "--key", "alice.pub"], words].concat())
}

#[test]
fn what_cosign_attests_of_files_verifies() {
    let Some(bench) = ground(&["cosign2", "cosign3"]) else {
        return;
    };
    bench.sandbox.write("app.txt", "hello");
    bench.sandbox.write("other.txt", "another");
    bench.sandbox.write("predicate.json", TYPES[1].1);
    let attest = |tool: Tool, words: &[&str]| {
        bench
            .run(tool)
            .args(["attest-blob", "--yes", "--key", "alice.key"])
            .args(["--type", "slsaprovenance1", "--predicate", "predicate.json"])
            .args(words)
            .arg("app.txt")
            .run()
            .success();
    };
    attest(
        Tool::Cosign2,
        &[
            "--tlog-upload=false",
            "--output-attestation",
            "statement.json",
            "--output-signature",
            "envelope.json",
        ],
    );
    attest(
        Tool::Cosign2,
        &["--tlog-upload=false", "--bundle", "legacy.json"],
    );
    let config = bench.signing_config.display().to_string();
    attest(
        Tool::Cosign3,
        &["--signing-config", &config, "--bundle", "bundle.json"],
    );
    let digest = Digest::sha256(b"hello");
    for (flag, file) in [
        ("--signature", "envelope.json"),
        ("--bundle", "envelope.json"),
        ("--bundle", "legacy.json"),
        ("--bundle", "bundle.json"),
    ] {
        let verify = |words: &[&str]| {
            let words = [&[flag, file, "--type", "slsaprovenance1"][..], words].concat();
            verify_blob(&bench, &words)
        };
        let verified = format!("verified app.txt ({digest})");
        verify(&["app.txt"]).success().stdout_has(&verified);
        verify(&["other.txt"])
            .code(12)
            .stderr_has("a signature of another artifact");
        verify(&["--digest", &digest.hex()]).success();
        verify(&["--digest", &digest.hex(), "--digestAlg", "sha256"]).success();
        verify(&["--digest", &digest.to_string()]).success();
        verify(&["--digest", &Digest::sha256(b"").hex()]).code(12);
        verify(&["--digest", &digest.hex(), "--digestAlg", "sha512"])
            .code(1)
            .stderr_has("--digest ");
        verify(&["--digest", &digest.hex(), "app.txt"]).code(1);
        verify(&[]).code(1).stderr_has("--digest");
        verify(&["--check-claims=false"])
            .success()
            .stdout_has(&format!("verified the statement about {digest}"));
        verify(&["--check-claims=false", "other.txt"]).success();
        let report = json(&verify(&["-o", "json", "app.txt"]).success());
        assert_eq!(report["verdict"], "verified");
        assert_eq!(report["file"], "app.txt");
        let envelope = lines(&verify(&["-o", "cosign", "app.txt"]).success());
        assert_eq!(envelope[0]["payloadType"], "application/vnd.in-toto+json");
        // Of another type, by another key, and no signature of the file.
        verify_blob(&bench, &[flag, file, "app.txt"])
            .code(12)
            .stderr_has("found an attestation of type \"https://slsa.dev/provenance/v1\"")
            .stderr_has("named with --type");
        let bob = ["verify-blob-attestation", "--key", "bob.pub", flag, file];
        bench
            .sealmark(&[&bob[..], &["--type", "slsaprovenance1", "app.txt"]].concat())
            .code(12);
        bench
            .sealmark(&["verify-blob", "--key", "alice.pub", flag, file, "app.txt"])
            .code(12);
    }
    verify_blob(&bench, &["--bundle", "statement.json", "app.txt"])
        .code(12)
        .stderr_has("a statement without a signature");
}

/// A key of a signer who says anything, and its public key in `forger.pub`.
struct Forger<'a> {
    bench: &'a Bench,
    key: PrivateKey,
}

impl<'a> Forger<'a> {
    fn new(bench: &'a Bench) -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        bench.sandbox.write("forger.pub", key.public_key().to_pem());
        Self { bench, key }
    }

    /// An envelope around these bytes, with a good signature.
    fn sign(&self, payload: &str, payload_type: &str) -> String {
        let mut envelope = dsse::Envelope {
            payload: payload.as_bytes().to_vec(),
            payload_type: payload_type.to_owned(),
            signatures: Vec::new(),
        };
        let sig = self.key.sign(&envelope.pae()).unwrap();
        envelope
            .signatures
            .push(dsse::Signature { sig, keyid: None });
        serde_json::to_string(&envelope).unwrap()
    }

    /// What is said of the envelope, as a file of its own and as cosign 2 and 3 keep it.
    fn verify(&self, envelope: &str, words: &[&str]) -> Vec<Finished> {
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let hint = self.key.public_key().id().hint();
        let bundle = value!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": serde_json::from_str::<Value>(envelope).unwrap(),
        });
        let sandbox = &self.bench.sandbox;
        sandbox.write("envelope.json", envelope);
        sandbox.write("bundle.json", bundle.to_string());
        sandbox.write(
            "legacy.json",
            value!({"base64Signature": base64(envelope)}).to_string(),
        );
        [
            ("--signature", "envelope.json"),
            ("--bundle", "bundle.json"),
            ("--bundle", "legacy.json"),
        ]
        .into_iter()
        .map(|(flag, file)| {
            let start = ["verify-blob-attestation", "--key", "forger.pub", flag, file];
            self.bench.sealmark(&[&start[..], words].concat())
        })
        .collect()
    }
}

fn statement(predicate_type: &str, digests: &Value) -> String {
    value!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app.txt", "digest": digests}],
        "predicateType": predicate_type,
        "predicate": {"Data": "{}"},
    })
    .to_string()
}

/// CVE-2026-39395 (GHSA-w6c6-c85g-mmv6): cosign took a malformed payload, or one of another type, for a good attestation.
#[test]
fn cve_2026_39395_a_malformed_payload_or_another_type_is_refused() {
    const IN_TOTO: &str = "application/vnd.in-toto+json";
    const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";
    let bench = Bench::new();
    let forger = Forger::new(&bench);
    bench.sandbox.write("app.txt", "hello");
    let digests = value!({"sha256": Digest::sha256(b"hello").hex()});
    let good = statement(CUSTOM, &digests);
    for finished in forger.verify(&forger.sign(&good, IN_TOTO), &["app.txt"]) {
        finished.success();
    }
    let no_type = good.replace(r#""predicateType""#, r#""predicatetype""#);
    let old = good.replace("Statement/v1", "Statement/v9");
    for (payload, payload_type, reason) in [
        ("", IN_TOTO, "not a valid in-toto statement"),
        ("hello", IN_TOTO, "not a valid in-toto statement"),
        ("null", IN_TOTO, "not a valid in-toto statement"),
        ("[]", IN_TOTO, "not a valid in-toto statement"),
        ("{}", IN_TOTO, "not a valid in-toto statement"),
        (
            &good[..good.len() - 1],
            IN_TOTO,
            "not a valid in-toto statement",
        ),
        (&old, IN_TOTO, "Statement/v9"),
        (&no_type, IN_TOTO, "found an attestation of type \"\""),
        (
            &statement("https://slsa.dev/provenance/v1", &digests),
            IN_TOTO,
            "found an attestation of type \"https://slsa.dev/provenance/v1\"",
        ),
        (
            &statement("https://sigstore.dev/cosign/sign/v1", &digests),
            IN_TOTO,
            "found an image signature",
        ),
        (&good, "text/plain", "payloadType \"text/plain\""),
    ] {
        let envelope = forger.sign(payload, payload_type);
        for words in [&["app.txt"][..], &["--check-claims=false"]] {
            for finished in forger.verify(&envelope, words) {
                let finished = finished.code(12).stderr_has(reason);
                assert_eq!(finished.stdout(), "", "{finished}");
            }
        }
    }
    // A good signature, and a payload that is exchanged for another.
    let mut envelope: Value = serde_json::from_str(&forger.sign(&good, IN_TOTO)).unwrap();
    let other = statement(CUSTOM, &value!({"sha256": Digest::sha256(b"").hex()}));
    envelope["payload"] = base64::engine::general_purpose::STANDARD
        .encode(other)
        .into();
    bench.sandbox.write("empty.txt", "");
    for finished in forger.verify(&envelope.to_string(), &["empty.txt"]) {
        finished.code(12).stderr_has("the signature does not match");
    }
}

#[test]
fn a_statement_may_name_its_subject_by_any_digest() {
    let bench = Bench::new();
    let forger = Forger::new(&bench);
    bench.sandbox.write("app.txt", "hello");
    bench.sandbox.write("other.txt", "another");
    for algorithm in HashAlgorithm::ALL {
        let digest = Digest::of(algorithm, b"hello");
        let name = algorithm.name();
        let statement = statement(REVIEW, &value!({ name: digest.hex() }));
        let envelope = forger.sign(&statement, "application/vnd.in-toto+json");
        let typed = |words: &[&str]| {
            let words = [&["--type", REVIEW][..], words].concat();
            forger.verify(&envelope, &words)
        };
        for finished in typed(&["app.txt"]) {
            finished.success().stdout_has(&format!("digest: {digest}"));
        }
        for finished in typed(&["other.txt"]) {
            finished.code(12);
        }
        for finished in typed(&["--digest", &digest.hex(), "--digestAlg", name]) {
            finished.success();
        }
    }
    // Of nothing that is known, of several files, and by a key that nobody asked for.
    let nothing = statement(REVIEW, &value!({"md5": "00"}));
    let several = statement(REVIEW, &value!({"sha256": Digest::sha256(b"hello").hex()})).replace(
        "\"subject\":[",
        "\"subject\":[{\"digest\":{\"sha256\":\"00\"}},",
    );
    let sign = |statement: &str| forger.sign(statement, "application/vnd.in-toto+json");
    let words = ["--type", REVIEW, "--check-claims=false"];
    for finished in forger.verify(&sign(&nothing), &words) {
        finished.code(12).stderr_has("about nothing");
    }
    for finished in forger.verify(&sign(&several), &words) {
        let about = format!("about {} and 1 more", Digest::sha256(b"hello"));
        finished.success().stdout_has(&about);
    }
    forger
        .bench
        .sealmark(
            &[
                &["verify-blob-attestation", "--key", "forger.pub"][..],
                &["--bundle", "bundle.json", "--bundle", "legacy.json"],
                &words,
            ]
            .concat(),
        )
        .code(1)
        .stderr_has("several bundles");
}
