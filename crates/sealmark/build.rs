//! Facts about this build for `sealmark version`: commit, date, compiler.
//!
//! Nothing here can fail the build: a fact that cannot be found out is `unknown`. The script runs again only when
//! git's state changes, not at every build; an edit that git has not been told of can thus be missed in the tree
//! state until the next commit or `git add`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What git, or the package, says about the source.
struct Source {
    commit: String,
    tree_state: &'static str,
    /// Seconds since 1970.
    committed: Option<u64>,
    /// Why the commit is unknown.
    note: &'static str,
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let source = from_package(&manifest_dir)
        .or_else(|_| from_git(&manifest_dir))
        .unwrap_or_else(|note| Source {
            commit: "unknown".into(),
            tree_state: "unknown",
            committed: None,
            note,
        });
    let seconds = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok())
        // Two builds of the same commit shall be the same.
        .or_else(|| source.committed.filter(|_| source.tree_state == "clean"))
        .or_else(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .map(|now| now.as_secs())
        })
        .unwrap_or_default();
    let rustc = output(Command::new(variable("RUSTC")).arg("--version"));
    for (name, value) in [
        ("GIT_COMMIT", source.commit.as_str()),
        ("GIT_TREE_STATE", source.tree_state),
        ("GIT_NOTE", source.note),
        ("BUILD_DATE", &rfc3339(seconds)),
        ("RUSTC", rustc.as_deref().unwrap_or("unknown")),
        ("TARGET", &variable("TARGET")),
        ("PROFILE", &variable("PROFILE")),
        ("FEATURES", &features()),
        ("ENGINE", &engine(&manifest_dir)),
    ] {
        println!("cargo::rustc-env=SEALMARK_{name}={value}");
    }
}

/// `.cargo_vcs_info.json`, which cargo puts into a package.
fn from_package(manifest_dir: &Path) -> Result<Source, &'static str> {
    let path = manifest_dir.join(".cargo_vcs_info.json");
    let text = std::fs::read_to_string(&path).map_err(|_| "no package information")?;
    println!("cargo::rerun-if-changed={}", path.display());
    let commit = text
        .split_once("\"sha1\"")
        .and_then(|(_, rest)| rest.split('"').nth(1))
        .filter(|commit| is_hex(commit))
        .ok_or("the package does not name a commit")?;
    let tree_state = if text.contains("\"dirty\": true") {
        "dirty"
    } else {
        "clean"
    };
    Ok(Source {
        commit: commit.to_owned(),
        tree_state,
        committed: None,
        note: "",
    })
}

fn from_git(manifest_dir: &Path) -> Result<Source, &'static str> {
    let git = |arguments: &[&str]| {
        // Without optional locks, or this very script would touch the index that it watches.
        output(
            Command::new("git")
                .arg("--no-optional-locks")
                .args(arguments)
                .current_dir(manifest_dir),
        )
    };
    let top = git(&["rev-parse", "--show-toplevel"])
        .ok_or("not built from a git checkout, or without git")?;
    let root = manifest_dir
        .ancestors()
        .nth(2)
        .and_then(|root| root.canonicalize().ok());
    if root != Path::new(&top).canonicalize().ok() {
        return Err("the source is inside of another project's git checkout");
    }
    let branch = git(&["rev-parse", "--symbolic-full-name", "HEAD"]).unwrap_or_default();
    for name in ["HEAD", "index", "packed-refs", &branch] {
        // Cargo takes a file that is not there for changed, so only those that are there are watched.
        let path = git(&["rev-parse", "--git-path", name]).map(|path| manifest_dir.join(path));
        if let Some(path) = path.filter(|path| path.is_file()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let commit = git(&["rev-parse", "--verify", "HEAD"])
        .filter(|commit| is_hex(commit))
        .ok_or("the git checkout has no commit yet")?;
    let committed = git(&["show", "-s", "--format=%ct", "HEAD"]).and_then(|text| text.parse().ok());
    let tree_state = match git(&["status", "--porcelain"]).as_deref() {
        Some("") => "clean",
        Some(_) => "dirty",
        None => "unknown",
    };
    Ok(Source {
        commit,
        tree_state,
        committed,
        note: "",
    })
}

fn is_hex(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Standard output of a command that succeeded.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "unknown".to_owned())
}

/// The cryptography that `Cargo.lock` has, with its versions.
fn engine(manifest_dir: &Path) -> String {
    let lock = manifest_dir
        .ancestors()
        .map(|folder| folder.join("Cargo.lock"))
        .find(|file| file.is_file());
    let text = lock
        .inspect(|file| println!("cargo::rerun-if-changed={}", file.display()))
        .and_then(|file| std::fs::read_to_string(file).ok())
        .unwrap_or_default();
    let version = |name: &str| {
        let (_, rest) = text.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next()
    };
    match (version("aws-lc-rs"), version("aws-lc-sys")) {
        (Some(rs), Some(sys)) => format!("AWS-LC (aws-lc-rs {rs}, aws-lc-sys {sys})"),
        _ => "AWS-LC, of an unknown version".to_owned(),
    }
}

/// The features that the program is built with, separated by commas.
fn features() -> String {
    let mut features: Vec<String> = std::env::vars()
        .filter_map(|(name, _)| {
            Some(
                name.strip_prefix("CARGO_FEATURE_")?
                    .to_lowercase()
                    .replace('_', "-"),
            )
        })
        .filter(|feature| feature != "default")
        .collect();
    features.sort();
    features.join(",")
}

/// Seconds since 1970 as `2024-05-01T12:00:00Z`.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years: http://howardhinnant.github.io/date_algorithms.html
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
