//! `log`: what rekor-cli does, with proofs. One file per subcommand.
//!
//! Invariant: what these commands print of a log was proven on this machine, unless a line says that it was not.

mod files;
mod get;
mod info;
mod session;
mod shown;

use crate::error::Error;
use crate::terminal::Terminal;

/// The subcommands.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show an entry of a log
    Get(get::Arguments),
    /// Show how many entries a log has, and that it only ever grew
    #[command(visible_alias = "loginfo")]
    Info(info::Arguments),
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.action {
        Action::Get(arguments) => get::run(arguments, terminal).await,
        Action::Info(arguments) => info::run(arguments, terminal).await,
    }
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Default,
    /// For programs.
    Json,
    /// A `TransparencyLogEntry`, as bundles have it.
    Tle,
}

impl Format {
    /// Refuses the form of entries for what is none.
    fn without_tle(self, what: &str) -> Result<Self, Error> {
        match self {
            Self::Tle => Err(Error::Usage(format!(
                "--output tle is the form of entries, and {what} is none; write --output json"
            ))),
            other => Ok(other),
        }
    }
}
