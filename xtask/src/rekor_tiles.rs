//! rekor-tiles: Sigstore's own log of version 2, built from the Go module proxy.
//!
//! Invariant: the version is the one that was looked at; Go checks what it downloads against the checksum database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};

/// Of the module. The next ones need a newer Go than most machines have.
pub(crate) const VERSION: &str = "2.3.0";

const PACKAGE: &str = "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "rekor-tiles";

/// Puts `rekor-tiles` into `.peers/bin`; its path.
pub(crate) fn fetch(checkout: &Path) -> Outcome<PathBuf> {
    let root = peers::folder(checkout);
    let _lock = peers::lock(&root)?;
    fetch_in(&root)
}

/// As [`fetch`], for whoever holds the lock.
pub(crate) fn fetch_in(root: &Path) -> Outcome<PathBuf> {
    let program = root.join("bin").join(ALIAS);
    if runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(program);
    }
    let start = Instant::now();
    install(root).map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    if !runs(&program) {
        return Err(format!("{} is not rekor-tiles {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(program)
}

fn install(root: &Path) -> Outcome<()> {
    let go = process::on_path("go").ok_or("go is not on this machine")?;
    let folder = root.join(format!("{ALIAS}-{VERSION}"));
    process::create_dir(&folder)?;
    let mut command = Command::new(go);
    command
        .args(["install", "-trimpath", &format!("{PACKAGE}@v{VERSION}")])
        .env("GOBIN", &folder)
        .current_dir(&folder);
    process::succeed(&mut command)?;
    let bin = root.join("bin");
    process::create_dir(&bin)?;
    let name = format!("{ALIAS}-{VERSION}");
    peers::link(&Path::new("..").join(&name).join("posix"), &bin.join(&name))?;
    peers::link(Path::new(&name), &bin.join(ALIAS))
}

fn runs(program: &Path) -> bool {
    program.is_file()
        && process::succeed(Command::new(program).args(["version", "--json"]))
            .is_ok_and(|text| text.contains(VERSION))
}
