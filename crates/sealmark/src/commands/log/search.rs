//! `log search`: entries by artifact, key or name.
//!
//! An index proves nothing. What it finds is fetched and proven to be in the log; that there is no more is its word.

use std::path::PathBuf;

use jiff::Timestamp;
use sealmark_formats::log_entry::{EntryBody, Verifier};
use sealmark_rekor::search::{KeyFormat, Operator, Query};
use sealmark_rekor::{Entry, EntryId, v1, v2};
use sealmark_x509::Certificate;
use serde_json::json;

use super::entry_flags::{key_format, sha256};
use super::session::{Log, LogFlags, Session};
use super::{Format, files, shown};
use crate::error::Error;
use crate::printable::printable;
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
    #[arg(long, visible_alias = "identity", value_name = "NAME")]
    subject: Option<String>,
    /// Of what is found, only what was signed from this time on (RFC 3339), by the log's own time or, where it gives none,
    /// the beginning of the signer's certificate
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Of what is found, only what was signed until this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Print a line for each entry: when, where in the log, which artifact, by whom
    #[arg(long)]
    list: bool,
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

/// What an index has found: what was fetched and proven, and the names of the rest.
struct Found {
    entries: Vec<Entry>,
    rest: Vec<String>,
    is_cut: bool,
}

/// Looks, proves, and prints.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let query = arguments.query()?;
    let session = arguments.log.open(terminal).await?;
    let windowed = arguments.from.is_some() || arguments.to.is_some();
    // What is not fetched has no time.
    let most = match arguments.all || windowed {
        true => usize::MAX,
        false => MAX_FETCHED,
    };
    let mut found = match &session.log {
        Log::V1(client) => in_v1(client, &query, most).await?,
        Log::V2(client) => in_v2(client, &query, most, &session).await?,
    };
    if found.entries.is_empty() {
        return Err(Error::Log(format!(
            "{} found no matching entry, by its own word",
            session.url()
        )));
    }
    arguments.within(&mut found, &session, terminal)?;
    match arguments.list {
        true => list(&found, session.url(), terminal)?,
        false => print(&found, &session, arguments.output, terminal)?,
    }
    let (fetched, rest) = (found.entries.len(), found.rest.len());
    if rest > 0 {
        terminal.warn(format!(
            "{rest} of the {} entries were not fetched, so that they are there is the server's word; --all fetches them",
            fetched + rest
        ));
    }
    let unseen = found.entries.iter();
    let unseen = unseen.filter(|entry| !query.is_shown_by(entry)).count();
    if unseen > 0 {
        terminal.warn(format!(
            "{unseen} of the {fetched} entries do not show what was looked for themselves, so that they match is the server's word"
        ));
    }
    if found.is_cut {
        terminal.warn("the server has more entries than it gives");
    }
    Ok(())
}

/// An entry that the index has and the log has not is an error: the index is wrong, or entries are hidden.
async fn in_v1(client: &v1::Client, query: &Query, most: usize) -> Result<Found, Error> {
    let found = client.search(query).await?;
    let (ids, rest) = found.ids.split_at(most.min(found.ids.len()));
    let mut entries = Vec::with_capacity(ids.len());
    for ids in ids.chunks(PAGE) {
        let found = client.get_all(ids).await?;
        for id in ids {
            // An entry can be in several trees.
            let is_it = |entry: &&Entry| match id.tree {
                Some(_) => entry.id == *id,
                None => entry.id.leaf == id.leaf,
            };
            let entry = found.iter().find(is_it);
            let entry = entry.ok_or_else(|| absent(client.http().shown(), &id.to_string()))?;
            entries.push(entry.clone());
        }
    }
    Ok(Found {
        entries,
        rest: rest.iter().map(EntryId::to_string).collect(),
        is_cut: found.is_cut,
    })
}

async fn in_v2(
    client: &v2::Client,
    query: &Query,
    most: usize,
    session: &Session,
) -> Result<Found, Error> {
    let found = client.search(query).await?.ok_or_else(|| {
        Error::NotSupported(format!(
            "search in {}: this log of version 2 has no search; `sealmark log monitor` reads all of a log for what you \
             look for",
            session.url()
        ))
    })?;
    let (indices, rest) = found.indices.split_at(most.min(found.indices.len()));
    let signed = client.reader().checkpoint().await?;
    let mut tree = client.reader().tree(&signed.checkpoint).await?;
    let mut entries = Vec::with_capacity(indices.len());
    for index in indices {
        let entry = client.get_from(&mut tree, &signed, *index).await?;
        entries.push(entry.ok_or_else(|| absent(session.url(), &index.to_string()))?);
    }
    Ok(Found {
        entries,
        rest: rest.iter().map(u64::to_string).collect(),
        is_cut: found.is_cut,
    })
}

