//! `serve backup`: copy a whole instance, while it may be served.

use std::path::PathBuf;

use sealmark_server::instance::{backup, references};
use serde_json::json;

use super::status::Format;
use super::{blocking, password};
use crate::commands::log::absolute;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Directory of the instance, which may be served meanwhile
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the copy is made; nothing may be there. It has the private keys
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Copies.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let (directory, to) = (absolute(&arguments.dir)?, absolute(&arguments.to)?);
    let place = to.clone();
    let elsewhere = blocking(move || {
        backup(&directory, &to)?;
        Ok(references(&to)?)
    })
    .await?;
    let wrapped = password::wrapped(&place)?;
    if arguments.output == Format::Json {
        let names = elsewhere
            .iter()
            .map(|its| json!({"service": its.service, "reference": its.reference}));
        let names = names.collect::<Vec<_>>();
        let key = wrapped.as_ref().map(|wrapped| wrapped.key());
        return terminal
            .json(&json!({"backup": place, "keysElsewhere": names, "passwordKms": key}));
    }
    terminal.line(format!("copied to {}", place.display()))?;
    for its in elsewhere {
        let (service, place) = (its.service, its.reference);
        terminal.note(format!(
            "a key of {service} is not in it, only its name: {place}; who serves the copy needs that key"
        ));
    }
    if let Some(wrapped) = &wrapped {
        let key = wrapped.key();
        terminal.note(format!(
            "the private keys in it are encrypted with a password that {key} wraps; who serves the copy needs that key"
        ));
    }
    terminal.note(format!(
        "it has the private keys. To restore it: sealmark serve --dir {} and the other flags of the instance",
        place.display()
    ));
    Ok(())
}
