//! `cargo xtask release`: the program as users get it, in `dist/NAME/`, where NAME is `sealmark-VERSION-TARGET`.
//!
//! Invariant: what a user is told to check in `docs/install.md` has been checked here, with the user's tools, before the
//! folder is in its place. What is built is a commit, never what lies about in the checkout.

mod build;
mod crates;
mod pack;
mod sign;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Outcome};

/// What is asked for.
struct Options {
    /// Build twice and compare.
    check: bool,
    /// Where the folder goes.
    out: PathBuf,
    /// Pack this program instead of building one.
    binary: Option<PathBuf>,
    signer: Option<Signer>,
}

/// Who signs.
enum Signer {
    /// A key: a file, or in a provider.
    Key(String),
    /// An identity, by flags of `sealmark sign-blob`.
    Identity(Vec<String>),
}

/// The commit that is released.
struct Commit {
    id: String,
    /// When it was made, in seconds since 1970: the only time that is in a release.
    seconds: String,
    /// Whether the checkout is that commit.
    is_clean: bool,
}

impl Commit {
    fn of(checkout: &Path) -> Outcome<Self> {
        let git = |words: &[&str]| {
            let mut git = Command::new("git");
            let output = process::succeed(git.args(words).current_dir(checkout));
            output.map(|text| text.trim().to_owned())
        };
        Ok(Self {
            id: git(&["rev-parse", "--verify", "HEAD"])?,
            seconds: git(&["show", "-s", "--format=%ct", "HEAD"])?,
            is_clean: git(&["--no-optional-locks", "status", "--porcelain"])?.is_empty(),
        })
    }
}

/// Builds, packs, signs and checks.
pub(crate) fn run(checkout: &Path, words: &[&str]) -> Outcome<()> {
    let options = Options::parse(checkout, words)?;
    let commit = Commit::of(checkout)?;
    let target = build::host(checkout)?;
    let name = format!("sealmark-{}-{target}", env!("CARGO_PKG_VERSION"));
    let work = build::target_folder(checkout).join("releases");
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None if !commit.is_clean => {
            return Err(
                "the checkout has changes that are not committed; a release is of a commit".into(),
            );
        }
        None => {
            let first = build::build(checkout, &commit, &target, &work.join("first"))?;
            if options.check {
                let folder = work.join("somewhere/else/the-second");
                let second = build::build(checkout, &commit, &target, &folder)?;
                build::same(&first, &second)?;
                println!("both builds have the same bytes");
            }
            first
        }
    };
    process::create_dir(&options.out)?;
    let release = tempfile::tempdir_in(&options.out)
        .map_err(|error| format!("cannot make a folder in {}: {error}", options.out.display()))?;
    let folder = release.path().join(&name);
    pack::pack(checkout, &binary, &commit, &target, &name, &folder)?;
    match &options.signer {
        Some(signer) => sign::sign(signer, &name, &folder)?,
        None => println!("not signed: give --key KEY, or --identity and flags of sign-blob"),
    }
    let place = options.out.join(&name);
    process::remove_dir(&place)?;
    process::rename(&folder, &place)?;
    println!("{}", place.display());
    for file in process::list(&place)? {
        println!("  {}", file.file_name().unwrap_or_default().display());
    }
    Ok(())
}

impl Options {
    fn parse(checkout: &Path, words: &[&str]) -> Outcome<Self> {
        let mut options = Self {
            check: false,
            out: checkout.join("dist"),
            binary: None,
            signer: None,
        };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word {
                "--check" => options.check = true,
                "--out" => options.out = PathBuf::from(value()?),
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                "--key" => options.signer = Some(Signer::Key(value()?.to_owned())),
                "--identity" => {
                    let rest = words.by_ref().map(str::to_owned).collect();
                    options.signer = Some(Signer::Identity(rest));
                }
                other => {
                    return Err(format!("not an option of `cargo xtask release`: {other}").into());
                }
            }
        }
        if options.check && options.binary.is_some() {
            return Err("--check builds twice, and --binary builds nothing".into());
        }
        Ok(options)
    }
}
