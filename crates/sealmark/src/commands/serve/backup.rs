//! `serve backup`: copy a whole instance, while it may be served.

use std::path::PathBuf;

use sealmark_server::instance::backup;
use serde_json::json;

use super::blocking;
use super::status::Format;
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
    blocking(move || Ok(backup(&directory, &to)?)).await?;
    if arguments.output == Format::Json {
        return terminal.json(&json!({"backup": place}));
    }
    terminal.line(format!("copied to {}", place.display()))?;
    terminal.note(format!(
        "it has the private keys. To restore it: sealmark serve --dir {} and the other flags of the instance",
        place.display()
    ));
    Ok(())
}
