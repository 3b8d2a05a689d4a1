//! The program built so that whoever builds the same commit with the same compiler gets the same bytes.
//!
//! Invariant: nothing of the machine gets in. Folders are mapped to names that are the same everywhere, the only time is
//! the commit's, `Cargo.lock` is kept, and variables that would change how Cargo builds are taken away.
//! <https://reproducible-builds.org/docs/build-path/>

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Commit;
use crate::process::{self, Outcome};

/// Variables that change what Cargo and the C compiler make, by their beginnings.
const CHANGING: [&str; 12] = [
    "AR",
    "AWS_LC_",
    "CARGO_BUILD_",
    "CARGO_ENCODED_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CC",
    "CFLAGS",
    "CXX",
    "RUSTC",
    "RUSTFLAGS",
    "SOURCE_DATE_EPOCH",
];

/// The folder that Cargo builds into.
pub(super) fn target_folder(checkout: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from)
}

/// The compiler's word for this kind of machine.
pub(super) fn host(checkout: &Path) -> Outcome<String> {
    rustc(checkout, "host")
}

fn rustc(checkout: &Path, field: &str) -> Outcome<String> {
    let text = process::succeed(Command::new("rustc").arg("-vV").current_dir(checkout))?;
    let prefix = format!("{field}: ");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("rustc does not say its {field}").into())
}

/// Builds `commit` in a new clone of the checkout in `folder`.
pub(super) fn build(
    checkout: &Path,
    commit: &Commit,
    target: &str,
    folder: &Path,
) -> Outcome<PathBuf> {
    process::remove_dir(folder)?;
    process::create_dir(folder)?;
    let mut clone = Command::new("git");
    clone
        .args(["clone", "--quiet", "--no-checkout"])
        .arg(checkout);
    process::succeed(clone.arg(folder))?;
    let mut out = Command::new("git");
    out.args(["checkout", "--quiet", "--detach", &commit.id]);
    process::succeed(out.current_dir(folder))?;
    println!("building {} in {}", commit.id, folder.display());
    let mut fetch = quiet_cargo(folder);
    process::show(fetch.args(["fetch", "--locked", "--target", target]))?;
    let maps = maps(folder)?;
    let mut cargo = quiet_cargo(folder);
    cargo.args(["build", "--release", "--locked", "--package", "sealmark"]);
    cargo.args(["--bin", "sealmark", "--target", target]);
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    cargo.env("CARGO_INCREMENTAL", "0");
    cargo.env("SOURCE_DATE_EPOCH", &commit.seconds);
    let flags = |flag: &str| -> Vec<String> {
        let each = maps.iter();
        each.map(|(from, to)| format!("{flag}={from}={to}"))
            .collect()
    };
    // Cargo leaves these out of the hash that names symbols, or two folders would never give the same.
    cargo.env(
        "CARGO_ENCODED_RUSTFLAGS",
        flags("--remap-path-prefix").join("\u{1f}"),
    );
    cargo.env("CFLAGS", flags("-ffile-prefix-map").join(" "));
    process::show(&mut cargo)?;
    Ok(folder.join("target").join(target).join("release/sealmark"))
}

/// Cargo, without what this machine would have it do differently.
fn quiet_cargo(folder: &Path) -> Command {
    let mut cargo = process::cargo(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if CHANGING.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Folders, and what they are called in the program. The last that fits counts, so the deepest come last.
fn maps(folder: &Path) -> Outcome<Vec<(String, String)>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.ok_or("neither CARGO_HOME nor HOME says where Cargo keeps crates")?;
    let hash = rustc(folder, "commit-hash")?;
    let sysroot = process::succeed(Command::new("rustc").args(["--print", "sysroot"]))?;
    let standard = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    let mut maps = vec![
        (home.clone(), "/cargo".to_owned()),
        (standard, format!("/rustc/{hash}")),
    ];
    // The folder of a registry has a hash of its address in its name, and mirrors have addresses of their own.
    let registries = process::list(&home.join("registry/src")).unwrap_or_default();
    maps.extend(
        registries
            .into_iter()
            .map(|path| (path, "/cargo/registry".to_owned())),
    );
    maps.push((folder.to_path_buf(), "/sealmark".to_owned()));
    let text = |path: PathBuf| {
        let text = path.into_os_string().into_string().ok();
        text.filter(|text| !text.contains([' ', '=']))
            .ok_or("the folders of Cargo and of the checkout must be without spaces and `=`")
    };
    maps.into_iter()
        .map(|(from, to)| Ok((text(from)?, to)))
        .collect()
}

/// An error that tells the first difference.
pub(super) fn same(first: &Path, second: &Path) -> Outcome<()> {
    let open = |path: &Path| {
        let file = File::open(path);
        file.map(|file| BufReader::new(file).bytes())
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let (mut one, mut other) = (open(first)?, open(second)?);
    let failed = |error: std::io::Error| format!("cannot read a build: {error}");
    let mut place = 0_u64;
    loop {
        let pair = (
            one.next().transpose().map_err(failed)?,
            other.next().transpose().map_err(failed)?,
        );
        let what = match pair {
            (None, None) => return Ok(()),
            (Some(a), Some(b)) if a == b => {
                place += 1;
                continue;
            }
            (Some(a), Some(b)) => format!("{a:02x} and {b:02x}"),
            (None, Some(_)) | (Some(_), None) => "the end of one".to_owned(),
        };
        return Err(format!(
            "the builds differ first at byte {place}: {what}\n  {}\n  {}\n  `diffoscope` tells what is there",
            first.display(),
            second.display()
        )
        .into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (a, b, c, d) = (
            file("a", "abcd"),
            file("b", "abcd"),
            file("c", "abXd"),
            file("d", "abc"),
        );
        assert!(same(&a, &b).is_ok());
        let told = |x: &Path, y: &Path| same(x, y).unwrap_err().to_string();
        assert!(
            told(&a, &c).contains("at byte 2: 63 and 58"),
            "{}",
            told(&a, &c)
        );
        assert!(told(&d, &a).contains("at byte 3: the end of one"));
    }

    #[test]
    fn this_machines_folders_get_names_that_every_machine_has() {
        let folder = tempfile::tempdir().unwrap();
        let known = maps(folder.path()).unwrap();
        let text = folder.path().display().to_string();
        assert_eq!(known.last().unwrap(), &(text, "/sealmark".to_owned()));
        assert!(known.iter().any(|(_, to)| to.starts_with("/rustc/")));
        let spaced = folder.path().join("a b");
        process::create_dir(&spaced).unwrap();
        assert!(maps(&spaced).is_err());
    }
}
