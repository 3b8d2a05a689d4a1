//! Shared libraries that a fetched program needs and a bare machine lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Apt;
use crate::process::{self, Outcome};

/// How far a library's own dependencies are followed; four is twice what today's peers need.
const MAX_DEPENDENCY_DEPTH: usize = 4;

/// Unpacks the packages of the shared libraries that `program` needs and this machine lacks; their folders.
pub(crate) fn missing(
    apt: &Apt,
    trees: &Path,
    package: &str,
    program: &Path,
) -> Outcome<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let mut names = vec![package.to_owned()];
    let mut seen = names.clone();
    for _ in 0..=MAX_DEPENDENCY_DEPTH {
        if unresolved(program, &folders)?.is_empty() {
            return Ok(folders);
        }
        let mut next = Vec::new();
        for name in &names {
            for library in apt.libraries(name)? {
                if !seen.contains(&library) {
                    seen.push(library.clone());
                    next.push(library);
                }
            }
        }
        for library in &next {
            folders.extend(library_folders(&apt.unpack(trees, library)?.tree)?);
        }
        names = next;
    }
    Err(format!(
        "{} needs shared libraries that are neither on this machine nor in the packages that \
         {package} depends on: {}",
        program.display(),
        unresolved(program, &folders)?.join(", ")
    )
    .into())
}

/// What the dynamic linker does not find for `program`. A static program needs nothing.
fn unresolved(program: &Path, folders: &[PathBuf]) -> Outcome<Vec<String>> {
    let path = std::env::join_paths(folders)
        .map_err(|error| format!("a folder of libraries cannot be in LD_LIBRARY_PATH: {error}"))?;
    let mut command = Command::new("ldd");
    let output = process::capture(command.arg(program).env("LD_LIBRARY_PATH", path))?;
    let text = format!("{}\n{}", output.stdout, output.stderr);
    if let Some(line) = text.lines().find(|line| line.contains("version `GLIBC")) {
        return Err(format!("this machine's C library is too old: {}", line.trim()).into());
    }
    let missing = text.lines().filter(|line| line.ends_with("not found"));
    Ok(missing
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect())
}

/// The folders of a package that hold shared libraries: `lib/TRIPLET` and `usr/lib/TRIPLET`.
fn library_folders(tree: &Path) -> Outcome<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for base in ["lib", "usr/lib"] {
        let base = tree.join(base);
        if base.is_dir() {
            let triplets = process::list(&base)?;
            folders.extend(
                triplets
                    .into_iter()
                    .filter(|path| path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu")),
            );
        }
    }
    Ok(folders)
}
