//! What is in a release, and its checksums.
//!
//! Invariant: the files are a function of the program, the commit and the tools; packing it twice gives the same bytes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Commit, crates};
use crate::process::{self, Outcome};

/// The checksums' file.
pub(super) const SUMS: &str = "SHA256SUMS";
/// What the release is, for machines.
const FACTS: &str = "release.json";
/// Where shells look for completions, by their names.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "sealmark.bash"),
    ("elvish", "sealmark.elv"),
    ("fish", "sealmark.fish"),
    ("powershell", "sealmark.ps1"),
    ("zsh", "_sealmark"),
];

/// Writes all but the signatures into `folder`.
pub(super) fn pack(
    checkout: &Path,
    binary: &Path,
    commit: &Commit,
    target: &str,
    name: &str,
    folder: &Path,
) -> Outcome<()> {
    let program = folder.join(name);
    process::create_dir(folder)?;
    with_crates(checkout, binary, target, &program)?;
    let tree = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    // Not by the name of the program alone: both may be downloaded into one folder.
    let unpacked = format!("sealmark-{}", env!("CARGO_PKG_VERSION"));
    let inside = tree.path().join(&unpacked);
    let ask = |words: &[&str]| {
        let mut run = Command::new(&program);
        process::succeed(run.args(words).env("SOURCE_DATE_EPOCH", &commit.seconds))
    };
    // Of the program alone: the other files have no packages, and the list comes from the program's own section.
    process::create_dir(&inside)?;
    copy(&program, &inside.join("sealmark"))?;
    for (format, ending) in [("spdx-json", "spdx.json"), ("cyclonedx-json", "cdx.json")] {
        let mut sbom = Command::new(&program);
        sbom.args(["sbom", &unpacked, "--output", format])
            .current_dir(tree.path());
        let text = process::succeed(sbom.env("SOURCE_DATE_EPOCH", &commit.seconds))?;
        process::write(&folder.join(format!("{name}.{ending}")), &text)?;
    }
    for (shell, file) in COMPLETIONS {
        let path = inside.join("completions").join(file);
        process::write(&path, ask(&["completion", shell])?)?;
    }
    let pages = inside.join("man/man1");
    ask(&["man", "--dir", &pages.display().to_string()])?;
    copy(&checkout.join("LICENSE"), &inside.join("LICENSE"))?;
    copy(
        &checkout.join("docs/install.md"),
        &inside.join("INSTALL.md"),
    )?;
    let version: Value = serde_json::from_str(&ask(&["version", "--json"])?)
        .map_err(|error| format!("{} version is no JSON: {error}", program.display()))?;
    let bytes = process::read(&program)?;
    let facts = json!({
        "name": name,
        "version": version,
        "needs": {"glibc": glibc(&program)?},
        "sha256": hash(&bytes),
        "bytes": bytes.len(),
    });
    process::write(&folder.join(FACTS), format!("{facts:#}\n"))?;
    copy(&folder.join(FACTS), &inside.join(FACTS))?;
    archive(
        tree.path(),
        &unpacked,
        &commit.seconds,
        &folder.join(format!("{name}.tar.gz")),
    )?;
    let mut sums = String::new();
    for path in process::list(folder)? {
        let name = path.file_name().unwrap_or_default().display();
        sums.push_str(&format!("{}  {name}\n", hash(&process::read(&path)?)));
    }
    process::write(&folder.join(SUMS), sums)
}

/// The program with the list of its crates inside.
fn with_crates(checkout: &Path, binary: &Path, target: &str, program: &Path) -> Outcome<()> {
    let section = tempfile::NamedTempFile::new()
        .map_err(|error| format!("cannot make a temporary file: {error}"))?;
    process::write(section.path(), crates::section(checkout, target)?)?;
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--strip-all", "--remove-section=.dep-v0", "--add-section"]);
    objcopy.arg(format!(".dep-v0={}", section.path().display()));
    objcopy.arg("--set-section-flags=.dep-v0=noload,readonly");
    process::succeed(objcopy.arg(binary).arg(program)).map(drop)
}

/// The least version of glibc that has every symbol the program asks for; nothing for one without glibc.
fn glibc(program: &Path) -> Outcome<Option<String>> {
    let text = process::succeed(Command::new("objdump").arg("-p").arg(program))?;
    Ok(newest_glibc(&text))
}

fn newest_glibc(objdump: &str) -> Option<String> {
    let versions = objdump
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_"));
    let numbers = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    versions
        .max_by_key(|version| numbers(version))
        .map(str::to_owned)
}

/// `name` below `folder` as an archive without this machine's users, times and order.
/// <https://reproducible-builds.org/docs/archives/>
fn archive(folder: &Path, name: &str, seconds: &str, to: &Path) -> Outcome<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--format=gnu",
        "--sort=name",
        "--owner=0",
        "--group=0",
    ]);
    tar.args(["--numeric-owner", "--mode=u=rwX,go=rX"]);
    tar.arg(format!("--mtime=@{seconds}"))
        .arg("--directory")
        .arg(folder);
    let output = tar
        .arg(name)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run tar: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("tar failed: {}", said.trim_end()).into());
    }
    // Not by the machine's gzip: this one is the same on all of them.
    let mut packed = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let packed = packed
        .write_all(&output.stdout)
        .and_then(|()| packed.finish());
    let packed = packed.map_err(|error| format!("cannot pack {}: {error}", to.display()))?;
    process::write(to, packed)
}

/// A copy with the permissions.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    std::fs::copy(from, to).map(drop).map_err(|error| {
        format!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        )
        .into()
    })
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_decides_which_glibc_is_needed() {
        let text = "Version References:\n 0x0d696916 0x00 05 GLIBC_2.6\n 0x069691b4 0x00 06 GLIBC_2.34\n GLIBC_2.9";
        assert_eq!(newest_glibc(text).as_deref(), Some("2.34"));
        assert_eq!(newest_glibc("Dynamic Section:"), None);
    }

    #[test]
    fn an_archive_does_not_depend_on_times_and_permissions_of_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let pack = |mode: u32| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("name/b");
            process::write(&file, "text").unwrap();
            process::write(&folder.path().join("name/a"), "text").unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&file, permissions).unwrap();
            let to = folder.path().join("name.tar.gz");
            archive(folder.path(), "name", "1700000000", &to).unwrap();
            std::fs::read(to).unwrap()
        };
        assert_eq!(pack(0o600), pack(0o644));
    }
}
