//! `log fsck`: read a whole log that is not served, and say where it contradicts itself.

use std::path::PathBuf;

use sealmark_server::log::fsck;
use serde_json::{Value, json};

use super::Format;
use super::rotate::absolute;
use crate::commands::serve::password;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Directory of the log, or a backup of it; stop the server first, or check a backup
    dir: PathBuf,
    /// How the result is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
}

/// Checks.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let format = arguments.output.without_tle("a report")?;
    let directory = absolute(&arguments.dir)?;
    let password = password::of(&directory, terminal).await?;
    let folder = directory.clone();
    let report = super::blocking(move || Ok(fsck(&folder, &password)?)).await?;
    let count = report.findings.len();
    if format == Format::Json {
        let trees = report.trees.iter();
        let trees =
            trees.map(|(tree, origin, size)| json!({"tree": tree, "origin": origin, "size": size}));
        let findings = report.findings.iter();
        let findings = findings.map(|found| json!({"place": found.place, "reason": found.reason}));
        terminal.json(&json!({
            "sound": count == 0,
            "trees": trees.collect::<Vec<Value>>(),
            "findings": findings.collect::<Vec<Value>>(),
        }))?;
    } else {
        for (tree, origin, size) in &report.trees {
            terminal.line(format!("{tree} ({origin}): {size} entries read"))?;
        }
        for found in &report.findings {
            terminal.line(format!("{}: {}", found.place, found.reason))?;
        }
        if count == 0 {
            terminal.line("sound: every entry, tile, checkpoint and key is as it was written")?;
        }
    }
    match count {
        0 => Ok(()),
        _ => Err(Error::Unsound {
            path: directory,
            count,
        }),
    }
}
