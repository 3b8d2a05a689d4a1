//! sigstore-python: packages of the Python index, unpacked beside each other.
//!
//! Invariant: every package has the version that was looked at. They are compiled for the Python that unpacked them,
//! which the script in `.peers/bin` therefore names, and their byte code is there before the first run is measured.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};

const VERSION: &str = "4.5.1";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "sigstore-python";

/// What sigstore-python needs, itself included.
const PACKAGES: [&str; 29] = [
    "annotated-types==0.8.0",
    "certifi==2026.10.18",
    "cffi==2.1.1",
    "charset-normalizer==3.5.2",
    "cryptography==50.0.2",
    "dnspython==2.9.2",
    "email-validator==2.4.0",
    "id==1.6.1",
    "idna==3.20",
    "markdown-it-py==4.3.0",
    "mdurl==0.1.2",
    "platformdirs==4.14.7",
    "pycparser==3.12",
    "pydantic==2.14.3",
    "pydantic_core==2.50.4",
    "Pygments==2.21.0",
    "PyJWT==2.15.1",
    "requests==2.34.2",
    "rfc3161-client==1.0.9",
    "rfc8785==0.1.4",
    "rich==15.0.0",
    "securesystemslib==1.6.0",
    "sigstore==4.5.1",
    "sigstore-models==0.0.6",
    "sigstore-rekor-types==0.0.18",
    "tuf==7.0.1",
    "typing-inspection==0.4.5",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
];

/// Puts `sigstore-python` into `.peers/bin`.
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
    install(root, ALIAS, VERSION, &PACKAGES, "-m sigstore ")
        .map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    if !runs(&program) {
        return Err(format!("{} is not sigstore-python {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Unpacks packages, which may have compiled code, and puts a script `alias` into `.peers/bin`: the Python that unpacked
/// them, with these first arguments.
pub(crate) fn install(
    root: &Path,
    alias: &str,
    version: &str,
    packages: &[&str],
    arguments: &str,
) -> Outcome<()> {
    let name = format!("{alias}-{version}");
    let folder = root.join(&name);
    process::remove_dir(&folder)?;
    let mut which = Command::new("python3");
    let python = process::succeed(which.args(["-c", "import sys; print(sys.executable)"]))?;
    let mut command = Command::new(python.trim());
    command.args(["-m", "pip", "install", "--quiet", "--no-cache-dir"]);
    command.args(["--no-deps", "--disable-pip-version-check", "--compile"]);
    command.args(["--only-binary=:all:", "--target"]);
    process::succeed(command.arg(&folder).args(packages))?;
    let script = format!(
        "#!/bin/sh\n# Written by `cargo xtask`.\n\
         peers=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n\
         export PYTHONPATH=\"$peers/{name}\"\n\
         exec \"{}\" {arguments}\"$@\"\n",
        python.trim()
    );
    let bin = root.join("bin");
    let file = bin.join(&name);
    process::write(&file, script)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode)
        .map_err(|error| format!("cannot make {} executable: {error}", file.display()))?;
    peers::link(Path::new(&name), &bin.join(alias))
}

fn runs(program: &Path) -> bool {
    program.is_file()
        && process::succeed(Command::new(program).arg("--version"))
            .is_ok_and(|text| text.trim() == format!("sigstore {VERSION}"))
}
