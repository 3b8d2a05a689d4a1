//! `log verify`: is an artifact's signature in the log?
//!
//! The entry is computed here from the files, and looked for by its hash, so that no server decides what it is.

use sealmark_rekor::{Entry, EntryId, proposal, v1};
use sealmark_tlog::merkle::leaf_hash;

use super::entry_flags::EntryFlags;
use super::session::{Log, LogFlags};
use super::{Format, shown};
use crate::error::{Error, VerificationExit};
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    entry: EntryFlags,
    /// Index of the entry, for a log of version 2, which cannot be searched
    #[arg(long, value_name = "INDEX", alias = "log_index")]
    log_index: Option<u64>,
    /// UUID of the entry, if several shards have one
    #[arg(long, value_name = "UUID")]
    uuid: Option<EntryId>,
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

/// Looks for the entry, and prints it.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let session = arguments.log.open(terminal).await?;
    let entry = match &session.log {
        Log::V1(client) => in_v1(client, &arguments, terminal).await?,
        Log::V2(client) => {
            let leaf = arguments
                .entry
                .v2()?
                .check()
                .map_err(|cause| no_entry(&cause))?
                .leaf;
            let index = arguments.log_index.ok_or_else(|| {
                Error::Usage(format!(
                    "{} speaks version 2, which cannot look for an entry; say where it is with --log-index, or watch \
                     the log with `sealmark log monitor`",
                    session.url()
                ))
            })?;
            let entry = client.get(index).await?;
            entry.filter(|entry| entry.log_entry.canonicalized_body == leaf)
        }
    };
    let entry = entry.ok_or_else(|| Error::Verification {
        exit: VerificationExit::Unsigned,
        message: match arguments.log_index {
            Some(index) => format!(
                "entry {index} of {} is not this signature of this artifact by this key",
                session.url()
            ),
            None => format!(
                "{} has no entry of this signature of this artifact by this key",
                session.url()
            ),
        },
    })?;
    session.compare_entry(&entry).await?;
    shown::entry(&entry, session.url(), arguments.output, terminal)
}

async fn in_v1(
    client: &v1::Client,
    arguments: &Arguments,
    terminal: &Terminal,
) -> Result<Option<Entry>, Error> {
    let proposed = arguments.entry.v1()?;
    let leaf = proposal::leaf_of(&proposed).map_err(|error| match error {
        sealmark_rekor::Error::Entry(cause) => no_entry(&cause),
        other => other.into(),
    })?;
    let Some(leaf) = leaf else {
        terminal.warn(
            "that the entry is the one of these files is the server's word: entries of this kind are not known here",
        );
        let mut found = client.find(&proposed).await?;
        return Ok(found.pop());
    };
    let leaf = leaf_hash(&leaf);
    let id = match arguments.uuid {
        Some(id) if id.leaf != leaf => return Ok(None),
        Some(id) => id,
        None => EntryId { tree: None, leaf },
    };
    let entry = match arguments.log_index {
        Some(index) => client
            .get_by_index(index)
            .await?
            .filter(|entry| entry.id.leaf == leaf),
        None => client.get(&id).await?,
    };
    Ok(entry)
}

/// The files are no entry of any log: the signature is not good.
fn no_entry(cause: &sealmark_entries::Error) -> Error {
    Error::Verification {
        exit: VerificationExit::NoMatch,
        message: format!("no log can have this: {cause}"),
    }
}
