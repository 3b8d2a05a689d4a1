//! gRPC's own client for Python, and Sigstore's messages as its project publishes them: who checks our field numbers
//! and our framing must not have them from us.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::process::{self, Outcome};
use crate::sigstore_python::install;

const VERSION: &str = "1.85.1";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "python-grpc";

/// What the tests' client imports, and what that needs.
const PACKAGES: [&str; 14] = [
    "annotated-types==0.8.0",
    "betterproto==2.0.0b7",
    "grpcio==1.85.1",
    "grpcio-health-checking==1.85.1",
    "grpcio-reflection==1.85.1",
    "grpclib==0.4.9",
    "protobuf==7.36.2",
    "pydantic==2.14.3",
    "pydantic_core==2.50.4",
    "python-dateutil==2.9.0.post0",
    "sigstore-protobuf-specs==0.5.2",
    "six==1.17.0",
    "typing-inspection==0.4.5",
    "typing_extensions==4.16.0",
];

/// Puts `python-grpc` into `.peers/bin`: Python, with the client at hand.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin").join(ALIAS);
    if runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    if process::on_path("python3").is_none() {
        return Err(format!("cannot get {ALIAS}: python3 is not on this machine").into());
    }
    let start = Instant::now();
    install(root, ALIAS, VERSION, &PACKAGES, "")
        .map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    if !runs(&program) {
        return Err(format!("{} does not have grpcio {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn runs(program: &Path) -> bool {
    let probe = "import grpc, grpc_health, grpc_reflection, sigstore_protobuf_specs; print(grpc.__version__)";
    program.is_file()
        && process::succeed(Command::new(program).args(["-c", probe]))
            .is_ok_and(|version| version.trim() == VERSION)
}
