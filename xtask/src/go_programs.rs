//! rekor-tiles: Sigstore's own log of version 2, built from the Go module proxy.
//!
//! Invariant: the version is the one that was looked at; Go checks what it downloads against the checksum database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers::{self, Archive};
use crate::process::{self, Outcome};

/// Of the module. The next ones need a newer Go than most machines have.
pub(crate) const VERSION: &str = "2.3.0";

const PACKAGE: &str = "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix";

/// The first minor version of Go that builds it for sure.
const MINOR: u32 = 26;

/// Where the machine has no such Go: this one of Debian's unstable suite.
const DEBIAN: &str = "golang-1.27";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "rekor-tiles";

/// Puts `rekor-tiles` into `.peers/bin`; its path.
pub(crate) fn fetch(checkout: &Path) -> Outcome<PathBuf> {
    let root = peers::folder(checkout);
    let _lock = peers::lock(&root)?;
    fetch_in(&root, &mut None)
}

/// As [`fetch`], for whoever holds the lock.
pub(crate) fn fetch_in(root: &Path, archive: &mut Option<Archive>) -> Outcome<PathBuf> {
    let program = root.join("bin").join(ALIAS);
    if runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(program);
    }
    let start = Instant::now();
    install(root, archive).map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    if !runs(&program) {
        return Err(format!("{} is not rekor-tiles {VERSION}", program.display()).into());
    }
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(program)
}

fn install(root: &Path, archive: &mut Option<Archive>) -> Outcome<()> {
    let name = format!("{ALIAS}-{VERSION}");
    // Everything of Go's that is needed for the build, and only for it.
    let work = root.join(format!("{ALIAS}.part"));
    process::create_dir(&work)?;
    let go = match go_on_path() {
        Some(go) => go,
        None => go_of_debian(root, archive)?,
    };
    let go = |arguments: &[&str]| {
        let mut command = Command::new(&go);
        command
            .args(arguments)
            .env("GOBIN", work.join("bin"))
            .env("GOPATH", &work)
            .env("GOCACHE", work.join("cache"))
            // No C compiler is needed then.
            .env("CGO_ENABLED", "0")
            .env_remove("GOROOT")
            .current_dir(&work);
        process::succeed(&mut command)
    };
    go(&["install", "-trimpath", &format!("{PACKAGE}@v{VERSION}")])?;
    let folder = root.join(&name);
    process::remove_dir(&folder)?;
    process::rename(&work.join("bin"), &folder)?;
    // The modules are read-only, so Go removes them itself.
    go(&["clean", "-modcache"])?;
    process::remove_dir(&work)?;
    let bin = root.join("bin");
    process::create_dir(&bin)?;
    let program = PACKAGE.rsplit('/').next().unwrap_or(PACKAGE);
    peers::link(&Path::new("..").join(&name).join(program), &bin.join(&name))?;
    peers::link(Path::new(&name), &bin.join(ALIAS))
}

/// The machine's own, if it is new enough.
fn go_on_path() -> Option<PathBuf> {
    let go = process::on_path("go")?;
    let version = process::succeed(Command::new(&go).args(["env", "GOVERSION"])).ok()?;
    (minor(&version)? >= MINOR).then_some(go)
}

/// `26` of `go1.26.8`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.trim().strip_prefix("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Debian's, out of two packages: the links from one into the other lead somewhere only in one folder.
fn go_of_debian(root: &Path, archive: &mut Option<Archive>) -> Outcome<PathBuf> {
    let archive = match archive {
        Some(archive) => archive,
        empty => empty.insert(Archive::open(root)?),
    };
    let folder = root.join(DEBIAN);
    let go = folder
        .join("usr/lib")
        .join(DEBIAN.replace("lang", ""))
        .join("bin/go");
    if go.is_file() {
        return Ok(go);
    }
    process::remove_dir(&folder)?;
    for part in ["go", "src"] {
        let package = archive.unpack_from("sid", &format!("{DEBIAN}-{part}"))?;
        let mut copy = Command::new("cp");
        process::create_dir(&folder)?;
        process::succeed(
            copy.args(["-a", "--link"])
                .arg(package.tree.join("usr"))
                .arg(&folder),
        )?;
    }
    Ok(go)
}

fn runs(program: &Path) -> bool {
    program.is_file()
        && process::succeed(Command::new(program).args(["version", "--json"]))
            .is_ok_and(|text| text.contains(VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_says_how_new_it_is() {
        for (version, expected) in [
            ("go1.26.8\n", Some(26)),
            ("go1.27rc1", Some(27)),
            ("go1.9", Some(9)),
            ("devel go1.28-abcdef", None),
            ("", None),
        ] {
            assert_eq!(minor(version), expected, "{version}");
        }
    }
}
