//! `serve --only log` takes packages, timestamps and other people's signed messages, as rekor-cli uploads them.
//!
//! The inputs are those of `crates/entries/tests/fixtures/rekor`, where Rekor's own answers are, too.

mod bench;

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::{Bench, SEALMARK, have};
use sealmark_testkit::{Program, Server};
use serde_json::Value;

/// A proposed entry of the fixtures.
fn proposed(name: &str) -> Value {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../entries/tests/fixtures/rekor/"
    );
    let json = std::fs::read(format!("{folder}{name}.json")).expect("the fixture is there");
    let case: Value = serde_json::from_slice(&json).expect("the fixture is JSON");
    case["proposed"].clone()
}

fn start(bench: &Bench) -> (Server, String) {
    let program = bench.sandbox.command(SEALMARK);
    let program = program.args(["serve", "--only", "log", "--listen", "127.0.0.1:0"]);
    program
        .arg("--dir")
        .arg(bench.sandbox.join("log"))
        .serve(|line| {
            let (_, rest) = line.split_once("transparency log at ")?;
            rest.split(' ').next().map(str::to_owned)
        })
}

fn rekor(bench: &Bench, url: &str, words: &[&str]) -> Program {
    let program = bench.peer("rekor-cli").args(words);
    program.args(["--rekor_server", url])
}

/// One kind, as rekor-cli uploads it.
struct Upload<'a> {
    fixture: &'static str,
    kind: &'static str,
    /// Its name for what is in the entry.
    object: &'static str,
    words: &'a [&'a str],
    /// The artifact, and then the key: files, by the place of their content in the fixture.
    files: &'a [(&'static str, &'static str)],
}

#[test]
fn rekor_cli_uploads_finds_and_verifies_each_kind() {
    if !have(&["rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    let (server, url) = start(&bench);
    let aad = proposed("cose-es256-aad")["spec"]["data"]["aad"].clone();
    let aad = aad.as_str().expect("the fixture has some");
    let cases = [
        Upload {
            fixture: "jar-p256",
            kind: "jar",
            object: "JARModel",
            words: &["--artifact", "p.jar"],
            files: &[("p.jar", "/spec/archive/content")],
        },
        Upload {
            fixture: "alpine-package",
            kind: "alpine",
            object: "AlpineModel",
            words: &["--artifact", "p.apk", "--public-key", "apk.pub"],
            files: &[
                ("p.apk", "/spec/package/content"),
                ("apk.pub", "/spec/publicKey/content"),
            ],
        },
        Upload {
            fixture: "cose-es256-aad",
            kind: "cose",
            object: "CoseObj",
            words: &[
                "--artifact",
                "m.cose",
                "--public-key",
                "cose.pub",
                "--aad",
                aad,
            ],
            files: &[("m.cose", "/spec/message"), ("cose.pub", "/spec/publicKey")],
        },
        Upload {
            fixture: "rfc3161-p256",
            kind: "rfc3161",
            object: "Rfc3161Obj",
            words: &["--artifact", "t.tsr"],
            files: &[("t.tsr", "/spec/tsr/content")],
        },
    ];
    for (index, upload) in cases.into_iter().enumerate() {
        let Upload {
            fixture,
            kind,
            object,
            words,
            files,
        } = upload;
        let entry = proposed(fixture);
        for (name, place) in files {
            let content = entry.pointer(place).and_then(Value::as_str);
            let content = STANDARD.decode(content.expect(place)).expect(place);
            bench.sandbox.write(name, content);
        }
        let words = [&["--type", kind, "--pki-format", "x509"], words].concat();
        let uploaded = rekor(&bench, &url, &["upload"]).args(&words).run();
        let location = uploaded.success().stdout();
        assert!(
            location.contains(&format!("Created entry at index {index}")),
            "{location}"
        );
        let uuid = location
            .trim()
            .rsplit('/')
            .next()
            .expect("a path")
            .to_owned();
        rekor(&bench, &url, &["upload"])
            .args(&words)
            .run()
            .success()
            .stdout_has("Entry already exists");
        rekor(&bench, &url, &["get", "--log-index", &index.to_string()])
            .run()
            .success()
            .stdout_has(object)
            .stdout_has(&uuid);
        rekor(&bench, &url, &["verify"])
            .args(&words)
            .run()
            .success()
            .stdout_has(&format!("Entry Index in Current Tree: {index}"));
        let found_by = [
            Some(("--artifact", files[0].0)),
            files.get(1).map(|it| ("--public-key", it.0)),
        ];
        for (flag, file) in found_by.into_iter().flatten() {
            rekor(
                &bench,
                &url,
                &["search", "--pki-format", "x509", flag, file],
            )
            .run()
            .success()
            .stdout_has(&uuid);
        }
    }
    rekor(&bench, &url, &["loginfo"])
        .run()
        .success()
        .stdout_has("Verification Successful!");
    assert!(server.terminate().success());
}

/// What rekor-cli would not send, or not in the packages that there are of it.
#[test]
fn entries_are_taken_or_refused_with_the_reason() {
    let bench = Bench::new();
    let (server, url) = start(&bench);
    let address = url.strip_prefix("http://").expect("a server without TLS");
    for (fixture, status, words) in [
        ("tuf-timestamp", 201, "logIndex"),
        ("tuf-timestamp", 409, "an equivalent entry already exists"),
        (
            "tuf-bad-threshold",
            400,
            "valid signatures did not meet threshold",
        ),
        ("jar-bad-loose-block", 400, "several signature blocks"),
        ("jar-bad-large-metadata", 400, "exceeds max allowed size"),
        ("alpine-bad-control-large", 400, "exceeds max allowed size"),
        ("cose-bad-signature", 400, "verification error"),
        ("rfc3161-bad-no-certificate", 400, "which is not in it"),
        ("jar-bad-hash-algorithm", 422, "should be one of [sha256]"),
    ] {
        let body = proposed(fixture).to_string();
        let mut stream = TcpStream::connect(address).expect("the log listens");
        let head = format!(
            "POST /api/v1/log/entries HTTP/1.1\r\nhost: log\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("the log listens");
        stream.write_all(body.as_bytes()).expect("the log listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the log answers");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(words),
            "{fixture}: {answer}"
        );
    }
    assert!(server.terminate().success());
}
