//! What the readers find in programs and packages that other projects made, compared with what those projects' own
//! tools say of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealmark_sbom::file::HEAD;
use sealmark_sbom::languages::{Scan, reader};
use sealmark_sbom::{Ecosystem, File, Package};
use sealmark_testkit::{Peer, require_or_skip, skip};

/// What one file tells of.
fn told(path: &Path, scan: Scan) -> Vec<Package> {
    let mut content = fs::File::open(path).expect("the file is there");
    let mut head = Vec::new();
    let front = content.by_ref().take(HEAD as u64);
    { front }.read_to_end(&mut head).expect("it can be read");
    let text = path.to_string_lossy();
    let file = File {
        path: text.trim_start_matches('/'),
        size: content.metadata().expect("it has a size").len(),
        executable: true,
        head: &head,
    };
    match reader(&file, scan) {
        Some(reader) => {
            reader(&file, &mut content).unwrap_or_else(|error| panic!("{text}: {error}"))
        }
        None => Vec::new(),
    }
}

/// `NAME VERSION` of each package.
fn named(packages: &[Package]) -> BTreeSet<String> {
    let line = |package: &Package| {
        let version = package.version.as_deref().unwrap_or("-");
        format!("{} {version}", package.name)
    };
    packages.iter().map(line).collect()
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let kind = entry.file_type().expect("it is of some kind");
        match (kind.is_dir(), kind.is_file()) {
            (true, _) => files_below(&entry.path(), found),
            (_, true) => found.push(entry.path()),
            _ => {}
        }
    }
}

/// The folder of a peer that is no single program; none, and a word about it, if it is missing.
fn peer_folder(start: &str) -> Option<PathBuf> {
    let peers = Peer::folder().join("..");
    let entries = fs::read_dir(&peers).into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.path()).find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(start))
    });
    if found.is_none() {
        skip(start);
    }
    found
}

/// `go version -m` lists the modules of a program, and of a replaced one what stands for it.
#[test]
fn the_modules_in_programs_are_those_that_go_lists() {
    let go = require_or_skip!("go");
    for name in [
        "cosign2",
        "cosign3",
        "oras",
        "rekor-cli",
        "skopeo",
        "rekor-tiles",
        "bao",
    ] {
        let program = require_or_skip!(name);
        let output = Command::new(&go)
            .args(["version", "-m"])
            .arg(&program)
            .env("GOTOOLCHAIN", "local")
            .output()
            .expect("Go starts");
        let text = String::from_utf8(output.stdout).expect("Go writes text");
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.rsplit_once(": "));
        let Some((_, version)) = version else {
            // A script that starts the program.
            continue;
        };
        let mut listed = vec![format!(
            "stdlib {}",
            version.split(' ').next().expect("a version")
        )];
        let mut own = None;
        for line in lines {
            let words: Vec<&str> = line.trim_start().split('\t').collect();
            match words[..] {
                ["path", path] => own = Some(path.to_owned()),
                ["mod", path, ..] => own = Some(path.to_owned()),
                ["dep", path, version, ..] => listed.push(format!("{path} {version}")),
                // A folder beside the program's own is no module that anybody could name.
                ["=>", path, version, ..] if !path.starts_with('.') => {
                    listed.pop();
                    listed.push(format!("{path} {version}"));
                }
                _ => {}
            }
        }
        let packages = told(&program, Scan::Image);
        assert_eq!(
            packages.first().map(|package| package.name.clone()),
            own,
            "{name}"
        );
        assert_eq!(
            named(&packages[1..]),
            listed.into_iter().collect(),
            "{name}"
        );
        assert!(
            packages
                .iter()
                .all(|package| package.ecosystem == Ecosystem::Go)
        );
    }
}

/// pip names each package's folder after it: `charset_normalizer-3.5.2.dist-info`.
#[test]
fn what_pip_installed_is_found() {
    let Some(folder) = peer_folder("sigstore-python-") else {
        return;
    };
    let entries = fs::read_dir(&folder)
        .expect("the folder can be read")
        .flatten();
    let installed: BTreeSet<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (name, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
            Some(format!(
                "{} {version}",
                name.to_lowercase().replace(['_', '.'], "-")
            ))
        })
        .collect();
    assert!(installed.len() > 10, "{installed:?}");
    let mut files = Vec::new();
    files_below(&folder, &mut files);
    let found: Vec<Package> = files
        .iter()
        .flat_map(|file| told(file, Scan::Image))
        .filter(|package| package.ecosystem == Ecosystem::Python)
        .collect();
    assert_eq!(named(&found), installed);
}

/// npm's lock file says what it installed.
#[test]
fn what_npm_installed_is_what_its_lock_file_says() {
    let Some(folder) = peer_folder("node-sigstore-") else {
        return;
    };
    let pinned = named(&told(&folder.join("package-lock.json"), Scan::Directory));
    assert!(pinned.len() > 50, "{pinned:?}");
    let mut files = Vec::new();
    files_below(&folder, &mut files);
    let found: Vec<Package> = files
        .iter()
        .flat_map(|file| told(file, Scan::Image))
        .collect();
    let found = named(&found);
    // Some packages have descriptions of their own parts in them, which no lock file knows.
    let missing: Vec<_> = pinned.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
