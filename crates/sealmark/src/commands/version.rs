//! `version`: what this program is and how it was built.
//!
//! The facts are collected by `build.rs`; one that could not be found out is `unknown`, and it is said why.

use serde::Serialize;

use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The facts, named as cosign names them where it has them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: &'static str,
    git_commit: &'static str,
    git_tree_state: &'static str,
    /// Why the facts from git are unknown.
    #[serde(skip_serializing_if = "str::is_empty")]
    git_note: &'static str,
    build_date: &'static str,
    rust_version: &'static str,
    compiler: &'static str,
    platform: String,
    target: &'static str,
    profile: &'static str,
    features: Vec<&'static str>,
    /// Whose signatures, hashes and TLS these are.
    crypto_engine: &'static str,
    /// Whether the engine is its maker's validated module.
    fips: bool,
    linkage: &'static str,
}

/// How the system's libraries come to the program.
const LINKAGE: &str = if cfg!(target_feature = "crt-static") {
    "static"
} else if cfg!(all(target_os = "linux", target_env = "gnu")) {
    "dynamic (glibc)"
} else {
    "dynamic"
};

const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Prints the facts.
pub(crate) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let version = Version::of_this_program();
    if arguments.json {
        return terminal.json(&version);
    }
    terminal.line(env!("CARGO_PKG_DESCRIPTION"))?;
    terminal.line("")?;
    let commit = if version.git_note.is_empty() {
        version.git_commit.to_owned()
    } else {
        format!("{} ({})", version.git_commit, version.git_note)
    };
    let features = if version.features.is_empty() {
        "none".to_owned()
    } else {
        version.features.join(",")
    };
    for (name, value) in [
        ("GitVersion", version.git_version),
        ("GitCommit", &commit),
        ("GitTreeState", version.git_tree_state),
        ("BuildDate", version.build_date),
        ("RustVersion", version.rust_version),
        ("Compiler", version.compiler),
        ("Platform", &version.platform),
        ("Target", version.target),
        ("Profile", version.profile),
        ("Features", &features),
        ("CryptoEngine", version.crypto_engine),
        ("FIPS", if version.fips { "yes" } else { "no" }),
        ("Linkage", version.linkage),
    ] {
        terminal.line(format!("{:<15}{value}", format!("{name}:")))?;
    }
    Ok(())
}

impl Version {
    fn of_this_program() -> Self {
        Self {
            git_version: VERSION,
            git_commit: env!("SEALMARK_GIT_COMMIT"),
            git_tree_state: env!("SEALMARK_GIT_TREE_STATE"),
            git_note: env!("SEALMARK_GIT_NOTE"),
            build_date: env!("SEALMARK_BUILD_DATE"),
            rust_version: env!("SEALMARK_RUSTC"),
            compiler: "rustc",
            platform: platform(std::env::consts::OS, std::env::consts::ARCH),
            target: env!("SEALMARK_TARGET"),
            profile: env!("SEALMARK_PROFILE"),
            features: env!("SEALMARK_FEATURES")
                .split(',')
                .filter(|f| !f.is_empty())
                .collect(),
            crypto_engine: env!("SEALMARK_ENGINE"),
            // Our aws-lc-rs is built without its feature `fips`.
            fips: false,
            linkage: LINKAGE,
        }
    }
}

/// The platform in the words that images use: `linux/amd64`.
fn platform(os: &str, architecture: &str) -> String {
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    };
    let os = if os == "macos" { "darwin" } else { os };
    format!("{os}/{architecture}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_names_that_scripts_look_for() {
        let json = serde_json::to_value(Version::of_this_program()).unwrap();
        for name in [
            "gitVersion",
            "gitCommit",
            "gitTreeState",
            "buildDate",
            "compiler",
            "platform",
            "cryptoEngine",
            "linkage",
        ] {
            assert!(
                json[name].as_str().is_some_and(|value| !value.is_empty()),
                "{name}"
            );
        }
        assert_eq!(json["gitVersion"], VERSION);
        let engine = json["cryptoEngine"].as_str().unwrap();
        assert!(engine.contains("aws-lc-sys 0."), "{engine}");
        // Either the commit is known, or it is said why not.
        assert_eq!(json["gitCommit"] == "unknown", json["gitNote"].is_string());
        let date: jiff::Timestamp = json["buildDate"].as_str().unwrap().parse().unwrap();
        assert!(date <= jiff::Timestamp::now());
    }

    #[test]
    fn platforms_are_named_as_images_name_them() {
        assert_eq!(platform("linux", "x86_64"), "linux/amd64");
        assert_eq!(platform("macos", "aarch64"), "darwin/arm64");
    }
}
