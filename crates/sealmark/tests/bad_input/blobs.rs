//! Files, and signatures beside them.

use crate::{Ground, Table};

#[test]
fn a_bundle_or_signature_that_is_none() {
    let ground = Ground::new();
    ground
        .run("sign-blob --key cosign.key --bundle good.json app.txt")
        .success();
    ground
        .run("verify-blob --key cosign.pub --bundle good.json app.txt")
        .success();
    let good = ground.read("good.json");
    ground.write("html.json", "<html></html>");
    ground.write("empty.json", "");
    ground.write("future.json", good.replace("v0.3", "v9.9"));
    ground.write(
        "fields.json",
        r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#,
    );
    ground.write("object.json", "{}");
    ground.write("half.json", r#"{"base64Signature": 1}"#);
    ground.write(
        "statement.json",
        r#"{"predicateType": "x", "predicate": {}}"#,
    );
    ground.write("list.json", "[1, 2]");
    ground.write("deep.json", "[".repeat(100_000));
    ground.write("garbage.sig", [0xff, 0, 0x1b, b'[', b'2', b'J']);
    ground.write("other.txt", "other");
    ground.write("dir/file", "");
    let key = ground.key_id();
    let mut table = Table::default();
    for (bundle, exit, message) in [
        (
            "object.json",
            12,
            "app.txt: its one signature is not good\n  object.json: format: expected a well-formed signature or attestation, found neither a Sigstore bundle, which has a mediaType, nor one of cosign 1 or 2, which has a base64Signature",
        ),
        (
            "half.json",
            12,
            "app.txt: its one signature is not good\n  half.json: format: expected a well-formed signature or attestation, found not a valid legacy blob bundle: invalid type: integer `1`, expected a string at line 1 column 21",
        ),
        (
            "statement.json",
            12,
            "app.txt: its one signature is not good\n  statement.json: format: expected a well-formed signature or attestation, found a statement without a signature; the signed envelope is a file of its own (cosign attest-blob --output-signature)",
        ),
        (
            "html.json",
            12,
            "app.txt: its one signature is not good\n  html.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: it is not a JSON object",
        ),
        (
            "empty.json",
            12,
            "app.txt: its one signature is not good\n  empty.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: EOF while parsing a value at line 1 column 0",
        ),
        (
            "future.json",
            12,
            "app.txt: its one signature is not good\n  future.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: mediaType \"application/vnd.dev.sigstore.bundle.v9.9+json\" is of version 9.9; this program reads 0.1, 0.2 and 0.3",
        ),
        (
            "fields.json",
            12,
            "app.txt: its one signature is not good\n  fields.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: verificationMaterial is missing",
        ),
        (
            "list.json",
            12,
            "app.txt: its one signature is not good\n  list.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: it is not a JSON object",
        ),
        (
            "deep.json",
            12,
            "app.txt: its one signature is not good\n  deep.json: format: expected a well-formed signature or attestation, found not a valid Sigstore bundle: it is not a JSON object",
        ),
        (
            "missing.json",
            1,
            "cannot read missing.json: No such file or directory (os error 2)",
        ),
        ("dir", 1, "cannot read dir: Is a directory (os error 21)"),
    ] {
        let line = format!("verify-blob --key cosign.pub --bundle {bundle} app.txt");
        table.expect(bundle, ground.sealmark(&line), exit, message);
    }
    for (what, line, exit, message) in [
        (
            "another file",
            "--bundle good.json other.txt",
            12,
            "other.txt: its one signature is not good\n  good.json: signature: expected a signature over this file, sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa, found a signature over another file, sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        ),
        (
            "a missing file",
            "--bundle good.json missing.txt",
            1,
            "cannot read missing.txt: No such file or directory (os error 2)",
        ),
        (
            "a directory",
            "--bundle good.json dir",
            1,
            "cannot read dir: Is a directory (os error 21)",
        ),
        (
            "garbage",
            "--signature garbage.sig app.txt",
            12,
            "app.txt: its one signature is not good\n  --signature: signature: expected a signature by key KEY (ecdsa-p256), found the signature does not match: it was made with another key, or over other data (tried ECDSA P-256 with SHA-256)",
        ),
        (
            "neither file nor base64",
            "--signature no-such-file app.txt",
            1,
            "--signature no-such-file: no such file, and not base64 either",
        ),
        (
            "no signature",
            "app.txt",
            1,
            "give the signature with --bundle FILE or --signature FILE",
        ),
        (
            "both",
            "--bundle good.json --signature garbage.sig app.txt",
            1,
            "the argument '--bundle <FILE>' cannot be used with '--signature <FILE|BASE64>'\n\nUsage: sealmark verify-blob --key <KEY> --bundle <FILE> <FILE>\n\nFor more information, try '--help'.",
        ),
    ] {
        let line = format!("verify-blob --key cosign.pub {line}");
        let message = message.replace("KEY (", &format!("{key} ("));
        table.expect(what, ground.sealmark(&line), exit, &message);
    }
}

#[test]
fn files_that_cannot_be_signed() {
    let ground = Ground::new();
    ground.write("two.txt", "two");
    ground.write("dir/file", "");
    ground.write("pae", "DSSEv1 28 application/vnd.in-toto+json 2 {}");
    let mut table = Table::default();
    for (what, line, message) in [
        (
            "missing",
            "missing.txt",
            "cannot read missing.txt to sign it: No such file or directory (os error 2)",
        ),
        (
            "an envelope's claims",
            "pae",
            "pae is what the signature of a DSSE envelope is over: signing it as a file would make a good attestation of whatever is in it",
        ),
        (
            "directory",
            "dir",
            "cannot read dir to sign it: Is a directory (os error 21)",
        ),
        (
            "two files, one bundle",
            "--bundle b.json app.txt two.txt",
            "each file needs a bundle of its own: with several files write --bundle with {} for a file's name, e.g. --bundle {}.sigstore.json",
        ),
        (
            "two files, one signature",
            "--output-signature b.sig app.txt two.txt",
            "--output-signature names one file, so it goes with one file",
        ),
        (
            "two files, one is stdin",
            "app.txt -",
            "- goes alone: it has no name to call its bundle by",
        ),
        (
            "a bundle in a folder that is not there",
            "--bundle none/b.json app.txt",
            "cannot write none/b.json: No such file or directory (os error 2)",
        ),
    ] {
        let line = format!("sign-blob --key cosign.key {line}");
        table.expect(what, ground.sealmark(&line), 1, message);
    }
    assert!(!ground.exists("b.json") && !ground.exists("b.sig"));
}
