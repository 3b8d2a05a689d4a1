//! Attesting of images and files: what is attached is what was given, both generations of cosign verify it, and nobody's
//! attestation is lost.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use base64::Engine as _;
use bench::{Bench, Registries, Tool, have, json};
use sealmark_testkit::{Finished, images};
use serde_json::Value;

const COSIGNS: [Tool; 2] = [Tool::Cosign2, Tool::Cosign3];

/// Documents, and the type that each is found to be. The number and the order of the members would not survive being
/// read and written by a program that knows the format.
const DOCUMENTS: [(&str, &str, &str); 5] = [
    (
        "spdxjson",
        r#"{"spdxVersion":"SPDX-2.3", "SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://example.com/1","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-a","extractedText":"a","crossRefs":[{"url":"https://example.com","order":9007199254740993}]}]}"#,
        "https://spdx.dev/Document",
    ),
    (
        "cyclonedx",
        r#"{"specVersion":"1.6","bomFormat":"CycloneDX","components":[{"type":"library","name":"zlib"}],"vulnerabilities":[{"ratings":[{"score":1.10}]}]}"#,
        "https://cyclonedx.org/bom",
    ),
    (
        "slsaprovenance1",
        r#"{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{"n":9007199254740993}},"runDetails":{"builder":{"id":"https://example.com/builder"},"metadata":{"invocationID":"7"}}}"#,
        "https://slsa.dev/provenance/v1",
    ),
    (
        "openvex",
        r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"me","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-2026-1"},"status":"fixed"}]}"#,
        "https://openvex.dev/ns",
    ),
    (
        "custom",
        r#"{"passed":true}"#,
        "https://cosign.sigstore.dev/attestation/v1",
    ),
];

fn ground() -> Bench {
    let bench = Bench::new();
    for name in ["alice", "bob"] {
        bench.make_key("ecdsa-p256", name);
    }
    bench
}

fn attest(bench: &Bench, key: &str, words: &[&str], image: &str) -> Finished {
    bench
        .run(Tool::Sealmark)
        .args(["attest", "--key", &format!("{key}.key")])
        .args(words)
        .arg(image)
        .run()
}

fn cosign_verify(bench: &Bench, tool: Tool, key: &str, name: &str, image: &str) -> Finished {
    bench
        .run(tool)
        .args(["verify-attestation", "--key", &format!("{key}.pub")])
        .args(["--type", name, "--insecure-ignore-tlog"])
        .args(["--allow-http-registry", image])
        .run()
}

/// The statements that a verification prints, one envelope a line.
fn statements(finished: &Finished) -> Vec<Value> {
    let payload = |line: &str| {
        let envelope: Value = serde_json::from_str(line).unwrap();
        let payload = envelope["payload"].as_str().unwrap().to_owned();
        let bytes = base64::engine::general_purpose::STANDARD.decode(payload);
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    };
    let text = finished.stdout();
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(payload).collect()
}

#[test]
fn both_generations_of_cosign_verify_what_is_attested() {
    if !have(&["skopeo", "cosign2", "cosign3"]) {
        return;
    }
    let Some(images) = images() else { return };
    let bench = ground();
    let registries = Registries::start();
    for registry in registries.addresses() {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        for (name, document, uri) in DOCUMENTS {
            let file = bench.sandbox.write("predicate.json", document);
            let file = file.to_str().unwrap();
            let attested = attest(
                &bench,
                "alice",
                &["--format", "both", "--predicate", file],
                &image,
            );
            let attested = attested.success();
            let said = attested.stdout();
            assert!(
                said.starts_with(&format!("attested {uri} of {registry}/app@sha256:")),
                "{said}"
            );
            for tool in COSIGNS {
                let verified = cosign_verify(&bench, tool, "alice", name, &image);
                let verified = verified.success();
                assert_eq!(
                    statements(&verified)[0]["predicateType"],
                    uri,
                    "{}",
                    tool.name()
                );
                cosign_verify(&bench, tool, "bob", name, &image).failure();
            }
            bench
                .run(Tool::Sealmark)
                .args(["verify-attestation", "--key", "alice.pub", "--type", name])
                .args(["--output", "cosign", &image])
                .run()
                .success();
        }
    }
}

#[test]
fn what_is_signed_is_what_was_given() {
    let bench = ground();
    let (_, document, _) = DOCUMENTS[0];
    let predicate = bench.sandbox.write("p.json", document);
    let file = bench.sandbox.write("app", "content");
    bench
        .run(Tool::Sealmark)
        .args(["attest-blob", "--key", "alice.key", "--bundle", "b.json"])
        .args(["--output-attestation", "e.json", "--predicate"])
        .arg(&predicate)
        .arg(&file)
        .run()
        .success();
    let envelope: Value = serde_json::from_str(&bench.sandbox.read("e.json")).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload);
    let payload = String::from_utf8(payload.unwrap()).unwrap();
    assert!(payload.contains(document), "{payload}");
    let verify = |file: &str| {
        bench.sealmark(&[
            "verify-blob-attestation",
            "--key",
            "alice.pub",
            "--type",
            "spdxjson",
            "--bundle",
            "b.json",
            file,
        ])
    };
    verify("app").success();
    bench.sandbox.write("other", "other content");
    verify("other").failure();

    // A statement of one's own is signed byte for byte, and only for what it is about.
    let digest = sealmark_formats::Digest::sha256(b"content").hex();
    let statement = format!(
        r#"{{ "predicateType":"https://example.com/review/v1","_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"app","digest":{{"sha256":"{digest}"}}}}],"predicate":{{"b":1,"a":1e3}} }}"#
    );
    let given = bench.sandbox.write("s.json", &statement);
    let attest = |file: &str| {
        bench
            .run(Tool::Sealmark)
            .args(["attest-blob", "--key", "alice.key", "--statement"])
            .arg(&given)
            .args([
                "--bundle",
                "s.bundle",
                "--output-attestation",
                "s.envelope",
                file,
            ])
            .run()
    };
    attest("app").success();
    let envelope: Value = serde_json::from_str(&bench.sandbox.read("s.envelope")).unwrap();
    let payload = base64::engine::general_purpose::STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    assert_eq!(String::from_utf8(payload).unwrap(), statement);
    let refused = attest("other");
    let refused = refused.failure();
    assert!(
        refused.stderr().contains(
            "the statement cannot be signed: none of its subjects has the digest sha256:"
        ),
        "{}",
        refused.stderr()
    );
}