fn absent(url: &str, name: &str) -> Error {
    Error::Log(format!(
        "{url} found the entry {name}, and does not have it"
    ))
}

fn print(
    found: &Found,
    session: &Session,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    // Entries of version 2 are asked for by their indices.
    let name = |entry: &Entry| match &session.log {
        Log::V1(_) => entry.id.to_string(),
        Log::V2(_) => entry.log_entry.log_index.to_string(),
    };
    let (what, field) = match &session.log {
        Log::V1(_) => ("UUID", "UUIDs"),
        Log::V2(_) => ("index", "LogIndices"),
    };
    let names = found.entries.iter().map(name);
    let names = names.chain(found.rest.iter().cloned());
    match format {
        Format::Tle => found
            .entries
            .iter()
            .try_for_each(|entry| shown::entry(entry, session.url(), format, terminal)),
        Format::Json => {
            let entries: Vec<_> = found.entries.iter().map(shown::json).collect();
            terminal.json(&json!({field: names.collect::<Vec<_>>(), "Entries": entries}))
        }
        Format::Default => {
            terminal.note(format!("Found matching entries (listed by {what}):"));
            for name in names {
                terminal.line(name)?;
            }
            terminal.note(format!(
                "{} of them proven to be in {}",
                found.entries.len(),
                session.url()
            ));
            Ok(())
        }
    }
}

/// When it was signed at the latest (seconds since 1970): the log's word, or that of the signer's certificate authority, which
/// certified just before.
fn moment(entry: &Entry) -> Option<i64> {
    let log = &entry.log_entry;
    if log.integrated_time != 0 {
        return Some(log.integrated_time);
    }
    let EntryBody::Claims(claims) = EntryBody::parse(&log.canonicalized_body).ok()? else {
        return None;
    };
    let mut starts = claims.signatures.iter().filter_map(|signature| {
        let Verifier::Certificate(der) = &signature.verifier else {
            return None;
        };
        let validity = Certificate::from_der(der).ok()?.validity();
        i64::try_from(validity.not_before.unix_seconds()).ok()
    });
    starts.next()
}

/// A line for each entry that was proven.
fn list(found: &Found, url: &str, terminal: &mut Terminal) -> Result<(), Error> {
    for entry in &found.entries {
        let time = moment(entry).and_then(|seconds| Timestamp::from_second(seconds).ok());
        let time = time.map_or_else(|| "no time".to_owned(), |time| time.to_string());
        let digest = match EntryBody::parse(&entry.log_entry.canonicalized_body) {
            Ok(EntryBody::Claims(claims)) => claims
                .artifact_digest
                .or(claims.subject_digest)
                .or(claims.payload_digest)
                .map(|digest| digest.to_string()),
            _ => None,
        };
        terminal.line(format!(
            "{time}  {:>6}  {}  {}",
            entry.log_entry.log_index,
            digest.as_deref().unwrap_or("-"),
            printable(&shown::signers(&entry.log_entry).join("; "))
        ))?;
    }
    let sizes = found.entries.iter().map(|entry| entry.checkpoint.size);
    terminal.note(format!(
        "{} proven to be in {url}, which has {} now; that there is no more is its word",
        shown::entries(found.entries.len() as u64),
        shown::entries(sizes.max().unwrap_or_default())
    ));
    Ok(())
}

impl Arguments {
    /// Keeps what is within the window, and what has no time.
    fn within(
        &self,
        found: &mut Found,
        session: &Session,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(());
        }
        let (before, mut timeless) = (found.entries.len(), 0);
        found.entries.retain(|entry| match moment(entry) {
            Some(time) => {
                self.from.is_none_or(|from| time >= from.as_second())
                    && self.to.is_none_or(|to| time <= to.as_second())
            }
            None => {
                timeless += 1;
                true
            }
        });
        if found.entries.is_empty() {
            return Err(Error::Log(format!(
                "{} found {before} matching, and none of them is of this time",
                session.url()
            )));
        }
        if timeless > 0 {
            terminal.warn(format!(
                "{timeless} of the entries have no time and are listed, whenever they were made: this log gives none, and \
                 they are by keys"
            ));
        }
        Ok(())
    }

    fn query(&self) -> Result<Query, Error> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(Error::Usage(format!(
                "--from {from} is after --to {to}: nothing can be between them"
            )));
        }
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
        if query.is_empty() {
            return Err(Error::Usage(
                "say what to look for: --artifact, --sha, --public-key, --email or --subject"
                    .to_owned(),
            ));
        }
        Ok(query)
    }
}
