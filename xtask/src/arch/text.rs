//! The rules for what is written in files.

use std::path::{Path, PathBuf};

use super::graph::{Graph, Member};
use super::{Findings, floor};
use crate::process::{self, Outcome};

/// What no ground crate may say outside of its tests: the world, the clock.
const NOT_SAID_ON_THE_GROUND: &[&str] = &[
    "std::env::",
    "std::fs::",
    "std::net::",
    "std::process::",
    "std::thread::",
    "Instant::now",
    "SystemTime::now",
];

/// A module of this many lines needs a seam.
const MAX_LINES: usize = 800;

/// A module of this many lines should be looked at.
const MANY_LINES: usize = 500;

/// Text that must not be in a tracked file. Written in halves, for this file is tracked too.
const UNWANTED: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/tmp/tar", "get-"), "a path of one machine"),
    (
        concat!("TO", "DO"),
        "an open end: do it, or say what is not supported",
    ),
    (
        concat!("FIX", "ME"),
        "an open end: do it, or say what is not supported",
    ),
    (
        concat!("to", "do!("),
        "an open end: do it, or return an error",
    ),
    (
        concat!("unimple", "mented!("),
        "an open end: do it, or return an error",
    ),
];

/// Folders that are not part of the project's text.
const NOT_OURS: &[&str] = &[".git", ".peers", "target", "node_modules"];

/// A larger file is data; the largest text of this kind of project is its lock file, a tenth of this.
const MAX_TEXT: u64 = 2 << 20;

/// Where every dependency comes from.
const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// The rules for a crate's own text.
pub(super) fn sources(member: &Member, findings: &mut Findings) -> Outcome<()> {
    let name = &member.name;
    let manifest = read_text(&member.folder.join("Cargo.toml"))?;
    if !manifest.contains("[lints]\nworkspace = true") {
        let rule = "does not take the workspace's lints, which forbid unsafe code";
        findings
            .broken
            .push(format!("crates/{name}/Cargo.toml {rule}"));
    }
    for (path, is_source) in rust_files(&member.folder)? {
        let text = read_text(&path)?;
        let inside = path.strip_prefix(&member.folder).unwrap_or(&path);
        let place = format!("crates/{name}/{}", inside.display());
        let lines = text.lines().count();
        if is_source && lines > MAX_LINES {
            findings
                .broken
                .push(format!("{place} has {lines} lines, more than {MAX_LINES}"));
        } else if is_source && lines > MANY_LINES {
            findings.notes.push(format!("{place} has {lines} lines"));
        }
        let root = ["src/lib.rs", "src/main.rs"]
            .iter()
            .any(|root| inside == Path::new(root));
        if root && !starts_with_sentence(&text) {
            findings
                .broken
                .push(format!("{place} does not start with a `//!` sentence"));
        }
        if is_source && floor(name) == Some(0) {
            for (number, word) in said_on_the_ground(&text) {
                findings
                    .broken
                    .push(format!("{place}:{number} says {word}: the ground is pure"));
            }
        }
    }
    Ok(())
}

/// The first paragraph of the module's documentation is one sentence that ends as such.
fn starts_with_sentence(text: &str) -> bool {
    let paragraph: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    paragraph.last().is_some_and(|line| line.ends_with('.'))
}

/// Code of the world in a module, up to its tests, which stand last.
fn said_on_the_ground(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if !line.starts_with("//") {
            let words = NOT_SAID_ON_THE_GROUND
                .iter()
                .filter(|word| line.contains(**word));
            found.extend(words.map(|word| (at + 1, *word)));
        }
    }
    found
}

/// All Rust files of a crate; true for those in `src`.
fn rust_files(folder: &Path) -> Outcome<Vec<(PathBuf, bool)>> {
    let mut files = Vec::new();
    for part in ["src", "tests", "examples", "benches"] {
        let part_folder = folder.join(part);
        if part_folder.is_dir() {
            let mut found = Vec::new();
            walk(&part_folder, &mut found)?;
            let rust = found.into_iter().filter(|path| extension(path) == "rs");
            files.extend(rust.map(|path| (path, part == "src")));
        }
    }
    Ok(files)
}

