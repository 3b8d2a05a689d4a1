//! `initialize`: trust a repository of keys and certificates, the public one or a private one.

use std::path::PathBuf;

use jiff::Timestamp;
use sealmark_trust::tuf::{Options, PUBLIC_MIRROR, RootSource, STAGING_MIRROR, initialize};
use serde::Serialize;

use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The TUF repository: https://…, http://… or file:///…
    #[arg(long, value_name = "URL", default_value = PUBLIC_MIRROR)]
    mirror: String,
    /// The root to trust, a file or a URL; without it the embedded root of the public repository
    #[arg(long, value_name = "FILE|URL")]
    root: Option<String>,
    /// What the root's checksum must be: SHA-256 in hex, or sha512: and SHA-512; needed if the root is a URL
    #[arg(long, value_name = "CHECKSUM")]
    root_checksum: Option<String>,
    /// The public staging repository
    #[arg(long)]
    staging: bool,
    /// How the result is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    mirror: &'a str,
    root_version: u64,
    expires: String,
    targets: &'a [String],
    cache: PathBuf,
}

/// Fetches and checks the repository, and makes it the one that is used.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let mirror = arguments.mirror()?;
    let mut options = Options::from_environment(|name| std::env::var_os(name), Timestamp::now())?;
    options.mirror = mirror;
    let root = match arguments.root.filter(|root| !root.is_empty()) {
        Some(place) => {
            // What the flag names comes before what the environment says.
            options.root = None;
            RootSource::Location(place)
        }
        None => RootSource::Embedded,
    };
    let checksum = arguments.root_checksum.filter(|text| !text.is_empty());
    if checksum.is_none() && matches!(root, RootSource::Location(_)) {
        terminal.detail("the root is trusted as the file has it; --root-checksum would check it");
    }
    let done = initialize(&options, &root, checksum.as_deref()).await?;
    if arguments.output == "json" {
        return terminal.json(&Report {
            mirror: &done.mirror,
            root_version: done.root_version,
            expires: done.expires.to_string(),
            targets: &done.targets,
            cache: options.cache,
        });
    }
    terminal.line(format!(
        "{} is trusted, with version {} of its root; it must be renewed by {}",
        done.mirror, done.root_version, done.expires
    ))?;
    terminal.detail(format!("kept in {}", options.cache.display()));
    Ok(())
}

impl Arguments {
    fn mirror(&self) -> Result<String, Error> {
        if !self.staging {
            return Ok(self.mirror.clone());
        }
        if self.root.is_none() {
            return Err(Error::NotSupported(format!(
                "--staging without a root: that of the staging instance is not embedded; get it from a place you \
                 trust and give it with --root FILE --mirror {STAGING_MIRROR}"
            )));
        }
        match self.mirror == PUBLIC_MIRROR {
            true => Ok(STAGING_MIRROR.to_owned()),
            false => Err(Error::Usage(
                "--staging and --mirror name two repositories; give one of them".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn staging_needs_a_root() {
        let arguments = Arguments {
            mirror: PUBLIC_MIRROR.to_owned(),
            root: None,
            root_checksum: None,
            staging: true,
            output: "text".to_owned(),
        };
        let error = run(arguments, &mut Terminal::new()).await.unwrap_err();
        assert!(error.to_string().contains("not embedded"), "{error}");
    }
}
