//! `log upload`: put an entry into a log, and prove that it is there.

use sealmark_rekor::{Entry, Uploaded, proposal};
use serde_json::json;

use super::entry_flags::EntryFlags;
use super::session::{Log, LogFlags, Session};
use super::{Format, shown};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    entry: EntryFlags,
    /// How the result is printed
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

/// Sends the entry, and prints where it is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    arguments.log.note_public(terminal);
    let session = arguments.log.open(terminal).await?;
    let (uploaded, is_believed) = match &session.log {
        Log::V1(client) => {
            let proposed = arguments.entry.v1()?;
            let leaf = proposal::leaf_of(&proposed)?;
            let uploaded = client.upload(&proposed, leaf.as_deref()).await?;
            (uploaded, leaf.is_none())
        }
        Log::V2(client) => (client.upload(arguments.entry.v2()?).await?, false),
    };
    if is_believed {
        terminal.warn(format!(
            "that entry {} is the one that was sent is the server's word: entries of kind {} are not known here",
            uploaded.entry.log_entry.log_index, uploaded.entry.log_entry.kind
        ));
    }
    session.compare_entry(&uploaded.entry).await?;
    print(&uploaded, &session, arguments.output, terminal)
}

fn print(
    uploaded: &Uploaded,
    session: &Session,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let (entry, index) = (&uploaded.entry, uploaded.entry.log_entry.log_index);
    let place = place(session, entry);
    match format {
        Format::Tle => shown::entry(entry, session.url(), format, terminal),
        Format::Json => {
            let mut json = shown::json(entry);
            if let Some(fields) = json.as_object_mut() {
                fields.insert("Location".into(), json!(place));
                fields.insert("AlreadyExists".into(), json!(uploaded.is_duplicate));
            }
            terminal.json(&json)
        }
        Format::Default => {
            terminal.line(match uploaded.is_duplicate {
                true => {
                    format!("Entry already exists at index {index}, available at: {place}")
                }
                false => format!("Created entry at index {index}, available at: {place}"),
            })?;
            terminal.line(format!("UUID: {}", entry.id))?;
            terminal.line(format!("Verified: {}", shown::proofs(entry).join(", ")))
        }
    }
}

/// Where the entry can be looked at.
fn place(session: &Session, entry: &Entry) -> String {
    let (url, index) = (session.url(), entry.log_entry.log_index);
    match &session.log {
        Log::V1(_) => format!("{url}/api/v1/log/entries/{}", entry.id),
        Log::V2(_) => {
            // As the tree of the proof has it.
            let width = sealmark_tlog::tile::WIDTH as u64;
            let first = index / width * width;
            let entries = entry.checkpoint.size.saturating_sub(first).min(width);
            let bundle = sealmark_tlog::tile::Bundle::new(first / width, entries as usize);
            let path = bundle.map_or_else(String::new, |bundle| bundle.to_string());
            format!("{url}/api/v2/{path}")
        }
    }
}
