//! Who signed this, when, and how do we know: `explain`, `--explain`, and the JSON of every verification against the schema
//! in `docs/report.schema.json`.
//!
//! The bundles are cases of the public suite sigstore-conformance; see `crates/conformance/tests/fixtures`.

use std::path::{Path, PathBuf};

use sealmark_testkit::{Finished, Sandbox};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/report.schema.json");
const KEYLESS: &str = "rekor2-checkpoint-cosigned";
const KEYED: &str = "managed-key-no-key_fail";

fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/tests/fixtures/bundle-verify")
        .join(name)
}

fn bundle(case: &str) -> String {
    suite(case)
        .join("bundle.sigstore.json")
        .display()
        .to_string()
}

fn sealmark(arguments: &[&str]) -> Finished {
    let sandbox = Sandbox::new();
    sandbox
        .command(env!("CARGO_BIN_EXE_sealmark"))
        .args(arguments)
        .run()
}

#[test]
fn a_keyless_bundle_tells_who_when_and_how_we_know() {
    let file = suite("a.txt").display().to_string();
    let root = suite(KEYLESS)
        .join("trusted_root.json")
        .display()
        .to_string();
    sealmark(&["explain", &bundle(KEYLESS), "--artifact", &file, "--trusted-root", &root])
        .success()
        .stdout_has("  who:  identity \"https://github.com/sigstore-conformance/")
        .stdout_has("of issuer \"https://token.actions.githubusercontent.com\"\n")
        .stdout_has("  when: entry ")
        .stdout_has("  what: signature over the file over sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf\n")
        .stdout_has("  how do we know: every check that can be made passes\n")
        .stdout_has("    ok      certificate transparency: ")
        .stdout_has("nobody was asked for, so nothing is verified");
}

#[test]
fn a_key_that_is_not_given_is_found_in_the_log_entry() {
    let told = sealmark(&["explain", &bundle(KEYED)]).success();
    told.stdout_has(
        "  who:  key sha256:4cb32c4837c6dda8cfb1681efb3fef5f94ffce5b979e6bdb9139302c857af139\n",
    )
    .stdout_has("  when: entry 771488337 of https://rekor.sigstore.dev at 2025-12-18T17:04:39Z")
    .stdout_has("the digest was not compared with a file: give it with --artifact\n");
}

#[test]
fn another_file_is_seen() {
    let sandbox = Sandbox::new();
    let other = sandbox.write("other", "another file").display().to_string();
    sealmark(&["explain", &bundle(KEYLESS), "--artifact", &other])
        .success()
        .stdout_has("FAILED  signature: ");
}

#[test]
fn what_no_trusted_party_says_is_not_told_as_a_fact() {
    let sandbox = Sandbox::new();
    let root = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
    let root = sandbox.write("root.json", root).display().to_string();
    sealmark(&["explain", &bundle(KEYLESS), "--trusted-root", &root])
        .success()
        .stdout_has(", which nobody trusted vouches for\n")
        .stdout_has("  when: no trusted log or timestamp authority says when\n")
        .stdout_has("to pass give the trusted root that has this log with --trusted-root\n");
}

#[test]
fn every_failure_says_what_was_expected_and_found() {
    let file = suite("a.txt").display().to_string();
    let flags = [
        "--certificate-identity",
        "someone@example.com",
        "--certificate-oidc-issuer",
        "https://issuer.example.com",
    ];
    let bundle = bundle(KEYLESS);
    let line = [
        &["verify-blob", "--explain", "--bundle", &bundle][..],
        &flags,
        &[&file],
    ]
    .concat();
    sealmark(&line)
        .code(12)
        .stdout_has("policy (made of the flags):\n  version: 1\n")
        .stdout_has("subject: someone@example.com\n")
        .stdout_has("trusting: the embedded copy of the public instance's root\n")
        .stdout_has("NOT verified ")
        .stdout_has("  not signed: identity \"someone@example.com\" of issuer \"https://issuer.example.com\"\n")
        .stdout_has("    FAILED  identity: expected identity \"someone@example.com\"")
        .stdout_has("              found identity \"https://github.com/sigstore-conformance/")
        .stdout_has("    -       digest: not reached\n");
}

#[test]
fn json_is_as_the_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let file = suite("a.txt").display().to_string();
    let identity = [
        "--certificate-identity-regexp",
        "sigstore-conformance",
        "--certificate-oidc-issuer-regexp",
        ".",
    ];
    let cases: Vec<PathBuf> = std::fs::read_dir(suite(""))
        .expect("the suite is there")
        .map(|entry| entry.expect("a folder").path().join("bundle.sigstore.json"))
        .filter(|path| path.exists())
        .collect();
    assert!(cases.len() > 20);
    let mut seen = std::collections::BTreeSet::new();
    for case in cases {
        let case = case.display().to_string();
        let verify = [
            &["verify-blob", "-o", "json", "--bundle", &case][..],
            &identity,
            &[&file],
        ]
        .concat();
        for line in [&verify[..], &["explain", "-o", "json", &case]] {
            let text = sealmark(line).stdout();
            if text.is_empty() {
                continue;
            }
            let output: Value = serde_json::from_str(&text).expect("JSON");
            if let Err(wrong) = fits(&output, &schema, &schema) {
                panic!("{line:?}: {wrong}\n{text}");
            }
            seen.insert(output["verdict"].to_string());
        }
    }
    assert_eq!(seen.len(), 4, "three verdicts, and explained: {seen:?}");
    // The check itself can fail.
    for wrong in [
        serde_json::json!([{"image": "a"}]),
        serde_json::json!({"file": "a", "digest": "md5:0", "verdict": "verified", "demands": []}),
        serde_json::json!({"what": "a", "verified": true, "attachments": []}),
    ] {
        assert!(fits(&wrong, &schema, &schema).is_err(), "{wrong}");
    }
}

/// The part of JSON Schema 2020-12 that the schema uses.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    let known = [
        "$ref",
        "oneOf",
        "enum",
        "type",
        "pattern",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "description",
        "title",
        "$schema",
        "$defs",
    ];
    for keyword in schema.as_object().expect("a schema is an object").keys() {
        assert!(
            known.contains(&keyword.as_str()),
            "{keyword} is not checked by this test"
        );
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        let target = root
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer}"));
        fits(value, target, root)?;
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let errors: Vec<String> = options
            .iter()
            .filter_map(|option| fits(value, option, root).err())
            .collect();
        if errors.len() + 1 != options.len() {
            return Err(format!("not exactly one fits: {}", errors.join(" | ")));
        }
    }
    if let Some(list) = schema["enum"].as_array()
        && !list.contains(value)
    {
        return Err(format!("{value} is none of {list:?}"));
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(wanted) = schema["type"].as_str()
        && wanted != is
    {
        return Err(format!("{value} is no {wanted}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !regex::Regex::new(pattern)
            .expect("a pattern")
            .is_match(text)
    {
        return Err(format!("{text} is not like {pattern}"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        list.iter().try_for_each(|item| fits(item, items, root))?;
    }
    let Some(members) = value.as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        if !members.contains_key(name) {
            return Err(format!("no {name} in {value}"));
        }
    }
    for (name, member) in members {
        match schema["properties"].get(name) {
            Some(schema) => fits(member, schema, root)?,
            None if schema["additionalProperties"] == false => {
                return Err(format!("{name} is not in the schema"));
            }
            None => {}
        }
    }
    Ok(())
}
