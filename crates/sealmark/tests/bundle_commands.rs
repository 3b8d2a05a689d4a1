//! What older tools left becomes a bundle, as cosign makes it, and is told what is in it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::log::{Log, verify};
use bench::{Bench, Tool, have, json};
use sealmark_testkit::Finished;
use serde_json::Value;

const COSIGNS: [&str; 2] = ["cosign2", "cosign3"];

fn ground() -> Option<Bench> {
    if !have(&COSIGNS) {
        return None;
    }
    let bench = Bench::new();
    for name in ["key", "other"] {
        bench.make_key("ecdsa-p256", name);
    }
    bench.sandbox.write("file.txt", "hello\n");
    Some(bench)
}

/// `cosign sign-blob` in the form of cosign 1 and 2, without a log.
fn sign_as_before(bench: &Bench, words: &[&str]) -> Finished {
    bench
        .run(Tool::Cosign3)
        .args(["sign-blob", "--key=key.key", "--yes", "--tlog-upload=false"])
        .args(["--new-bundle-format=false", "--use-signing-config=false"])
        .args(words)
        .arg("file.txt")
        .run()
        .success()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_signature_becomes_the_bundle_that_cosign_makes_of_it() {
    let Some(bench) = ground() else {
        return;
    };
    sign_as_before(
        &bench,
        &["--output-signature=file.sig", "--bundle=old.json"],
    );
    let create = |tool: Tool, from: &str, out: &str| {
        let run = bench
            .run(tool)
            .args(["bundle", "create", "--artifact=file.txt", from]);
        run.args(["--key=key.pub", "--ignore-tlog", "--out", out])
            .run()
            .success();
        parsed(&bench.sandbox.read(out))
    };
    let mut ours = create(Tool::Sealmark, "--signature=file.sig", "ours.json");
    // cosign 3.1.1 takes the key in its own old bundle for a certificate, and gives up.
    assert_eq!(
        ours,
        create(Tool::Sealmark, "--bundle=old.json", "old-ours.json")
    );
    let mut theirs = create(Tool::Cosign3, "--signature=file.sig", "theirs.json");
    // cosign writes an older spelling of the version.
    assert_eq!(
        ours["mediaType"].take(),
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    assert_eq!(
        theirs["mediaType"].take(),
        "application/vnd.dev.sigstore.bundle+json;version=0.3"
    );
    assert_eq!(ours, theirs);
    let verify =
        bench
            .run(Tool::Cosign3)
            .args(["verify-blob", "--key=key.pub", "--insecure-ignore-tlog"]);
    verify
        .args(["--bundle=ours.json", "file.txt"])
        .run()
        .success();
    // A bundle that nobody could verify is not made.
    let create = |words: &[&str]| {
        let all = [&["bundle", "create", "--out=none.json"], words].concat();
        bench.sealmark(&all)
    };
    bench.sandbox.write("other.txt", "other");
    for (words, code) in [
        (
            &[
                "--artifact=file.txt",
                "--signature=file.sig",
                "--key=other.pub",
                "--ignore-tlog",
            ][..],
            12,
        ),
        (
            &[
                "--artifact=other.txt",
                "--signature=file.sig",
                "--key=key.pub",
                "--ignore-tlog",
            ],
            12,
        ),
        (
            &[
                "--artifact=file.txt",
                "--signature=file.sig",
                "--key=key.pub",
            ],
            1,
        ),
        (&["--artifact=file.txt", "--signature=file.sig"], 1),
        (
            &["--signature=file.sig", "--key=key.pub", "--ignore-tlog"],
            1,
        ),
        (&["--artifact=file.txt", "--key=key.pub"], 1),
        (
            &["--artifact=file.txt", "--bundle=ours.json", "--key=key.pub"],
            1,
        ),
    ] {
        create(words).code(code);
        assert!(!bench.sandbox.join("none.json").exists(), "{words:?}");
    }
}

#[test]
fn an_envelope_becomes_a_bundle() {
    let Some(bench) = ground() else {
        return;
    };
    bench.sandbox.write("predicate.json", r#"{"a":1}"#);
    bench
        .run(Tool::Cosign2)
        .args([
            "attest-blob",
            "--key=key.key",
            "--yes",
            "--tlog-upload=false",
        ])
        .args([
            "--predicate=predicate.json",
            "--type=https://example.com/review/v1",
        ])
        .args(["--output-signature=att.json", "file.txt"])
        .run()
        .success();
    let words = [
        "bundle",
        "create",
        "--artifact=file.txt",
        "--attestation=att.json",
        "--key=key.pub",
        "--ignore-tlog",
        "--out=b.json",
    ];
    bench.sealmark(&words).success();
    let verify = bench.run(Tool::Cosign3).args([
        "verify-blob-attestation",
        "--key=key.pub",
        "--insecure-ignore-tlog",
    ]);
    let verify = verify.args([
        "--bundle=b.json",
        "--type=https://example.com/review/v1",
        "file.txt",
    ]);
    verify.run().success();
}

#[test]
fn an_old_bundle_with_a_promise_gets_the_proof_from_its_log() {
    let Some(bench) = ground() else {
        return;
    };
    let log = Log::start(&bench);
    bench.sandbox.write("first.txt", "first");
    // cosign 2 takes the index 0 for a missing one, so the entry is not the first.
    for (file, bundle) in [("first.txt", "first.json"), ("file.txt", "old.json")] {
        bench
            .run(Tool::Cosign2)
            .args(["sign-blob", "--key=key.key", "--yes", "--bundle", bundle])
            .args(["--rekor-url", &log.url, file])
            .env("SIGSTORE_REKOR_PUBLIC_KEY", log.key())
            .run()
            .success();
    }
    let inspected = bench.sealmark(&["bundle", "inspect", "old.json"]).success();
    inspected.stdout_has("missing: it is no Sigstore bundle");
    let root = log.file("trusted_root.json");
    let upgrade = |words: &[&str]| {
        let run = bench.run(Tool::Sealmark).args(words);
        run.args(["--rekor-url", &log.url, "--trusted-root"])
            .arg(&root)
            .run()
    };
    upgrade(&["bundle", "upgrade", "old.json", "--out=new.json"]).success();
    upgrade(&[
        "bundle",
        "create",
        "--artifact=file.txt",
        "--bundle=old.json",
        "--key=key.pub",
        "--out=made.json",
    ])
    .success();
    for bundle in ["new.json", "made.json"] {
        for tool in Tool::ALL {
            verify(&bench, tool, &log, bundle, "file.txt").success();
        }
        let told = json(
            &bench
                .sealmark(&["bundle", "inspect", "-o", "json", bundle])
                .success(),
        );
        assert_eq!(told["verified"], false);
        assert_eq!(told["content"]["logEntries"][0]["inclusionPromise"], true);
        assert!(told["content"]["logEntries"][0]["inclusionProof"]["treeSize"].is_u64());
        assert_eq!(told["missing"][1], "a timestamp (RFC 3161)");
    }
    // What is as new as can be stays.
    let again = bench.sealmark(&["bundle", "upgrade", "new.json"]).success();
    again.stderr_has("Bundle is already at v0.3, no upgrade needed.");
    // Version 0.1 of the same, with a promise alone; cosign brings it to what we bring it to.
    let mut old = parsed(&bench.sandbox.read("new.json"));
    old["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    old["verificationMaterial"]["tlogEntries"][0]
        .as_object_mut()
        .unwrap()
        .remove("inclusionProof");
    bench.sandbox.write("v0.1.json", old.to_string());
    bench
        .sealmark(&["bundle", "inspect", "v0.1.json"])
        .success()
        .stdout_has("sealmark bundle upgrade fetches it");
    upgrade(&["bundle", "upgrade", "v0.1.json", "--out=upgraded.json"]).success();
    verify(&bench, Tool::Cosign3, &log, "upgraded.json", "file.txt").success();
    bench
        .run(Tool::Cosign3)
        .args([
            "bundle",
            "upgrade",
            "v0.1.json",
            "--out=theirs.json",
            "--rekor-url",
            &log.url,
        ])
        .run()
        .success();
    let mut pair = ["upgraded.json", "theirs.json"].map(|name| parsed(&bench.sandbox.read(name)));
    for bundle in &mut pair {
        // The log may have grown in between, and signs its promise anew for cosign; ours is the one of then.
        bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"].take();
        bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"].take();
    }
    assert_eq!(pair[0], pair[1]);
    // An entry that is in another log is not proven by this one.
    old["verificationMaterial"]["tlogEntries"][0]["logIndex"] = "7".into();
    bench.sandbox.write("v0.1.json", old.to_string());
    upgrade(&["bundle", "upgrade", "v0.1.json", "--out=none.json"]).failure();
    assert!(!bench.sandbox.join("none.json").exists());
}

#[test]
fn hostile_files_are_refused() {
    let bench = Bench::new();
    for text in [
        "",
        "{}",
        "null",
        "[]",
        r#"{"mediaType":"x"}"#,
        r#"{"base64Signature":7}"#,
    ] {
        bench.sandbox.write("b.json", text);
        for words in [
            &["bundle", "inspect", "b.json"][..],
            &["bundle", "upgrade", "b.json"],
            &["bundle", "create", "--bundle=b.json", "--ignore-tlog"],
        ] {
            bench.sealmark(words).code(1);
        }
    }
}
