//! A release as its users meet it: every command of `docs/install.md` is run, and does what the page says; of a release
//! that somebody has changed, each of its checks says so.
//!
//! The program is the one that all tests have, packed by `cargo xtask release --binary`: building it as releases are built
//! takes minutes.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::{Bench, PASSWORD, SEALMARK, Tool, have};
use regex::Regex;
use sealmark_testkit::Finished;
use serde_json::Value;

/// The name in the page.
const WRITTEN: &str = "sealmark-0.1.0-x86_64-unknown-linux-gnu";

struct Release {
    bench: Bench,
    /// All of it.
    folder: PathBuf,
    /// What the page says to download.
    downloads: PathBuf,
    name: String,
}

/// What the page says to download.
const DOWNLOADS: [&str; 6] = [
    "sealmark-0.1.0-x86_64-unknown-linux-gnu.tar.gz",
    "sealmark-0.1.0-x86_64-unknown-linux-gnu.tar.gz.sigstore.json",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "release.pub",
];

impl Release {
    /// Packs and signs this program; `None`, aloud, without openssl.
    fn make() -> Option<Self> {
        // The other tools are on every machine that can build: coreutils, binutils, tar, git.
        if !have(&["openssl"]) {
            return None;
        }
        let bench = Bench::new();
        bench.make_key("ecdsa-p256", "release");
        let checkout = checkout();
        let out = bench.sandbox.join("dist");
        let output = Command::new(env!("CARGO"))
            .args([
                "run",
                "--quiet",
                "--locked",
                "--package",
                "xtask",
                "--",
                "release",
            ])
            .args(["--binary", SEALMARK, "--key"])
            .arg(bench.sandbox.join("release.key"))
            .arg("--out")
            .arg(&out)
            .env("COSIGN_PASSWORD", PASSWORD)
            .current_dir(checkout)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let folders: Vec<_> = std::fs::read_dir(&out).unwrap().collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        let folder = folders[0].as_ref().unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        // What the user has installed already.
        std::fs::create_dir(bench.sandbox.join("bin")).unwrap();
        symlink(SEALMARK, bench.sandbox.join("bin/sealmark")).unwrap();
        let downloads = bench.sandbox.join("downloads");
        std::fs::create_dir(&downloads).unwrap();
        for file in DOWNLOADS {
            let file = file.replace(WRITTEN, &name);
            std::fs::copy(folder.join(&file), downloads.join(&file)).unwrap();
        }
        Some(Self {
            bench,
            folder,
            downloads,
            name,
        })
    }

    /// A line of the page, as a user types it in the folder with the downloads.
    fn shell(&self, line: &str) -> Finished {
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.bench.sandbox.join("bin");
        let line = format!("{} 2>&1", line.replace(WRITTEN, &self.name));
        self.bench
            .sandbox
            .command("/bin/sh")
            .args(["-c", &line])
            .env("PATH", format!("{}:{path}", bin.display()))
            .current_dir(&self.downloads)
            .timeout(Duration::from_secs(120))
            .run()
    }

