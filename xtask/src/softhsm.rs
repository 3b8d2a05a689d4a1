//! A token in software: SoftHSM's PKCS#11 module, what initialises its tokens, and OpenSC's tool, which puts keys and
//! certificates on any token.
//!
//! Invariant: the module is loaded into the program that is tested, without a search path of its own, so the libraries
//! that it needs are those of the machine; where they are missing, that is said here and not by a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers::{self, Archive};
use crate::process::{self, Outcome};

/// The name of the module in `.peers/bin`.
const MODULE: &str = "libsofthsm2.so";
const UTIL: &str = "softhsm2-util";
const TOOL: &str = "pkcs11-tool";

/// Puts them into `.peers/bin`, for whoever holds the lock.
pub(crate) fn fetch_in(root: &Path, archive: &mut Option<Archive>) -> Outcome<()> {
    let bin = root.join("bin");
    let start = Instant::now();
    if [MODULE, UTIL, TOOL]
        .iter()
        .all(|name| bin.join(name).is_file())
    {
        println!("{UTIL:<16} (was there)");
        return Ok(());
    }
    let archive = match archive {
        Some(archive) => archive,
        empty => empty.insert(Archive::open(root)?),
    };
    process::create_dir(&bin)?;
    let mut unpack = |package: &str| archive.unpack_own(package);
    let module = unpack("libsofthsm2")?
        .tree
        .join("usr/lib/softhsm")
        .join(MODULE);
    complete(&module, &[])?;
    peers::link(&peers::relative(root, &module)?, &bin.join(MODULE))?;
    let util = unpack("softhsm2")?;
    let program = util.tree.join("usr/bin").join(UTIL);
    complete(&program, &[])?;
    peers::link(&peers::relative(root, &program)?, &bin.join(UTIL))?;
    let libraries = process::list(&unpack("opensc-pkcs11")?.tree.join("usr/lib"))?
        .into_iter()
        .find(|folder| folder.to_string_lossy().ends_with("-linux-gnu"))
        .ok_or("the package opensc-pkcs11 has no library")?;
    let program = unpack("opensc")?.tree.join("usr/bin").join(TOOL);
    complete(&program, std::slice::from_ref(&libraries))?;
    peers::wrap_with(root, &program, &[libraries], "", &bin.join(TOOL))?;
    println!(
        "{UTIL:<16} {} ({:.1} s)",
        util.upstream(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Whether the dynamic linker finds everything.
fn complete(file: &Path, folders: &[PathBuf]) -> Outcome<()> {
    let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
    let mut command = Command::new("ldd");
    let text = process::capture(command.arg(file).env("LD_LIBRARY_PATH", path))?.stdout;
    let missing: Vec<&str> = text
        .lines()
        .filter(|line| line.ends_with("not found"))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{} needs libraries that this machine lacks ({}): install libssl3 and libstdc++6",
            file.display(),
            missing.join(", ").trim()
        )
        .into()),
    }
}