/// `ARCHITECTURE.md` is a map: it shows every crate. The workspace's own rules stand in its manifest.
pub(super) fn described(checkout: &Path, graph: &Graph, findings: &mut Findings) -> Outcome<()> {
    match read_text(&checkout.join("ARCHITECTURE.md")) {
        Ok(text) => {
            for member in &graph.crates {
                let name = &member.name;
                let spellings = [
                    format!("`{name}`"),
                    format!("`crates/{name}`"),
                    format!("`sealmark-{name}`"),
                ];
                if !spellings
                    .iter()
                    .any(|spelling| text.contains(spelling.as_str()))
                {
                    findings
                        .broken
                        .push(format!("ARCHITECTURE.md does not list `{name}`"));
                }
            }
        }
        Err(error) => findings.broken.push(error.to_string()),
    }
    if !read_text(&checkout.join("Cargo.toml"))?.contains("unsafe_code = \"forbid\"") {
        findings
            .broken
            .push("Cargo.toml does not forbid unsafe code in [workspace.lints]".into());
    }
    let lock = read_text(&checkout.join("Cargo.lock"))?;
    for line in lock
        .lines()
        .filter(|line| line.starts_with("source = ") && *line != CRATES_IO)
    {
        findings
            .broken
            .push(format!("Cargo.lock: {line}: only crates.io is allowed"));
    }
    Ok(())
}

pub(super) fn unwanted_text(checkout: &Path, findings: &mut Findings) -> Outcome<()> {
    let mut files = Vec::new();
    walk(checkout, &mut files)?;
    for path in files {
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if length > MAX_TEXT || path.file_name().is_some_and(|name| name == "Cargo.lock") {
            continue;
        }
        let Ok(text) = String::from_utf8(process::read(&path)?) else {
            continue;
        };
        let place = path.strip_prefix(checkout).unwrap_or(&path).display();
        for (at, line) in text.lines().enumerate() {
            for (word, why) in UNWANTED.iter().filter(|(word, _)| says(line, word)) {
                findings
                    .broken
                    .push(format!("{place}:{} says {word}: {why}", at + 1));
            }
        }
    }
    Ok(())
}

/// Whether `line` has `word` with nothing glued to its front: `net/work/` is no path of a machine.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let glued = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open_end = word.ends_with(['/', '-', '(']);
        !glued(before) && (open_end || !glued(after))
    })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for path in process::list(folder)? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_symlink() || NOT_OURS.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

fn read_text(path: &Path) -> Outcome<String> {
    String::from_utf8(process::read(path)?)
        .map_err(|_| format!("{} is not UTF-8", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_ends_and_machine_paths_are_found_as_words() {
        let path = UNWANTED[0].0;
        assert!(says(&format!("see {path}main"), path));
        assert!(!says(&format!("https://a.example/net{path}x"), path));
        let open_end = UNWANTED[2].0;
        assert!(says(&format!("// {open_end}: later"), open_end));
        assert!(!says(&format!("MASTO{open_end}N"), open_end));
    }

    #[test]
    fn the_ground_is_pure_up_to_its_tests() {
        let module = "// std::fs::read is not for us\nlet t = SystemTime::now();\n\
            #[cfg(test)]\nmod tests { use std::fs::read; }\n";
        assert_eq!(said_on_the_ground(module), [(2, "SystemTime::now")]);
    }

    #[test]
    fn a_crate_starts_with_a_sentence() {
        assert!(starts_with_sentence(
            "//! One thing.\n//!\n//! More\nuse x;\n"
        ));
        assert!(starts_with_sentence("//! One thing,\n//! on two lines.\n"));
        assert!(!starts_with_sentence("use x;\n"));
        assert!(!starts_with_sentence("//! A heading\n\nuse x;\n"));
    }
}
