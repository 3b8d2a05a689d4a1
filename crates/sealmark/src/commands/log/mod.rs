//! `log`: what rekor-cli does, with proofs; and what an operator does to the directory of a log. One file per subcommand.
//!
//! Invariant: what these commands print of a log was proven on this machine, unless a line says that it was not.

mod certificates;
mod copies;
mod entry_flags;
mod files;
mod fsck;
mod get;
mod info;
pub(crate) mod monitor;
mod proof;
mod rotate;
mod search;
pub(super) mod session;
mod shown;
mod upload;
mod verify;

pub(crate) use self::rotate::{Which, absolute, name, show};
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
    /// Find what an authority has certified, for whom and when, in its certificate transparency log
    Certificates(certificates::Arguments),
    /// Prove that a signature is in a log
    Verify(verify::Arguments),
    /// Show how many entries a log has, and that it only ever grew
    #[command(visible_alias = "loginfo")]
    Info(info::Arguments),
    /// Prove that the log of one size is the beginning of the log of another
    #[command(visible_alias = "logproof")]
    Proof(proof::Arguments),
    /// Operator: end the tree of a log that takes entries, and begin the next, with a new key
    Rotate(rotate::Arguments),
    /// Operator: end a log for good; it can be read, and takes no entries any more
    Freeze(rotate::FreezeArguments),
    /// Operator: read a whole log, and say where it contradicts itself
    Fsck(fsck::Arguments),
    /// Operator: copy a log, also while it is served
    Backup(copies::BackupArguments),
    /// Operator: write a tree as lines of JSON
    Export(copies::ExportArguments),
    /// Operator: make a tree of what `export` wrote
    Import(copies::ImportArguments),
    /// Follow a log: prove that it only grows, and report the entries that you look for
    Monitor(Box<monitor::Arguments>),
}

impl Arguments {
    /// Whether it is done when it is done: an operator's command reads or writes all of a log, and a monitor follows it.
    pub(crate) fn is_unbounded(&self) -> bool {
        matches!(
            self.action,
            Action::Certificates(_)
                | Action::Rotate(_)
                | Action::Freeze(_)
                | Action::Fsck(_)
                | Action::Backup(_)
                | Action::Export(_)
                | Action::Import(_)
                | Action::Monitor(_)
        )
    }
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let result = match arguments.action {
        Action::Upload(arguments) => upload::run(arguments, terminal).await,
        Action::Search(arguments) => search::run(arguments, terminal).await,
        Action::Certificates(arguments) => certificates::run(arguments, terminal).await,
        Action::Verify(arguments) => verify::run(arguments, terminal).await,
        Action::Proof(arguments) => proof::run(arguments, terminal).await,
        Action::Get(arguments) => get::run(arguments, terminal).await,
        Action::Info(arguments) => info::run(arguments, terminal).await,
        Action::Rotate(arguments) => rotate::run(arguments, terminal).await,
        Action::Freeze(arguments) => rotate::run_freeze(arguments, terminal).await,
        Action::Fsck(arguments) => fsck::run(arguments, terminal).await,
        Action::Backup(arguments) => copies::run_backup(arguments, terminal).await,
        Action::Export(arguments) => copies::run_export(arguments, terminal).await,
        Action::Import(arguments) => copies::run_import(arguments, terminal).await,
        Action::Monitor(arguments) => monitor::run(*arguments, terminal).await,
    };
    if let Err(Error::Server(sealmark_server::Error::InUse { .. })) = &result {
        terminal.note(
            "a log that is served is not worked on: stop the server first. `sealmark log backup` copies it while it is served, and `fsck` and `export` take the copy",
        );
    }
    result
}

/// Works on files, off the threads of the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    // The task is not cancelled; if it panicked, so may this one.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
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
