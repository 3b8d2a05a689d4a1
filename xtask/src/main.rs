//! `cargo xtask`: everything a contributor does twice, one module per command.
//!
//! Invariant: nothing is written outside the checkout (and Cargo's own home); what is fetched goes into
//! `.peers/`, which Git ignores and which may be deleted at any time.

mod apt;
mod arch;
mod bench;
mod cargo_deny;
mod fuzz;
mod go_programs;
mod image;
mod libraries;
mod localstack;
mod node;
mod openbao;
mod peers;
mod process;
mod python;
mod release;
mod softhsm;
mod sources;
mod test;
mod wasm;

use std::path::PathBuf;
use std::process::ExitCode;

use process::Outcome;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  peers          fetch the programs that the tests run against into .peers/
  image          build the OCI images that the tests sign into .peers/images/
  arch           check the architecture's rules
  test           run every check and every test
    --list         print the steps and stop
    --only STEP    run this step only (may be repeated)
  bench          measure Sealmark beside cosign and write docs/benchmarks.md
    --help         print the cases and the other options
    log            the transparency log under load, a section of its own
    ca             the certificate and timestamp authorities under load, likewise
  release        build the committed program into dist/, with SBOM, checksums, manual pages, completions
    --check        build it twice, in two folders, and compare the bytes
    --key KEY      sign with this key: a file, or in a provider
    --identity …   sign with an identity; what follows are flags of `sealmark sign-blob`
    --binary FILE  build nothing, pack this program
    --out DIR      another folder than dist/
  fuzz [TARGET…] run fuzz targets, all or some; findings go to fuzz/artifacts/
    --seconds N    each for so long (60)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if fuzz::is_rustc() {
        return fuzz::rustc(&arguments);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Outcome<()> {
    let checkout = checkout();
    match arguments {
        ["peers"] => peers::fetch(&checkout),
        ["image"] => image::build(&checkout),
        ["arch"] => arch::check(&checkout),
        ["bench", options @ ..] => bench::run(&checkout, options),
        ["fuzz", options @ ..] => fuzz::run(&checkout, options),
        ["release", options @ ..] => release::run(&checkout, options),
        ["test", options @ ..] => test::run(&checkout, options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("not a command: {}\n\n{USAGE}", arguments.join(" ")).into()),
    }
}

/// The root of the checkout: the folder above this crate, where Cargo says that it is now.
fn checkout() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_path_buf()
}
