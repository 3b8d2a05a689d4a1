//! `cargo xtask bench`: Sealmark beside cosign and its siblings, in the same run, as ratios; writes
//! `docs/benchmarks.md`.
//!
//! Invariant: it reports and never judges: no figure makes it fail. All programs do the same work on the same bytes,
//! in turn; only a program that fails to do its work ends the run.

mod bundles;
mod ca;
mod cases;
mod counter;
mod generator;
mod log;
mod machine;
mod measure;
mod registry;
mod requests;
mod section;
mod server;
mod table;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use cases::{Bench, NAMES};
use table::Table;
use tools::Tools;

use crate::peers;
use crate::process::{self, Outcome};

/// How often each program runs, and how often in cases that take long.
const RUNS: (usize, usize) = (11, 5);

/// The same for `--quick`.
const QUICK_RUNS: (usize, usize) = (3, 3);

/// The programs of others that are compared.
const PEERS: [&str; 4] = [
    "cosign3",
    "sigstore-go",
    "sigstore-python",
    "docker-registry",
];

/// What counts requests, if nothing else is asked for.
const WITH_REQUESTS: [&str; 2] = ["sign", "verify"];

const USAGE: &str = "\
usage: cargo xtask bench [OPTION…] [NAME…]

  --quick              fewer runs
  --requests-only      count HTTP requests, which are exact, and measure nothing
  --show-requests      print each request that is counted
  --sealmark PROGRAM   this program instead of one built now

`cargo xtask bench log` and `cargo xtask bench ca` are apart: see their --help.

Without names: every case. docs/benchmarks.md is written if all were measured, with a
program built now. The names:
";

#[derive(Debug, Default)]
struct Options {
    quick: bool,
    requests_only: bool,
    show_requests: bool,
    sealmark: Option<PathBuf>,
    names: Vec<&'static str>,
}

/// Runs the cases that `options` name, or all.
pub(crate) fn run(checkout: &Path, options: &[&str]) -> Outcome<()> {
    if let ["--measure", command @ ..] = options {
        return measure::child(command);
    }
    if let ["help" | "--help" | "-h"] = options {
        print!("{}", usage());
        return Ok(());
    }
    if let ["log", options @ ..] = options {
        return log::run(checkout, options);
    }
    if let ["ca", options @ ..] = options {
        return ca::run(checkout, options);
    }
    let options = parse(options)?;
    let root = peers::folder(checkout);
    if ["cosign3", "oras", "docker-registry"]
        .iter()
        .any(|peer| !root.join("bin").join(peer).exists())
        || !root.join("images/oci/index.json").exists()
    {
        peers::fetch(checkout)?;
    }
    let sealmark = match &options.sealmark {
        Some(program) => std::path::absolute(program)
            .map_err(|error| format!("cannot find {}: {error}", program.display()))?,
        None => tools::build_sealmark(checkout)?,
    };
    let folder = tempfile::Builder::new()
        .prefix("sealmark-bench-")
        .tempdir()
        .map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let (runs, long_runs) = if options.quick { QUICK_RUNS } else { RUNS };
    let tools = Tools::prepare(sealmark, root, folder.path())?;
    let bench = Bench {
        registries: registry::start_all(&tools)?.into(),
        tools,
        runs,
        long_runs,
        requests_only: options.requests_only,
        show_requests: options.show_requests,
        checkout: checkout.to_path_buf(),
    };
    let mut tables = Vec::new();
    for (name, _) in NAMES {
        if options.wants(name) {
            tables.extend(bench.run(name)?);
        }
    }
    let text: Vec<String> = tables.iter().map(Table::markdown).collect();
    let text = text.join("\n");
    print!("{text}");
    if options.names.is_empty() && !options.requests_only && options.sealmark.is_none() {
        let path = checkout.join("docs/benchmarks.md");
        let old = process::read(&path).unwrap_or_default();
        let mut page = page(&bench, &text)?;
        // These take long, are other commands, and stay as they are.
        let old = String::from_utf8_lossy(&old);
        for section in [section::BUILD, log::SECTION, ca::SECTION] {
            page = section.put(&page, section.of(&old));
        }
        process::write(&path, page)?;
        eprintln!("written: {}", path.display());
    }
    Ok(())
}

fn parse(words: &[&str]) -> Outcome<Options> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => options.quick = true,
            "--requests-only" => options.requests_only = true,
            "--show-requests" => options.show_requests = true,
            "--sealmark" => {
                let program = words.next().ok_or("--sealmark needs a program")?;
                options.sealmark = Some(program.into());
            }
            word => match NAMES.iter().find(|(name, _)| *name == word) {
                Some((name, _)) => options.names.push(name),
                None => {
                    return Err(format!("not an option or a case: {word}\n\n{}", usage()).into());
                }
            },
        }
    }
    Ok(options)
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        if self.names.is_empty() {
            !self.requests_only || WITH_REQUESTS.contains(&name)
        } else {
            self.names.contains(&name)
        }
    }
}

fn usage() -> String {
    let names = NAMES.map(|(name, what)| format!("  {name:<20} {what}\n"));
    format!("{USAGE}{}", names.concat())
}

/// `docs/benchmarks.md`.
fn page(bench: &Bench, tables: &str) -> Outcome<String> {
    let floor = measure::run(&bench.tools.command(Path::new("true"), &[]))?;
    let openssl = process::succeed(Command::new(bench.tools.peer("openssl")).arg("version"))?;
    Ok(format!(
        include_str!("bench/page.md"),
        date = machine::date()?,
        machine = machine::description(),
        sealmark = env!("CARGO_PKG_VERSION"),
        peers = PEERS.map(|peer| bench.tools.version_of(peer)).join("; "),
        openssl = openssl.split(" (").next().unwrap_or(&openssl).trim(),
        runs = bench.runs,
        long_runs = bench.long_runs,
        floor_kib = floor.peak_kib,
        tables = tables.trim_end(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_every_case_runs_and_requests_alone_need_no_long_one() {
        let all = parse(&["--quick"]).unwrap();
        assert!(all.quick && NAMES.iter().all(|(name, _)| all.wants(name)));
        let requests = parse(&["--requests-only"]).unwrap();
        let wanted = NAMES.map(|(name, _)| name);
        let wanted: Vec<_> = wanted.iter().filter(|name| requests.wants(name)).collect();
        assert_eq!(wanted, [&"sign", &"verify"]);
        let named = parse(&["verify-100", "--requests-only"]).unwrap();
        assert!(named.wants("verify-100") && !named.wants("sign"));
    }

    #[test]
    fn a_word_that_is_no_case_is_an_error_that_lists_them() {
        let error = parse(&["verify-1000"]).unwrap_err().to_string();
        assert!(error.starts_with("not an option or a case: verify-1000\n"));
        assert!(NAMES.iter().all(|(name, _)| error.contains(name)));
        assert!(parse(&["--sealmark"]).is_err());
    }
}
