//! What the integration tests share: fixtures, and commands that may be missing.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sealmark_keys::{Error, PrivateKey};
use zeroize::Zeroizing;

pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Reads a key file with a password.
pub fn open(file: &[u8], password: &str) -> Result<PrivateKey, Error> {
    PrivateKey::from_pem(file, || Ok(Zeroizing::new(password.as_bytes().to_vec())))
}

/// Reads a key file that needs no password.
pub fn open_plain(file: &[u8]) -> Result<PrivateKey, Error> {
    PrivateKey::from_pem(file, || panic!("asked for a password"))
}

/// Whether a peer is there; says so if not.
pub fn found(program: &str) -> bool {
    let found = sealmark_testkit::Peer::find(program).is_some();
    if !found {
        sealmark_testkit::skip(program);
    }
    found
}

pub fn run(program: &str, dir: &Path, args: &[&str]) -> Output {
    let path = sealmark_testkit::Peer::find(program).expect("the caller looked for it");
    Command::new(path)
        .args(args)
        .current_dir(dir)
        .env("COSIGN_PASSWORD", "secret")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} {args:?}: {error}"))
}

pub fn succeed(program: &str, dir: &Path, args: &[&str]) -> String {
    let output = run(program, dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr
}