#[test]
fn repeating_adds_nothing_and_replacing_leaves_what_others_said() {
    let Some(images) = images() else { return };
    if !have(&["skopeo"]) {
        return;
    }
    let bench = ground();
    let registries = Registries::start();
    for registry in registries.addresses() {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let scan = |text: &str| {
            let file = bench.sandbox.write("scan.json", text);
            file.to_str().unwrap().to_owned()
        };
        let count = |key: &str| {
            let found = bench
                .run(Tool::Sealmark)
                .args(["verify-attestation", "--key", &format!("{key}.pub")])
                .args(["--type", "https://example.com/scan/v1"])
                .args(["--output", "cosign", &image])
                .run();
            let found = found.success();
            statements(&found)
                .iter()
                .map(|statement| statement["predicate"]["found"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        let kind = ["--type", "https://example.com/scan/v1"];
        let run = |key: &str, file: &str, more: &[&str]| {
            let words = [&kind[..], &["--format", "both", "--predicate", file], more].concat();
            let done = attest(&bench, key, &words, &image);
            let done = done.success();
            done.stdout()
        };
        let one = scan(r#"{"found":1}"#);
        run("alice", &one, &[]);
        let again = run("alice", &one, &[]);
        assert_eq!(
            again
                .matches("this key has signed this already, nothing was added")
                .count(),
            2,
            "{again}"
        );
        run("bob", &one, &[]);
        run("alice", &scan(r#"{"found":2}"#), &[]);
        let three = scan(r#"{"found":3}"#);
        let replaced = run("alice", &three, &["--replace"]);
        assert_eq!(replaced.matches("in the place of").count(), 4, "{replaced}");
        assert_eq!(count("alice"), [3, 3]);
        assert_eq!(count("bob"), [1, 1]);
    }
}

#[test]
fn eight_at_the_same_time_are_all_kept() {
    let Some(images) = images() else { return };
    if !have(&["skopeo"]) {
        return;
    }
    let bench = ground();
    let registries = Registries::start();
    for registry in registries.addresses() {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        for format in ["bundle", "legacy"] {
            std::thread::scope(|scope| {
                for number in 0..8 {
                    let (bench, image) = (&bench, &image);
                    scope.spawn(move || {
                        let name = format!("{format}-{number}.json");
                        let file = bench.sandbox.write(&name, format!(r#"{{"n":{number}}}"#));
                        let kind = format!("https://example.com/{format}/v1");
                        let words = ["--format", format, "--type", &kind, "--predicate"];
                        let words = [&words[..], &[file.to_str().unwrap()]].concat();
                        attest(bench, "alice", &words, image).success();
                    });
                }
            });
            let found = bench
                .run(Tool::Sealmark)
                .args(["verify-attestation", "--key", "alice.pub", "--type"])
                .arg(format!("https://example.com/{format}/v1"))
                .args(["--output", "cosign", &image])
                .run();
            let found = found.success();
            let mut numbers: Vec<i64> = statements(&found)
                .iter()
                .map(|statement| statement["predicate"]["n"].as_i64().unwrap())
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7], "{registry} {format}");
        }
    }
}

#[test]
fn a_program_reads_what_was_attested_and_where_it_is() {
    let Some(images) = images() else { return };
    if !have(&["skopeo"]) {
        return;
    }
    let bench = ground();
    let registries = Registries::start();
    let registry = registries.addresses().into_iter().next().unwrap();
    let image = format!("{registry}/app:v1");
    assert!(images.push(&bench.sandbox, images.single, &image));
    let file = bench.sandbox.write("p.json", DOCUMENTS[1].1);
    let words = ["--output", "json", "--predicate", file.to_str().unwrap()];
    let done = attest(&bench, "alice", &words, &image);
    let done = done.success();
    let out = json(&done);
    assert_eq!(out[0]["predicateType"], "https://cyclonedx.org/bom");
    assert_eq!(out[0]["signatures"][0]["state"], "attached");
    assert!(
        done.stderr()
            .contains("p.json is CycloneDX in JSON: attested as https://cyclonedx.org/bom"),
        "{}",
        done.stderr()
    );
    // Nothing is attached, and the bundle is what is printed.
    let words = ["--no-upload", "--predicate", file.to_str().unwrap()];
    let printed = attest(&bench, "bob", &words, &image);
    let printed = printed.success();
    let bundle: Value = serde_json::from_str(&printed.stdout()).unwrap();
    assert!(bundle["dsseEnvelope"]["payload"].is_string());
}
