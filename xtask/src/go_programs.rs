//! Sigstore's own servers, built from the Go module proxy: rekor-tiles (the log of version 2), Fulcio (the certificate
//! authority), and the timestamp authority.
//!
//! Invariant: the version is the one that was looked at; Go checks what it downloads against the checksum database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers::{self, Archive};
use crate::process::{self, Outcome};

/// A program of a Go module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoProgram {
    /// The name in `.peers/bin` that never changes.
    pub(crate) alias: &'static str,
    /// Of the module.
    pub(crate) version: &'static str,
    package: &'static str,
    /// Prints the version.
    version_words: &'static [&'static str],
}

/// The next versions need a newer Go than most machines have.
pub(crate) const REKOR_TILES: GoProgram = GoProgram {
    alias: "rekor-tiles",
    version: "2.3.0",
    package: "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
    version_words: &["version", "--json"],
};

/// For benchmarks alone.
pub(crate) const FULCIO: GoProgram = GoProgram {
    alias: "fulcio",
    version: "1.8.8",
    package: "github.com/sigstore/fulcio",
    version_words: &["version", "--json"],
};

/// For benchmarks alone. The next versions need a newer Go than most machines have.
pub(crate) const TIMESTAMP_SERVER: GoProgram = GoProgram {
    alias: "timestamp-server",
    version: "2.0.6",
    package: "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    version_words: &["version", "--json"],
};

/// The first minor version of Go that builds them for sure.
const MINOR: u32 = 26;

/// Where the machine has no such Go: this one of Debian's unstable suite.
const DEBIAN: &str = "golang-1.27";

impl GoProgram {
    /// Puts the program into `.peers/bin`; its path.
    pub(crate) fn fetch(self, checkout: &Path) -> Outcome<PathBuf> {
        let root = peers::folder(checkout);
        let _lock = peers::lock(&root)?;
        self.fetch_in(&root, &mut None)
    }

    /// As [`fetch`](Self::fetch), for whoever holds the lock.
    pub(crate) fn fetch_in(self, root: &Path, archive: &mut Option<Archive>) -> Outcome<PathBuf> {
        let Self { alias, version, .. } = self;
        let program = root.join("bin").join(alias);
        if self.runs(&program) {
            println!("{alias:<16} {version} (was there)");
            return Ok(program);
        }
        let start = Instant::now();
        self.install(root, archive)
            .map_err(|error| format!("cannot get {alias} {version}: {error}"))?;
        if !self.runs(&program) {
            return Err(format!("{} is not {alias} {version}", program.display()).into());
        }
        println!(
            "{alias:<16} {version} ({:.1} s)",
            start.elapsed().as_secs_f32()
        );
        Ok(program)
    }

    fn runs(self, program: &Path) -> bool {
        program.is_file()
            && process::succeed(Command::new(program).args(self.version_words))
                .is_ok_and(|text| text.contains(self.version))
    }

    fn install(self, root: &Path, archive: &mut Option<Archive>) -> Outcome<()> {
        let Self {
            alias,
            version,
            package,
            ..
        } = self;
        let name = format!("{alias}-{version}");
        // Everything of Go's that is needed for the build, and only for it.
        let work = root.join(format!("{alias}.part"));
        process::create_dir(&work)?;
        let go = go(root, archive)?;
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
        go(&["install", "-trimpath", &format!("{package}@v{version}")])?;
        let folder = root.join(&name);
        process::remove_dir(&folder)?;
        process::rename(&work.join("bin"), &folder)?;
        // The modules are read-only, so Go removes them itself.
        go(&["clean", "-modcache"])?;
        process::remove_dir(&work)?;
        let bin = root.join("bin");
        process::create_dir(&bin)?;
        let program = package.rsplit('/').next().unwrap_or(package);
        peers::link(&Path::new("..").join(&name).join(program), &bin.join(&name))?;
        peers::link(Path::new(&name), &bin.join(alias))
    }
}

/// Puts the program `go` into `.peers/bin`, for tests that ask it about programs; its path.
pub(crate) fn go(root: &Path, archive: &mut Option<Archive>) -> Outcome<PathBuf> {
    let found = match go_on_path() {
        Some(go) => go,
        None => go_of_debian(root, archive)?,
    };
    let bin = root.join("bin");
    process::create_dir(&bin)?;
    let link = bin.join("go");
    peers::link(&found, &link)?;
    Ok(link)
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
