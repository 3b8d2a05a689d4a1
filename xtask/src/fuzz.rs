//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, built and run with stable Rust.
//!
//! libFuzzer is guided by coverage, which is counted by code that the compiler puts into a crate when it is told to. Here
//! only Sealmark's own crates are told to: Cargo calls this program in place of rustc ([`rustc`]), and what others
//! wrote is used as the tests have it built already. cargo-fuzz works with the same folder, and needs nightly Rust.
//!
//! Invariant: a finding is a file in `fuzz/artifacts/TARGET`, and the command then fails.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process::{self, Outcome};

/// Says to this program that it is called in place of rustc.
const IN_PLACE_OF_RUSTC: &str = "SEALMARK_FUZZ_RUSTC";

/// Says to a target that it is to write its seeds into this folder.
const SEEDS: &str = "SEALMARK_FUZZ_SEEDS";

/// How long each target runs if nothing else is said.
const SECONDS: u32 = 60;

/// How long each target runs in `cargo xtask test`, beside its seeds and regressions: enough to see that it works.
const SMOKE_SECONDS: u32 = 3;

/// A target that takes longer for one input, in seconds, has found something. Slow machines are busy machines.
const TIMEOUT: u32 = 20;

/// A target that takes more memory in all, in MiB, has found something.
const MEMORY: u32 = 2048;

/// Longer inputs are not made. The largest fixture has 12 KiB.
const MAX_LENGTH: u32 = 32 << 10;

/// A target that sees fewer branches than this was built without counters.
const MIN_COVERAGE: u64 = 30;

/// What makes LLVM count: as cargo-fuzz does it, but for the sanitizers, which need nightly Rust.
const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Whether this program is called in place of rustc.
pub(crate) fn is_rustc() -> bool {
    std::env::var_os(IN_PLACE_OF_RUSTC).is_some()
}

/// Calls rustc as Cargo does, and has Sealmark's own crates counted.
pub(crate) fn rustc(arguments: &[String]) -> ExitCode {
    let [program, arguments @ ..] = arguments else {
        eprintln!("error: {IN_PLACE_OF_RUSTC} is set: unset it");
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let ours = std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name.starts_with("sealmark"));
    if ours {
        command.args(COVERAGE);
        let is_program = arguments
            .windows(2)
            .any(|pair| pair == ["--crate-type", "bin"]);
        if is_program {
            // Each target would have 20 MB of the libraries' line tables.
            command.arg("-Cstrip=debuginfo");
        }
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot run {program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the targets that `options` name, or all; new inputs are kept in `fuzz/corpus`.
pub(crate) fn run(checkout: &Path, options: &[&str]) -> Outcome<()> {
    let mut seconds = SECONDS;
    let mut chosen = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--seconds" => {
                seconds = options
                    .next()
                    .and_then(|text| text.parse().ok())
                    .filter(|seconds| *seconds > 0)
                    .ok_or("--seconds needs a number that is not 0")?;
            }
            other if other.starts_with('-') => {
                return Err(format!("not an option of `cargo xtask fuzz`: {other}").into());
            }
            target => chosen.push(target.to_owned()),
        }
    }
    let all = targets(checkout)?;
    if let Some(unknown) = chosen.iter().find(|name| !all.contains(name)) {
        return Err(format!("{unknown} is no fuzz target; there are {}", all.join(", ")).into());
    }
    let chosen = if chosen.is_empty() { all } else { chosen };
    let programs = build(checkout, &chosen)?;
    let corpus = checkout.join("fuzz/corpus");
    run_all(checkout, &chosen, &programs, &corpus, seconds)
}

/// Every target for a moment, from its seeds and regressions; nothing is kept but findings.
pub(crate) fn smoke(checkout: &Path) -> Outcome<()> {
    let mut fmt = process::cargo(checkout);
    process::show(fmt.args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    let all = targets(checkout)?;
    let programs = build(checkout, &all)?;
    let corpus = tempfile::tempdir().map_err(|error| format!("cannot create a folder: {error}"))?;
    run_all(checkout, &all, &programs, corpus.path(), SMOKE_SECONDS)
}

/// The names of all targets: one file each.
fn targets(checkout: &Path) -> Outcome<Vec<String>> {
    let files = process::list(&checkout.join("fuzz/fuzz_targets"))?;
    let name = |file: &PathBuf| Some(file.file_stem()?.to_string_lossy().into_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// Builds targets; the folder in which they are.
fn build(checkout: &Path, targets: &[String]) -> Outcome<PathBuf> {
    // The same versions as in the program, and libFuzzer beside them.
    let (lock, ours) = (
        checkout.join("Cargo.lock"),
        checkout.join("fuzz/Cargo.lock"),
    );
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    if changed(&ours) < changed(&lock) {
        process::write(&ours, process::read(&lock)?)?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout.join("target"), |folder| checkout.join(folder));
    let this = std::env::current_exe().map_err(|error| format!("cannot find xtask: {error}"))?;
    let mut command = process::cargo(checkout);
    command.args(["build", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    for target in targets {
        command.args(["--bin", target]);
    }
    command.env("CARGO_TARGET_DIR", &target);
    command
        .env("RUSTC_WRAPPER", this)
        .env(IN_PLACE_OF_RUSTC, "1");
    process::show(&mut command)?;
    Ok(target.join("debug"))
}

/// Runs targets, as many at a time as there are processors.
fn run_all(
    checkout: &Path,
    targets: &[String],
    programs: &Path,
    corpus: &Path,
    seconds: u32,
) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(targets.len());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let corpus = corpus.join(target);
                    match run_one(checkout, target, &programs.join(target), &corpus, seconds) {
                        Ok(line) => println!("{line}"),
                        Err(error) => {
                            println!("{target:<18} FAILED");
                            let failure = format!("{target}: {error}");
                            failures
                                .lock()
                                .unwrap_or_else(|held| held.into_inner())
                                .push(failure);
                        }
                    }
                }
            });
        }
    });
    let failures = failures
        .into_inner()
        .unwrap_or_else(|held| held.into_inner());
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n\nfuzz/README.md says what to do with a finding",
        failures.join("\n\n")
    )
    .into())
}

