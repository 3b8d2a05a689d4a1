//! Policy files: what is read is written and read again as the same policy, and matching names ends.
#![no_main]

use sealmark_verify::policy_file::{Artifact, PolicyFile};

const SIGNER: &[u8] =
    b"version: 1\nrules:\n- images: ['**/a*b', r.example/x]\n  signature: {signers: [{key: a}]}\n";
const IDENTITY: &[u8] = b"version: 1\nsigners:\n  ci: {issuerPattern: ^a, subject: b, githubWorkflow: {ref: c}}\n\
rules:\n- files: ['*']\n  attestations:\n  - {type: [slsa, sbom], signers: [ci], every: true, predicate: \
[{path: /a/*/b, oneOf: [1, {x: y}], maxAge: 7d, matches: x}], slsa: {versionedTag: v1, level: 2, \
inputs: {a: 1}}, rego: [a.rego], cel: [a > 1, {file: b.cel}]}\n  log: 2\n";

sealmark_fuzz::target!([SIGNER, IDENTITY], |data| {
    let Ok(yaml) = std::str::from_utf8(data) else {
        return false;
    };
    let Some(file) = sealmark_fuzz::read(PolicyFile::parse(yaml)) else {
        return false;
    };
    let again = PolicyFile::parse(&file.to_yaml()).expect("what was written is read");
    // Lines differ, and nothing else does.
    assert_eq!(file.to_yaml(), again.to_yaml());
    for name in [
        "registry.example/team/app",
        "a",
        "a/b/c/d/e/f/g/h/aaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let _ = file.rule(Artifact::Image(name));
        let _ = file.rule(Artifact::File(name));
    }
    true
});
