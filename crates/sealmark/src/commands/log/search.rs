//! `log search`: entries by artifact, key or name.
//!
//! An index proves nothing. What it finds is fetched and proven to be in the log; that there is no more is its word.

use std::path::PathBuf;

use sealmark_rekor::v1::{KeyFormat, Operator, Query};
use sealmark_rekor::{Entry, EntryId, v1};
use serde_json::json;

use super::entry_flags::{key_format, sha256};
use super::session::{Log, LogFlags, Session};
use super::{Format, files, shown};
use crate::error::Error;
use crate::terminal::Terminal;

/// Entries in one request, as Rekor bounds them.
const PAGE: usize = 10;
/// More entries are not fetched unless all are asked for.
const MAX_FETCHED: usize = 100;
/// A key or certificate is not larger than this, in bytes.
const MAX_KEY: u64 = 1 << 20;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// An artifact, by its SHA-256
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,
    /// A digest: hex, or sha1:, sha256: or sha512: and hex
    #[arg(long, value_name = "DIGEST", conflicts_with = "artifact")]
    sha: Option<String>,
    /// A signer's key or certificate
    #[arg(long, value_name = "FILE", alias = "public_key")]
    public_key: Option<PathBuf>,
    /// Format of the key: x509, pgp, minisign, ssh or tuf [default: as the file looks like]
    #[arg(long, value_name = "FORMAT", alias = "pki_format", value_parser = key_format)]
    pki_format: Option<KeyFormat>,
    /// A mail address in the signer's certificate
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A name of any kind in the signer's certificate
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Whether entries must fit all of these, or one: and, or
    #[arg(long, value_name = "OPERATOR", default_value = "or", value_parser = ["and", "or"])]
    operator: String,
    /// Fetch and prove every entry that is found, however many there are
    #[arg(long)]
    all: bool,
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

/// Looks, proves, and prints.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let query = arguments.query()?;
    let session = arguments.log.open(terminal).await?;
    let client = match &session.log {
        Log::V1(client) => client,
        Log::V2(_) => {
            return Err(Error::NotSupported(format!(
                "search in {}: logs of version 2 have no search; `sealmark log monitor` reads all of a log for what you \
                 look for",
                session.url()
            )));
        }
    };
    let found = client.search(&query).await?;
    if found.ids.is_empty() {
        return Err(Error::Log(format!(
            "{} found no matching entry, by its own word",
            session.url()
        )));
    }
    let count = found.ids.len();
    let fetched = match arguments.all {
        true => count,
        false => count.min(MAX_FETCHED),
    };
    let (ids, rest) = found.ids.split_at(fetched);
    let entries = prove(client, ids).await?;
    print(&entries, rest, &session, arguments.output, terminal)?;
    if !rest.is_empty() {
        terminal.warn(format!(
            "{} of the {count} entries were not fetched, so that they are there is the server's word; --all fetches them",
            rest.len()
        ));
    }
    if found.is_cut {
        terminal.warn("the server has more entries than it gives");
    }
    Ok(())
}

/// Fetches entries. One that the index has and the log has not is an error: the index is wrong, or entries are hidden.
async fn prove(client: &v1::Client, ids: &[EntryId]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::with_capacity(ids.len());
    for ids in ids.chunks(PAGE) {
        let found = client.get_all(ids).await?;
        for id in ids {
            let entry = found.iter().find(|entry| entry.id.leaf == id.leaf);
            let entry = entry.ok_or_else(|| {
                Error::Log(format!(
                    "{} found the entry {id}, and does not have it",
                    client.http().shown()
                ))
            })?;
            entries.push(entry.clone());
        }
    }
    Ok(entries)
}

fn print(
    entries: &[Entry],
    rest: &[EntryId],
    session: &Session,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match format {
        Format::Tle => entries
            .iter()
            .try_for_each(|entry| shown::entry(entry, session.url(), format, terminal)),
        Format::Json => {
            let ids = entries
                .iter()
                .map(|entry| entry.id)
                .chain(rest.iter().copied());
            let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
            let entries: Vec<_> = entries.iter().map(shown::json).collect();
            terminal.json(&json!({"UUIDs": ids, "Entries": entries}))
        }
        Format::Default => {
            terminal.note("Found matching entries (listed by UUID):");
            for entry in entries {
                terminal.line(entry.id.to_string())?;
            }
            for id in rest {
                terminal.line(id.to_string())?;
            }
            terminal.note(format!(
                "{} of them proven to be in {}",
                entries.len(),
                session.url()
            ));
            Ok(())
        }
    }
}

impl Arguments {
    fn query(&self) -> Result<Query, Error> {
        let hash = match (&self.artifact, &self.sha) {
            (Some(path), _) => Some(sha256(path)?.to_string()),
            (None, Some(text)) => Some(text.to_lowercase()),
            (None, None) => None,
        };
        let public_key = match &self.public_key {
            None => None,
            Some(path) => {
                let key = files::read(path, MAX_KEY)?;
                let format = self.pki_format.unwrap_or_else(|| KeyFormat::of(&key));
                Some((format, key))
            }
        };
        let query = Query {
            email: self.email.clone(),
            subject: self.subject.clone(),
            public_key,
            hash,
            operator: match self.operator.as_str() {
                "and" => Operator::And,
                _ => Operator::Or,
            },
        };
        if query
            == (Query {
                operator: query.operator,
                ..Query::default()
            })
        {
            return Err(Error::Usage(
                "say what to look for: --artifact, --sha, --public-key, --email or --subject"
                    .to_owned(),
            ));
        }
        Ok(query)
    }
}
