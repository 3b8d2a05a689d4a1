//! `log`: what rekor-cli does, with proofs. One file per subcommand.
//!
//! Invariant: what these commands print of a log was proven on this machine, unless a line says that it was not.

mod entry_flags;
mod files;
mod get;
mod info;
pub(crate) mod monitor;
mod proof;
mod search;
mod session;
mod shown;
mod upload;
mod verify;

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
    /// Put an entry into a log, and prove that it is there
    Upload(upload::Arguments),
    /// Show an entry of a log
    Get(get::Arguments),
    /// Find entries by artifact, key or name
    Search(search::Arguments),
    /// Prove that a signature is in a log
    Verify(verify::Arguments),
    /// Show how many entries a log has, and that it only ever grew
    #[command(visible_alias = "loginfo")]
    Info(info::Arguments),
    /// Prove that the log of one size is the beginning of the log of another
    #[command(visible_alias = "logproof")]
    Proof(proof::Arguments),
    /// Follow a log: prove that it only grows, and report the entries that you look for
    Monitor(Box<monitor::Arguments>),
}

impl Arguments {
    /// Whether it runs until it is told to stop, or for as long as there is something to read.
    pub(crate) fn is_unbounded(&self) -> bool {
        matches!(self.action, Action::Monitor(_))
    }
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.action {
        Action::Upload(arguments) => upload::run(arguments, terminal).await,
        Action::Search(arguments) => search::run(arguments, terminal).await,
        Action::Verify(arguments) => verify::run(arguments, terminal).await,
        Action::Proof(arguments) => proof::run(arguments, terminal).await,
        Action::Get(arguments) => get::run(arguments, terminal).await,
        Action::Info(arguments) => info::run(arguments, terminal).await,
        Action::Monitor(arguments) => monitor::run(*arguments, terminal).await,
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
