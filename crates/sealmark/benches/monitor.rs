//! How fast `log monitor` reads a Rekor v2: `serve` and the monitor on one machine, over loopback.
//!
//! `cargo bench -p sealmark --bench monitor [-- ENTRIES]`. It prints entries a second, from start to end of the
//! process, and the most memory that it had.

#[path = "../tests/log_monitor/filled.rs"]
mod filled;

use std::path::Path;
use std::time::Instant;

use filled::fill;
use sealmark_formats::log_entry::{EntrySignature, Verifier, hashedrekord_v2_body};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_testkit::{Sandbox, Server};
use sealmark_virtual::{By, Identity, Signed, VirtualSigstore, What};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// As many different certificates; a log has about one for each entry.
const CERTIFICATES: usize = 1000;

fn main() {
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let count = count.unwrap_or(100_000);
    let sandbox = Sandbox::new();
    let directory = sandbox.join("log");
    let (server, _) = serve(&sandbox, &directory);
    assert!(server.terminate().success());
    fill(&directory, "127.0.0.1", bodies(count));
    let (server, url) = serve(&sandbox, &directory);
    let length = bodies(1).next().map_or(0, |body| body.len());
    println!("entries of {length} bytes");
    let identity = "https://github.com/acme/app-7/.github/workflows/release.yml@refs/heads/main";
    for (what, words) in [
        ("one identity", vec!["--identity", identity]),
        ("a pattern", vec!["--identity-regexp", "app-7/.*release"]),
        (
            "a digest",
            vec![
                "--digest",
                "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            ],
        ),
    ] {
        for run in 1..=3 {
            let state = format!("{}-{run}.json", words[0].trim_start_matches('-'));
            let started = Instant::now();
            let program = sandbox
                .command("/usr/bin/time")
                .args(["-f", "%M", SEALMARK, "log", "monitor"])
                .args(["--rekor-url", &url, "--log-version", "2"])
                .arg("--trusted-root")
                .arg(directory.join("trusted_root.json"))
                .args(["--from", "0", "--output", "json", "--state", &state])
                .args(&words);
            let finished = program.run().success();
            let seconds = started.elapsed().as_secs_f64();
            let (text, errors) = (finished.stdout(), finished.stderr());
            let found = text
                .lines()
                .filter(|line| line.contains("\"match\""))
                .count();
            let memory = errors.lines().last().unwrap_or_default();
            println!(
                "{what}: {count} entries in {seconds:.2} s, {:.0} a second; {found} found; at most {memory} KiB",
                count as f64 / seconds
            );
        }
    }
    assert!(server.terminate().success());
}

fn serve(sandbox: &Sandbox, directory: &Path) -> (Server, String) {
    let program = sandbox
        .command(SEALMARK)
        .args(["serve", "--only", "log", "--listen", "127.0.0.1:0", "--dir"])
        .arg(directory);
    program.serve(|line| {
        let (_, rest) = line.split_once("transparency log at ")?;
        rest.split(' ').next().map(str::to_owned)
    })
}

/// Entries with certificates as workflows get them from Fulcio.
fn bodies(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let sigstore = VirtualSigstore::new();
    let signed: Vec<Signed> = (0..CERTIFICATES)
        .map(|number| {
            let workflow = format!(
                "https://github.com/acme/app-{number}/.github/workflows/release.yml@refs/heads/main"
            );
            let who = Identity::uri(&workflow, ISSUER);
            sigstore.sign_only(What::File(b"content"), By::Identity(&who))
        })
        .collect();
    (0..count).map(move |number| {
        let signed = &signed[number % CERTIFICATES];
        let certificate = signed.certificate.as_ref().expect("identities have one");
        let signature = EntrySignature {
            signature: Some(signed.signature().to_vec()),
            verifier: Verifier::Certificate(certificate.der().to_vec()),
            key_details: Some("PKIX_ECDSA_P256_SHA_256".to_owned()),
        };
        let digest = Digest::of(HashAlgorithm::Sha256, &number.to_be_bytes());
        hashedrekord_v2_body(&digest, &signature).expect("it is an entry")
    })
}
