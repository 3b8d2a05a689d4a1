//! The harness for x509-limbo, with a suite of a few cases about a certificate of the public instance (the fixtures of
//! `sealmark-x509` say where they are from).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const LEAF: &str = include_str!("../../x509/tests/fixtures/github-workflow.pem");
const AUTHORITY: &str = include_str!("../../x509/tests/fixtures/public-good-ca.pem");
const VALID: &str = "2024-12-16T18:43:00Z";

/// A case that succeeds, in the shape of the suite's schema.
fn case(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let end = "-----END CERTIFICATE-----\n";
    let mut authority = AUTHORITY
        .split_inclusive(end)
        .filter(|pem| pem.contains("BEGIN"));
    let (intermediate, root) = (authority.next(), authority.next());
    assert!(root.is_some());
    let mut case = json!({
        "id": id,
        "conflicts_with": [],
        "features": [],
        "importance": "undetermined",
        "description": "A signer of the public instance.",
        "validation_kind": "CLIENT",
        "trusted_certs": [root],
        "untrusted_intermediates": [intermediate],
        "peer_certificate": LEAF,
        "peer_certificate_key": null,
        "validation_time": VALID,
        "signature_algorithms": [],
        "key_usage": ["digitalSignature"],
        "extended_key_usage": ["codeSigning"],
        "expected_result": "SUCCESS",
        "expected_peer_name": null,
        "expected_peer_names": [],
        "max_chain_depth": null,
        "crls": [],
    });
    change(&mut case);
    case
}

/// Standard output and error, and whether it ended well.
fn harness(arguments: &[&str], input: &str) -> (String, String, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealmark-x509-limbo"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.success(),
    )
}

fn suite(cases: &[Value]) -> String {
    json!({"version": 1, "testcases": cases}).to_string()
}

#[test]
fn every_case_has_a_result_and_a_reason() {
    let table: Vec<(Value, &str, &str)> = vec![
        (case("as it is", |_| {}), "SUCCESS", ""),
        (
            case("later", |c| {
                c["validation_time"] = json!("2024-12-17T00:00:00Z")
            }),
            "FAILURE",
            "had expired",
        ),
        (
            case("now", |c| c["validation_time"] = Value::Null),
            "FAILURE",
            "had expired",
        ),
        (
            case("without the intermediate", |c| {
                c["untrusted_intermediates"] = json!([])
            }),
            "FAILURE",
            "which is not trusted",
        ),
        (
            case("for a server", |c| {
                c["extended_key_usage"] = json!([]);
                c["validation_kind"] = json!("SERVER");
            }),
            "FAILURE",
            "is not for serverAuth, but for codeSigning",
        ),
        (
            case("not a certificate", |c| c["peer_certificate"] = json!("?")),
            "FAILURE",
            "there is no certificate",
        ),
        (
            case("not a root", |c| c["trusted_certs"] = json!(["?"])),
            "FAILURE",
            "there is no certificate",
        ),
        (
            case("a list of revoked ones", |c| c["crls"] = json!(["?"])),
            "SKIPPED",
            "CRLs are not supported",
        ),
        (
            case("long ago", |c| {
                c["validation_time"] = json!("1969-12-31T23:59:59Z")
            }),
            "SKIPPED",
            "its time is none from 1970 on",
        ),
        (
            case("a limit", |c| c["max_chain_depth"] = json!(1)),
            "SKIPPED",
            "limits on the length of chains",
        ),
        (
            case("a usage", |c| c["key_usage"] = json!(["keyAgreement"])),
            "SKIPPED",
            "key usages other than digitalSignature",
        ),
        (
            case("an algorithm", |c| {
                c["signature_algorithms"] = json!(["RSA_WITH_SHA256"])
            }),
            "SKIPPED",
            "choices of signature algorithms",
        ),
        (
            case("a purpose", |c| {
                c["extended_key_usage"] = json!(["emailProtection"])
            }),
            "SKIPPED",
            "certificates for \"emailProtection\" are not supported",
        ),
        (
            case("a server's name", |c| {
                c["expected_peer_name"] = json!({"kind": "DNS", "value": "example.com"});
            }),
            "SKIPPED",
            "DNS \"example.com\" does not stand in the certificate",
        ),
    ];
    let cases: Vec<Value> = table.iter().map(|(case, ..)| case.clone()).collect();
    let (stdout, stderr, success) = harness(&[], &suite(&cases));
    assert!(success, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert!(report["harness"].as_str().unwrap().starts_with("sealmark-"));
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), table.len());
    for (result, (case, actual, reason)) in results.iter().zip(&table) {
        assert_eq!(result["id"], case["id"]);
        assert_eq!(result["actual_result"], *actual, "{result}");
        match result["context"].as_str() {
            Some(context) => assert!(context.contains(reason), "{result}"),
            None => assert_eq!(*actual, "SUCCESS"),
        }
    }
    // What the suite expects and is not so, is told; every case here says that it succeeds.
    let refused = table
        .iter()
        .filter(|(_, actual, _)| *actual == "FAILURE")
        .count();
    assert_eq!(stderr.lines().count(), refused, "{stderr}");
    assert!(stderr.contains("later: refused: "), "{stderr}");
}

#[test]
fn the_suite_is_a_file_too_and_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limbo.json");
    let cases = [case("unexpected", |c| {
        c["expected_result"] = json!("FAILURE")
    })];
    std::fs::write(&path, suite(&cases)).unwrap();
    let (stdout, stderr, success) = harness(&[path.to_str().unwrap()], "");
    assert!(success && stdout.contains("\"SUCCESS\""), "{stderr}");
    assert_eq!(stderr, "unexpected: accepted\n");

    for (arguments, input, reason) in [
        (
            &[][..],
            "{}",
            "standard input is not a limbo.json: missing field `version`",
        ),
        (
            &[],
            r#"{"version":2,"testcases":[]}"#,
            "is of version 2; only 1 is supported",
        ),
        (&["--help"], "", "usage: sealmark-x509-limbo [limbo.json]"),
        (&["/nowhere/limbo.json"], "", "/nowhere/limbo.json: "),
    ] {
        let (stdout, stderr, success) = harness(arguments, input);
        assert!(!success && stdout.is_empty(), "{stdout}");
        assert!(stderr.contains(reason), "{stderr}");
    }
}
