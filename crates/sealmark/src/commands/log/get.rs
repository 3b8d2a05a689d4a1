//! `log get`: show an entry, proven to be in the log.

use sealmark_rekor::{Entry, EntryId};

use super::session::{Log, LogFlags, Session};
use super::{Format, shown};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The entry's UUID: 64 hex digits, or 80 with the tree's id
    #[arg(
        long,
        value_name = "UUID",
        required_unless_present = "log_index",
        conflicts_with = "log_index"
    )]
    uuid: Option<EntryId>,
    /// The entry's index, across shards
    #[arg(long, value_name = "INDEX", alias = "log_index")]
    log_index: Option<u64>,
    /// How the entry is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
    #[command(flatten)]
    log: LogFlags,
}

/// Prints the entry.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let session = arguments.log.open(terminal).await?;
    let (entry, what) = find(&session, &arguments).await?;
    let entry = entry
        .ok_or_else(|| Error::Log(format!("{} has no entry with the {what}", session.url())))?;
    session.compare_entry(&entry).await?;
    shown::entry(&entry, session.url(), arguments.output, terminal)
}

async fn find(session: &Session, arguments: &Arguments) -> Result<(Option<Entry>, String), Error> {
    match (&session.log, &arguments.uuid, arguments.log_index) {
        (Log::V1(client), Some(id), _) => Ok((client.get(id).await?, format!("UUID {id}"))),
        (Log::V1(client), None, Some(index)) => {
            let entry = client.get_by_index(index).await?;
            Ok((entry, format!("index {index}")))
        }
        (Log::V2(client), None, Some(index)) => {
            Ok((client.get(index).await?, format!("index {index}")))
        }
        (Log::V2(_), Some(_), _) => Err(Error::NotSupported(format!(
            "--uuid with {}: a log of version 2 finds entries by their index alone; give --log-index",
            session.url()
        ))),
        (_, None, None) => Err(Error::Usage("give --uuid or --log-index".to_owned())),
    }
}