    fn download(&self, name: &str) -> PathBuf {
        self.downloads.join(name.replace(WRITTEN, &self.name))
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the page, each with the lines that it printed.
fn commands() -> Vec<(String, Vec<String>)> {
    let page = std::fs::read_to_string(checkout().join("docs/install.md")).unwrap();
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line, line.strip_prefix("$ ")) {
            (_, "```console", _) => inside = true,
            (_, "```", _) => inside = false,
            (true, _, Some(command)) => commands.push((command.to_owned(), Vec::new())),
            (true, _, None) => commands.last_mut().unwrap().1.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// What differs from release to release is left out.
fn shape(line: &str, name: &str) -> String {
    let digests = Regex::new("[0-9a-f]{64}").unwrap();
    digests.replace_all(line, "DIGEST").replace(name, WRITTEN)
}

#[test]
fn every_command_of_the_page_prints_what_the_page_says_and_finds_what_was_changed() {
    let Some(release) = Release::make() else {
        return;
    };
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
    for (command, printed) in &commands {
        let finished = release.shell(command).success();
        if printed.is_empty() {
            continue;
        }
        let shapes = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| shape(line, &release.name))
                .collect()
        };
        assert_eq!(
            shapes(&finished.stdout()),
            shapes(&printed.join("\n")),
            "{command}"
        );
    }
    what_is_inside(&release);
    every_check_finds_what_was_changed(&release, &commands);
}

fn what_is_inside(release: &Release) {
    // `tar` was one of the commands.
    let unpacked = concat!("sealmark-", env!("CARGO_PKG_VERSION"));
    let inside = release.downloads.join(unpacked);
    for file in [
        "LICENSE",
        "INSTALL.md",
        "completions/_sealmark",
        "completions/sealmark.bash",
        "completions/sealmark.elv",
        "completions/sealmark.fish",
        "completions/sealmark.ps1",
        "man/man1/sealmark.1",
        "man/man1/sealmark-sign-blob.1",
        "man/man1/sealmark-log-upload.1",
        "release.json",
        "sealmark",
    ] {
        let length = std::fs::metadata(inside.join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 100), "{file}");
    }
    let json = |name: &str| -> Value {
        let path = release.folder.join(name.replace(WRITTEN, &release.name));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let sbom = json(&format!("{WRITTEN}.spdx.json"));
    let packages = sbom["packages"].as_array().unwrap();
    let has = |name: &str| packages.iter().any(|package| package["name"] == name);
    assert!(has("clap") && has("aws-lc-rs") && has("sealmark-verify"));
    assert!(
        !has("proptest"),
        "what only tests need is not in the program"
    );
    let components = json(&format!("{WRITTEN}.cdx.json"))["components"].clone();
    assert!(components.as_array().unwrap().len() > 100);
    let facts = json("release.json");
    assert!(
        facts["needs"]["glibc"]
            .as_str()
            .is_some_and(|it| it.starts_with("2.")),
        "{facts}"
    );
    assert_eq!(facts["version"]["gitVersion"], "v0.1.0");
    // The SBOM says who made it from what, and no time of today.
    assert_ne!(sbom["creationInfo"]["created"], Value::Null);
    let again = release
        .bench
        .run(Tool::Sealmark)
        .arg("sbom")
        .arg(&inside)
        .run()
        .success();
    assert!(
        again.stdout().contains("aws-lc-sys"),
        "the program has its list inside"
    );
}

fn every_check_finds_what_was_changed(release: &Release, commands: &[(String, Vec<String>)]) {
    let archive = format!("{WRITTEN}.tar.gz");
    let check = |beginning: &str, with: &str| -> &str {
        let mut found = commands
            .iter()
            .filter(|(line, _)| line.starts_with(beginning));
        let line = found.find(|(line, _)| line.contains(with));
        &line
            .unwrap_or_else(|| panic!("the page has no {beginning} {with}"))
            .0
    };
    let openssl = check("openssl dgst", "");
    let sums = check("sha256sum", "");
    let verify = check("sealmark verify-blob", &archive);
    let verify_sums = check("sealmark verify-blob", "SHA256SUMS.sigstore.json");
    let of_sums = std::fs::read(release.download("SHA256SUMS.sigstore.json")).unwrap();
    release.bench.make_key("ecdsa-p256", "stranger");
    let stranger = std::fs::read(release.bench.sandbox.join("stranger.pub")).unwrap();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let bundle = format!("{archive}.sigstore.json");
    for (file, other, finders) in [
        (archive.as_str(), None, vec![sums, verify]),
        ("SHA256SUMS", None, vec![openssl, verify_sums]),
        ("SHA256SUMS.sig", None, vec![openssl]),
        (bundle.as_str(), Some(of_sums), vec![verify]),
        ("release.pub", Some(stranger), vec![openssl, verify]),
    ] {
        let path = release.download(file);
        let good = std::fs::read(&path).unwrap();
        let bad = other.unwrap_or_else(|| flipped(&good));
        std::fs::write(&path, bad).unwrap();
        for finder in finders {
            let finished = release.shell(finder);
            assert_ne!(
                finished.exit_code(),
                Some(0),
                "{file} was changed: {finder}\n{finished}"
            );
        }
        std::fs::write(&path, good).unwrap();
    }
    for finder in [openssl, sums, verify] {
        release.shell(finder).success();
    }
}
