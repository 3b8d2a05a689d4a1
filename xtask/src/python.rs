//! python-tuf, the reference client of TUF: packages of the Python index, unpacked beside each other.
//!
//! Invariant: what is fetched has the hash of what was looked at. The packages have no compiled code, so that they are
//! the same everywhere; the reference client then checks Ed25519 signatures only, as slowly as Python does.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::process::{self, Outcome};

const VERSION: &str = "7.0.1";

const ALIAS: &str = "python-tuf";

/// Each package's version, and the SHA-256 of its file.
const PACKAGES: [(&str, &str, &str); 3] = [
    (
        "tuf",
        VERSION,
        "d30434bda6e079ab303fb30d1b3006d939a10ca34783b1573d61cd9b802fa45c",
    ),
    (
        "securesystemslib",
        "1.6.0",
        "1c1aa00f058f4851f038d409c8ca4a727db854a91f07ec3a0fa047bb93e43e0e",
    ),
    (
        "urllib3",
        "2.8.0",
        "0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3",
    ),
];

/// Puts `python-tuf` into `.peers/bin`: Python, with the reference client at hand.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin").join(ALIAS);
    if runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    if process::on_path("python3").is_none() {
        return Err(
            "python3 is not on this machine: python-tuf, a client to compare with, needs it".into(),
        );
    }
    let start = Instant::now();
    let name = format!("{ALIAS}-{VERSION}");
    let folder = root.join(&name);
    process::remove_dir(&folder)?;
    let requirements: String = PACKAGES
        .iter()
        .map(|(package, version, hash)| format!("{package}=={version} --hash=sha256:{hash}\n"))
        .collect();
    let list = folder.join("requirements.txt");
    process::write(&list, requirements)?;
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-cache-dir"]);
    command.args(["--no-deps", "--disable-pip-version-check", "--no-compile"]);
    command.args(["--only-binary=:all:", "--require-hashes", "--target"]);
    command.arg(&folder).arg("--requirement").arg(&list);
    process::succeed(&mut command)?;
    let script = format!(
        "#!/bin/sh\n# Written by `cargo xtask peers`.\n\
         peers=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n\
         export PYTHONPATH=\"$peers/{name}\" PYTHONDONTWRITEBYTECODE=1\n\
         exec python3 \"$@\"\n"
    );
    process::write(&program, script)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode)
        .map_err(|error| format!("cannot make {} executable: {error}", program.display()))?;
    if !runs(&program) {
        return Err(format!("{} is not python-tuf {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn runs(program: &Path) -> bool {
    let probe = "import tuf, tuf.ngclient; print(tuf.__version__)";
    program.is_file()
        && process::succeed(Command::new(program).args(["-c", probe]))
            .is_ok_and(|version| version.trim() == VERSION)
}
