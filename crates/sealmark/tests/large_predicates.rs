//! A predicate of 100 MiB is attested and verified in memory of a small multiple of its size, as a file and as an
//! attachment, and its log entry is made of its digest.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use bench::{Bench, Registries};
use nix::sys::resource::{UsageWho, getrusage};
use sealmark_testkit::images;

const MIB: usize = 1 << 20;

/// A document of this many bytes with some of everything: an SBOM, as far as its format's table goes.
fn write_sbom(path: &Path, size: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut written = 0;
    let mut write = |text: &str| {
        file.write_all(text.as_bytes()).unwrap();
        written += text.len();
        written
    };
    write(r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":["#);
    let text = "a licence that goes on and on, ".repeat(1000);
    let mut number = 0;
    loop {
        let comma = if number == 0 { "" } else { "," };
        let component = format!(
            r#"{comma}{{"type":"library","name":"package-{number}","version":"1.{number}","purl":"pkg:npm/package-{number}@1","licenses":[{{"license":{{"name":"own","text":{{"content":"{text}"}}}}}}]}}"#
        );
        number += 1;
        if write(&component) + component.len() + 2 > size {
            break;
        }
    }
    write("]}");
    file.flush().unwrap();
}

/// The most memory that any of the programs that ran so far had, in MiB.
fn peak() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024
}

#[test]
fn memory_is_a_small_multiple_of_the_predicate() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench.sandbox.write("app.txt", "hello");
    let size = 100;
    write_sbom(&bench.sandbox.join("sbom.json"), size * MIB);
    let size = i64::try_from(size).unwrap();

    // The statement and the bundle around it, which is its four thirds; then the bundle and the statement that is verified.
    bench
        .sealmark(&[
            "attest-blob",
            "--key",
            "alice.key",
            "--predicate",
            "sbom.json",
            "--bundle",
            "sbom.bundle",
            "app.txt",
        ])
        .success()
        .stderr_has("warning: 99 MiB are more than cosign reads of an attestation");
    let attested = peak();
    assert!(attested < size * 3, "{attested} MiB to attest {size} MiB");

    let verify = [
        "verify-blob-attestation",
        "--key",
        "alice.pub",
        "--type",
        "cyclonedx",
    ];
    let of = ["--bundle", "sbom.bundle", "app.txt"];
    bench.sealmark(&[&verify[..], &of].concat()).success();
    let verified = peak();
    assert!(verified < size * 3, "{verified} MiB to verify {size} MiB");

    // Of an image the predicate itself is kept, too: there may be more images that it is said of.
    let Some(images) = images() else { return };
    let registries = Registries::start();
    let image = format!("{}/app:v1", registries.addresses()[0]);
    assert!(images.push(&bench.sandbox, images.single, &image));
    bench
        .sealmark(&[
            "attest",
            "--key",
            "alice.key",
            "--predicate",
            "sbom.json",
            &image,
        ])
        .success();
    let attached = peak();
    assert!(attached < size * 4, "{attached} MiB to attach {size} MiB");
    bench
        .sealmark(&[
            "verify-attestation",
            "--key",
            "alice.pub",
            "--type",
            "cyclonedx",
            &image,
        ])
        .success();
    let read = peak();
    assert!(read < size * 4, "{read} MiB to read {size} MiB");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_signed() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench.sandbox.write("app.txt", "hello");
    let file = File::create(bench.sandbox.join("huge.json")).unwrap();
    file.set_len(129 << 20).unwrap();
    bench
        .sealmark(&[
            "attest-blob",
            "--key",
            "alice.key",
            "--predicate",
            "huge.json",
            "app.txt",
        ])
        .code(1)
        .stderr_has("huge.json is larger than 128 MiB");
}
