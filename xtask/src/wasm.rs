//! `cargo xtask test --only wasm` and `--only portable`: the ground floor without aws-lc-rs.
//!
//! Invariant: what runs on `wasm32-unknown-unknown` are tests that also run on this machine, from the same source.

use std::path::Path;

use crate::node;
use crate::peers;
use crate::process::cargo;
use crate::process::{self, Outcome};

const TARGET: &str = "wasm32-unknown-unknown";

/// The ground floor: what has the feature `portable`.
const GROUND: [&str; 7] = [
    "--package=sealmark-identity",
    "--package=sealmark-entries",
    "--package=sealmark-formats",
    "--package=sealmark-keys",
    "--package=sealmark-tlog",
    "--package=sealmark-verify",
    "--package=sealmark-x509",
];

/// The ground floor's tests on this machine with the portable engine, also those that compare it with aws-lc-rs.
pub(crate) fn portable(checkout: &Path) -> Outcome<()> {
    let mut clippy = cargo(checkout);
    clippy.arg("clippy").args(GROUND);
    clippy.args([
        "--features=portable",
        "--all-targets",
        "--locked",
        "--quiet",
    ]);
    process::show(clippy.args(["--", "-D", "warnings"]))?;
    let mut test = cargo(checkout);
    test.arg("test").args(GROUND);
    test.args(["--features=portable", "--lib", "--tests", "--locked"]);
    test.env("SEALMARK_PEERS", peers::folder(checkout).join("bin"));
    process::show(test.env("SEALMARK_REQUIRE_PEERS", "1"))
}

/// The ground floor built for WebAssembly, and there, run by node, Wycheproof's vectors and real bundles.
pub(crate) fn test(checkout: &Path) -> Outcome<()> {
    install_target()?;
    let node = process::on_path("node").or_else(|| node::unpacked(&peers::folder(checkout)));
    let Some(node) = node else {
        if std::env::var_os("CI").is_some() {
            return Err("node, which runs the tests for WebAssembly, is not on PATH".into());
        }
        println!("NOT RUN: the tests for WebAssembly, as node is not on PATH; they are only built");
        let mut build = cargo(checkout);
        build.args(["build", "--target", TARGET, "--locked", "--quiet"]);
        return process::show(build.arg("--package=sealmark-verify"));
    };
    let script = checkout.join("xtask/src/wasm/run.mjs");
    let runner = format!(
        "target.{TARGET}.runner=[{:?}, {:?}]",
        node.to_string_lossy(),
        script.to_string_lossy()
    );
    let mut test = cargo(checkout);
    test.args(["test", "--target", TARGET, "--locked", "--quiet"]);
    test.args(["--config", &runner]);
    test.args(["--package=sealmark-keys", "--test=wycheproof"]);
    process::show(test.args(["--package=sealmark-verify", "--test=bundles"]))
}

/// Has Rust's standard library for WebAssembly installed by rustup, if it is not there.
fn install_target() -> Outcome<()> {
    let mut rustc = std::process::Command::new("rustc");
    let folder = process::succeed(rustc.args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if process::on_path("rustup").is_none() {
        return Err(format!(
            "this Rust has no standard library for {TARGET}, and rustup is not on PATH to install it: install rustup, \
             or what the machine's packages call it (Debian: libstd-rust-dev-wasm32)"
        )
        .into());
    }
    process::show(std::process::Command::new("rustup").args(["target", "add", TARGET]))
}
