//! `bundle`: make Sigstore bundles of what older tools left, bring old ones up to date, and look into them.
//!
//! What is made is of version 0.3. A signature that its key has not made is refused before anything is written.

mod create;
mod inspect;
mod upgrade;

use std::path::Path;

use sealmark_formats::bundle::LogEntry;
use sealmark_formats::legacy::RekorBundle;
use sealmark_formats::log_entry::EntryBody;

use super::log::session::{Log, LogFlags};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Make a bundle of a signature and what belongs to it
    Create(create::Arguments),
    /// Make a bundle of version 0.3 of an older one
    Upgrade(upgrade::Arguments),
    /// Say what is in a bundle and what is not; nothing is verified
    Inspect(inspect::Arguments),
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.what {
        What::Create(arguments) => create::run(arguments, terminal).await,
        What::Upgrade(arguments) => upgrade::run(arguments, terminal).await,
        What::Inspect(arguments) => inspect::run(&arguments, terminal),
    }
}

fn write(json: &[u8], out: Option<&Path>, terminal: &mut Terminal) -> Result<(), Error> {
    match out {
        Some(path) => std::fs::write(path, json).map_err(|cause| Error::file("write", path, cause)),
        None => terminal.line(String::from_utf8_lossy(json)),
    }
}

/// A log's promise as an entry of a bundle; the proof is still missing.
fn entry_of(promise: &RekorBundle) -> Result<LogEntry, String> {
    let payload = &promise.payload;
    let body: serde_json::Value = serde_json::from_slice(&payload.body)
        .map_err(|error| format!("the log entry's body is not JSON: {error}"))?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let log_id = (0..payload.log_id.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(payload.log_id.get(at..at + 2)?, 16).ok())
        .collect::<Option<Vec<u8>>>()
        .ok_or("the log's id is not hex")?;
    Ok(LogEntry {
        log_index: u64::try_from(payload.log_index).map_err(|_| "the log index is negative")?,
        log_id,
        kind: text("kind"),
        kind_version: text("apiVersion"),
        integrated_time: payload.integrated_time,
        inclusion_promise: Some(promise.signed_entry_timestamp.clone()),
        inclusion_proof: None,
        canonicalized_body: payload.body.clone(),
    })
}

/// What a log entry says that the signature is over.
fn logged_digest(entries: &[LogEntry]) -> Option<sealmark_formats::Digest> {
    let bodies = entries.iter().map(|entry| &entry.canonicalized_body);
    bodies
        .filter_map(|body| EntryBody::parse(body).ok())
        .find_map(|body| match body {
            EntryBody::Claims(claims) => claims.artifact_digest,
            EntryBody::Other { .. } => None,
        })
}

/// Has the log prove entries that it only promised: version 0.3 asks for that.
async fn prove(
    entries: &mut [LogEntry],
    flags: &LogFlags,
    terminal: &Terminal,
) -> Result<(), Error> {
    if entries.iter().all(|entry| entry.inclusion_proof.is_some()) {
        return Ok(());
    }
    let session = flags.open(terminal).await?;
    for entry in entries.iter_mut() {
        if entry.inclusion_proof.is_some() {
            continue;
        }
        let found = match &session.log {
            Log::V1(client) => client.get_by_index(entry.log_index).await?,
            Log::V2(client) => client.get(entry.log_index).await?,
        };
        let found = found.filter(|it| it.log_entry.canonicalized_body == entry.canonicalized_body);
        let found = found.ok_or_else(|| {
            Error::Log(format!(
                "{} has not this entry at index {}; name the log that it is in with --rekor-url",
                session.url(),
                entry.log_index
            ))
        })?;
        session.compare_entry(&found).await?;
        // What the signer was promised stays.
        entry.inclusion_proof = found.log_entry.inclusion_proof;
    }
    Ok(())
}