/// Runs one target; a line about what it did.
fn run_one(
    checkout: &Path,
    target: &str,
    program: &Path,
    corpus: &Path,
    seconds: u32,
) -> Outcome<String> {
    let artifacts = checkout.join("fuzz/artifacts").join(target);
    process::create_dir(&artifacts)?;
    process::create_dir(corpus)?;
    process::succeed(Command::new(program).env(SEEDS, corpus))?;
    let mut command = Command::new(program);
    command.current_dir(checkout);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={TIMEOUT}"));
    command.arg(format!("-rss_limit_mb={MEMORY}"));
    command.arg(format!("-max_len={MAX_LENGTH}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let words = checkout
        .join("fuzz/dictionaries")
        .join(format!("{target}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    command.arg(corpus);
    let regressions = checkout.join("fuzz/regressions").join(target);
    if regressions.is_dir() {
        command.arg(regressions);
    }
    let output = process::capture(&mut command)?;
    if !output.success {
        return Err(finding(&output.stderr).into());
    }
    let done = output
        .stderr
        .lines()
        .rfind(|line| line.contains("\tDONE "))
        .unwrap_or_default();
    let number = |name: &str| -> Option<u64> {
        let mut words = done.split_whitespace().skip_while(|word| *word != name);
        words.nth(1)?.parse().ok()
    };
    let runs = done
        .trim_start_matches('#')
        .split_whitespace()
        .next()
        .unwrap_or("0");
    match number("cov:") {
        Some(coverage) if coverage >= MIN_COVERAGE => Ok(format!(
            "{target:<18} {runs:>9} runs, {coverage:>6} branches"
        )),
        coverage => Err(format!(
            "it sees {} branches after {runs} runs: it was built without counters, which only `cargo build` in fuzz/ \
             can have done; run `cargo clean` and try again",
            coverage.unwrap_or(0)
        )
        .into()),
    }
}

/// What libFuzzer says of a finding, without its statistics.
fn finding(output: &str) -> String {
    let noise = ["INFO: ", "WARNING: ", "NOTE: ", "\t", "#", "Dictionary: "];
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !noise.iter().any(|start| line.starts_with(start)))
        .collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_line_in_the_manifest_and_says_what_it_promises() {
        let checkout = crate::checkout();
        let manifest = process::read(&checkout.join("fuzz/Cargo.toml")).unwrap();
        let manifest = String::from_utf8(manifest).unwrap();
        let targets = targets(&checkout).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            let file = format!("fuzz_targets/{target}.rs");
            let line = format!("{{ name = \"{target}\", path = \"{file}\" }},");
            assert!(manifest.contains(&line), "fuzz/Cargo.toml lacks {line}");
            let text = process::read(&checkout.join("fuzz").join(file)).unwrap();
            assert!(
                text.starts_with(b"//! "),
                "{target} does not say what it promises"
            );
        }
    }

    #[test]
    fn words_and_regressions_are_of_a_target_that_there_is() {
        let checkout = crate::checkout();
        let targets = targets(&checkout).unwrap();
        for folder in ["dictionaries", "regressions"] {
            let folder = checkout.join("fuzz").join(folder);
            for path in process::list(&folder).unwrap_or_default() {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                assert!(
                    targets.contains(&name),
                    "{} is of no target",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn a_finding_is_told_without_statistics() {
        let output = "INFO: Seed: 1\n#2\tINITED cov: 3\n\tNEW_FUNC[1/1]: 0x1\n\
                      thread 'x' panicked at a.rs:1:2:\nwhat was broken\n#9\tNEW cov: 4\n";
        assert_eq!(
            finding(output),
            "thread 'x' panicked at a.rs:1:2:\nwhat was broken"
        );
    }
}
