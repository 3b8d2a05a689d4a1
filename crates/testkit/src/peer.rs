//! Finding the programs of other projects.
//!
//! Invariant: a missing peer is never silent. It is printed, and where peers are required it fails the test.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder with the peers. `cargo xtask test` sets it.
const FOLDER: &str = "SEALMARK_PEERS";

/// Set to `1` where a skipped test is a failed test, as in CI.
const REQUIRE: &str = "SEALMARK_REQUIRE_PEERS";

/// The peers that a machine's own copy can stand for: their version does not matter to any test.
const SYSTEM: [&str; 2] = ["git", "openssl"];

/// A program of another project that tests run.
#[derive(Debug)]
pub struct Peer;

impl Peer {
    /// The folder where `cargo xtask peers` puts programs: `$SEALMARK_PEERS`, or `.peers/bin` in the checkout.
    pub fn folder() -> PathBuf {
        match std::env::var_os(FOLDER) {
            Some(folder) => folder.into(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.peers/bin"),
        }
    }

    /// The program with this name: `cosign3`, `cosign2`, `rekor-cli`, `rekor-tiles` (its server on a directory), `oras`,
    /// `skopeo`, `umoci`, `docker-registry`, `openssl`, `git`, `go`, `gitsign`, `bao` (OpenBao), `softhsm2-util`, `libsofthsm2.so`,
    /// `pkcs11-tool`, `localstack`, `sigstore-python`, `python-sigstore` (Python with what sigstore-python is made of),
    /// `python-tuf` (with the reference client of TUF), `python-grpc`, `syft`, `python-sbom` (with judges of SBOMs),
    /// `node-sigstore` (node with Sigstore's packages and oidc-provider).
    pub fn find(name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").filter(|_| SYSTEM.contains(&name));
        let mut folders = vec![Self::folder()];
        folders.extend(std::env::split_paths(&path.unwrap_or_default()));
        folders
            .into_iter()
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    }

    /// Whether a missing peer fails a test instead of skipping it.
    pub fn required() -> bool {
        std::env::var_os(REQUIRE).is_some_and(|value| value == "1")
    }
}

/// Says that a test is skipped because `name` is missing.
///
/// # Panics
///
/// Where `SEALMARK_REQUIRE_PEERS=1` says that nothing may be skipped.
pub fn skip(name: &str) {
    let folder = Peer::folder();
    let folder = folder.display();
    assert!(
        !Peer::required(),
        "{name} is required but not in {folder}: run `cargo xtask peers`"
    );
    let line = format!("skipped: {name} not found (looked in {folder}; run `cargo xtask peers`)\n");
    // Written past the test harness, which hides what a passing test prints.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The path of a peer; without the peer, the test says so and returns.
///
/// `require_or_skip!("oras")` returns `()` from the test, `require_or_skip!("oras", Ok(()))` another value.
#[macro_export]
macro_rules! require_or_skip {
    ($name:expr) => {
        $crate::require_or_skip!($name, ())
    };
    ($name:expr, $otherwise:expr) => {
        match $crate::Peer::find($name) {
            Some(path) => path,
            None => {
                $crate::skip($name);
                return $otherwise;
            }
        }
    };
}
