//! The client that the public suite tuf-conformance drives.
//!
//! Its command line is the suite's contract:
//!
//! ```text
//! sealmark-tuf-conformance --metadata-dir DIR init ROOT
//! sealmark-tuf-conformance --metadata-dir DIR --metadata-url URL refresh
//! sealmark-tuf-conformance --metadata-dir DIR --metadata-url URL --target-name NAME…
//!     --target-base-url URL --target-dir DIR download
//! ```
//!
//! Exit code 0 is done, 1 is refused. What time it is says the C library's clock, which the suite turns.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use sealmark_trust::tuf::Client;

const USAGE: &str = "usage: sealmark-tuf-conformance --metadata-dir DIR (init ROOT | --metadata-url URL refresh | \
     --metadata-url URL --target-name NAME… --target-base-url URL --target-dir DIR download)";

fn main() -> ExitCode {
    let done = Request::parse(std::env::args().skip(1).collect()).and_then(|request| request.run());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Request {
    metadata_dir: Option<PathBuf>,
    metadata_url: Option<String>,
    target_names: Vec<String>,
    target_base_url: Option<String>,
    target_dir: Option<PathBuf>,
    /// The command and what follows it.
    command: Vec<String>,
}

impl Request {
    fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut request = Self::default();
        let mut rest = arguments.into_iter().peekable();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .ok_or_else(|| format!("{argument} needs a value\n{USAGE}"))
            };
            match argument.as_str() {
                "--metadata-dir" => request.metadata_dir = Some(value()?.into()),
                "--metadata-url" => request.metadata_url = Some(value()?),
                "--target-base-url" => request.target_base_url = Some(value()?),
                "--target-dir" => request.target_dir = Some(value()?.into()),
                "--target-name" => {
                    request.target_names.push(value()?);
                    // Further names, if another option comes after them; else this is the command.
                    let mut words = Vec::new();
                    while let Some(word) = rest.next_if(|word| !word.starts_with("--")) {
                        words.push(word);
                    }
                    match rest.peek().is_some() {
                        true => request.target_names.append(&mut words),
                        false => request.command.append(&mut words),
                    }
                }
                option if option.starts_with("--") => {
                    return Err(format!("unknown: {option}\n{USAGE}"));
                }
                _ => request.command.push(argument),
            }
        }
        Ok(request)
    }

    fn run(&self) -> Result<(), String> {
        let directory = needed(self.metadata_dir.as_deref(), "--metadata-dir")?;
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        match command.as_slice() {
            ["init", root] => {
                let root = std::fs::read(root).map_err(|e| format!("cannot read {root}: {e}"))?;
                Client::trust(directory, &root).map_err(|error| error.to_string())
            }
            ["refresh"] => self.update(directory, false),
            ["download"] => self.update(directory, true),
            _ => Err(USAGE.to_owned()),
        }
    }

    /// Brings the metadata up to date, and downloads targets if that is what is asked for.
    fn update(&self, directory: &Path, download: bool) -> Result<(), String> {
        let url = needed(self.metadata_url.as_deref(), "--metadata-url")?;
        let client = Client::new(directory, url, Timestamp::now());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        runtime.block_on(async {
            let repository = client.refresh().await.map_err(|error| error.to_string())?;
            if !download {
                return Ok(());
            }
            let url = needed(self.target_base_url.as_deref(), "--target-base-url")?;
            let directory = needed(self.target_dir.as_deref(), "--target-dir")?;
            if self.target_names.is_empty() {
                return Err(format!("--target-name is missing\n{USAGE}"));
            }
            for name in &self.target_names {
                let done = repository.download(name, url, directory).await;
                done.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}

fn needed<'a, T: ?Sized>(value: Option<&'a T>, name: &str) -> Result<&'a T, String> {
    value.ok_or_else(|| format!("{name} is missing\n{USAGE}"))
}
