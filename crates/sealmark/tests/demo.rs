//! `sealmark demo`, played as anybody would, and the tour in the README, which is what it prints.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use sealmark_testkit::{Finished, Sandbox};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");

/// The demo, on the machine of somebody who has set a lot.
fn demo(sandbox: &Sandbox, words: &[&str]) -> Finished {
    let program = sandbox.command(SEALMARK).arg("demo").args(words);
    [
        ("COSIGN_REPOSITORY", "registry.invalid/other"),
        ("SIGSTORE_ID_TOKEN", "not a token"),
        ("SIGSTORE_ROOT_FILE", "/nowhere"),
        ("AWS_PROFILE", "nobody"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("GITHUB_ACTIONS", "true"),
        ("TUF_ROOT", "/nowhere"),
    ]
    .into_iter()
    .fold(program, |program, (name, value)| program.env(name, value))
    .run()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What differs from one run to the next has a fixed name, and a command is on one line.
fn normalised(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r" \\\n    ", " "),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
            (r"sha256([:-])[0-9a-f]{64}", "sha256${1}DIGEST"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"\d+ bytes", "N bytes"),
            (r"\d+\.\d kB", "N kB"),
            // The last column of the table, and the time of all.
            (r"(?m) {2,}(\d+|ms)$", " MS"),
            (r"in \d+\.\d s\.", "in N s."),
        ]
        .map(|(rule, name)| (Regex::new(rule).expect("it is a rule"), name))
        .into()
    });
    RULES.iter().fold(text.to_owned(), |text, (rule, name)| {
        rule.replace_all(&text, *name).into_owned()
    })
}

#[test]
fn the_whole_story_is_played_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let demo = demo(&sandbox, &[]).success();
    let text = normalised(&demo.stdout());
    let (_, table) = text.split_once("== Summary").expect("a table at the end");
    for row in [
        // With the key in KMS, as it was pasted.
        "sign v1 by the key's id sign … flasksample:v1 signed",
        "verify the SBOM verify-attestation … flasksample:v1 verified",
        "verify the provenance verify-attestation … flasksample:v1 verified",
        // After the break-in.
        "verify v1 verify … flasksample:v1 verified",
        "verify v2 verify … flasksample:v2 refused (12): revoked",
        "verify v3 verify … flasksample:v3 verified",
        // Into the own registry, under the key in KMS.
        "promote v2 promote … flasksample:v2 refused (12): revoked",
        "promote v3 promote … flasksample:v3 verified at the destination, with the own key alone",
        "verify it by the key in KMS verify … flasksample:v3 verified",
        // And what else could be tried.
        "refuse a borrowed signature verify … flasksample:v4 refused (12): digest",
        "refuse a moved tag verify … flasksample:v3 refused (10): has no signature",
    ] {
        let words: Vec<_> = table.split_whitespace().collect();
        assert!(words.join(" ").contains(row), "{row}\n{demo}");
    }
    assert!(
        !demo.stdout().contains("eyJ"),
        "a token is a secret\n{demo}"
    );
    assert_eq!(demo.stderr(), "");
    assert_eq!(files(&sandbox.join("tmp")), [""; 0]);
    assert_eq!(files(&sandbox.join("home")), [".docker"]);
}

#[test]
fn what_is_to_be_kept_is_kept_in_a_folder_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("full/letter", "dear");
    demo(&sandbox, &["--keep", "full"])
        .code(1)
        .stderr_has("it is not empty, and nothing in it was touched");
    assert_eq!(files(&sandbox.join("full")), ["letter"]);

    demo(&sandbox, &["--keep", "new/folder"])
        .success()
        .stdout_has("sealmark registry --dir ");
    let kept = sandbox.join("new/folder");
    for name in ["registry", "sigstore", "flasksample-v1", "release.pub"] {
        assert!(kept.join(name).exists(), "{name}");
    }
    assert_eq!(files(&sandbox.join("tmp")), [""; 0]);
}

#[test]
fn who_stops_it_finds_nothing_left_either() {
    let sandbox = Sandbox::new();
    let program = sandbox.command(SEALMARK).arg("demo");
    let (demo, ()) = program.serve(|line| line.starts_with("$ sealmark attest ").then_some(()));
    assert_ne!(files(&sandbox.join("tmp")), [""; 0]);
    assert_eq!(demo.terminate().code(), Some(1));
    assert_eq!(files(&sandbox.join("tmp")), [""; 0]);
}

#[test]
fn the_tour_in_the_readme_is_what_the_demo_prints() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, tour) = readme.split_once("\n## The tour\n").expect("a tour");
    let tour = tour.split("\n## ").next().unwrap();
    let pieces: Vec<_> = tour
        .split("```console\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(pieces.len() > 3, "the tour has lost its steps");
    let demo = demo(&Sandbox::new(), &[]).success();
    let printed = normalised(&demo.stdout());
    let mut rest = printed.as_str();
    for piece in pieces {
        // Each is a passage of what is printed, whole lines of it, in the same order.
        let piece = format!("\n{}", normalised(piece));
        let (_, after) = rest.split_once(&piece).unwrap_or_else(|| {
            panic!("the demo does not print this, or not here:\n{piece}\n--- it prints\n{printed}")
        });
        rest = after;
    }
    assert!(
        rest.is_empty(),
        "the tour ends before the demo does:\n{rest}"
    );
}
