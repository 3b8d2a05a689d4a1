//! A tree as lines of JSON, to take it elsewhere: one line about the tree, then one for each entry in its order.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_tlog::tile::{LengthPrefix, WIDTH};
use sealmark_tlog::{Checkpoint, Note};
use serde::{Deserialize, Serialize};

use crate::log::{Sent, finish};
use crate::{Appended, CheckpointSigner, Entry, Error, Log, MAX_EXTRA, TreeView};

/// Entries that are sent before the first of them is waited for: less than any queue takes by default.
const AT_ONCE: usize = 1024;

/// How long to wait when the log has too much to do. Nothing but the import may be going on, so not long.
const WAIT: Duration = Duration::from_millis(20);

/// The first line.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    /// The version of this form.
    sealmark_log_export: u32,
    /// The signed note.
    checkpoint: String,
    /// Whether entries may be longer than 65,535 bytes.
    long_entries: bool,
}

/// Every other line.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    index: u64,
    integrated_ms: u64,
    leaf: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    extra: String,
}

/// Writes a tree as it is at the time of the call.
///
/// # Errors
/// [`Error::Io`]; [`Error::Damaged`] if an entry is not what was logged.
pub fn export(tree: &TreeView, mut out: impl Write) -> Result<(), Error> {
    let signed = tree.checkpoint();
    let io = |error| Error::io("write", Path::new("the export"), error);
    let header = Header {
        sealmark_log_export: 1,
        checkpoint: signed.note.clone(),
        long_entries: tree.length_prefix() == LengthPrefix::Four,
    };
    let mut write = |line: serde_json::Result<String>| {
        let line = line.map_err(std::io::Error::from);
        line.and_then(|line| writeln!(out, "{line}")).map_err(io)
    };
    write(serde_json::to_string(&header))?;
    let mut next = 0;
    while next < signed.checkpoint.size {
        let left = (signed.checkpoint.size - next).min(WIDTH as u64) as usize;
        for stored in tree.entries(next, left)? {
            next = stored.index + 1;
            write(serde_json::to_string(&Line {
                index: stored.index,
                integrated_ms: stored.integrated_ms,
                leaf: STANDARD.encode(&stored.entry.leaf),
                keys: stored.entry.keys,
                extra: STANDARD.encode(&stored.entry.extra),
            }))?;
        }
    }
    out.flush().map_err(io)
}

/// Makes a new tree of an export, with the times that its entries had. The checkpoints are signed by `signer`; for
/// clients to go on with the tree, that is the key and the origin it had before.
///
/// # Errors
/// [`Error::Refused`] if the export is not whole, or the tree that its entries make is not the one of its checkpoint
/// (the new tree then has what was read so far); [`Error::Exists`]; as [`Log::append`].
pub fn import(
    log: &Log,
    name: &str,
    signer: impl CheckpointSigner,
    mut input: impl BufRead,
) -> Result<TreeView, Error> {
    let header = read_line(&mut input)?.ok_or_else(|| refused("it is empty"))?;
    let header: Header = serde_json::from_str(&header).map_err(|error| {
        refused(&format!(
            "its first line does not say that it is one: {error}"
        ))
    })?;
    if header.sealmark_log_export != 1 {
        return Err(refused("it is of a version that is not known here"));
    }
    let expected = Note::parse(&header.checkpoint)
        .and_then(|note| Checkpoint::parse(&note.text))
        .map_err(|error| refused(&error.to_string()))?;
    let prefix = match header.long_entries {
        true => LengthPrefix::Four,
        false => LengthPrefix::Two,
    };
    let tree = log.create_tree(name, prefix, signer)?;
    let mut next = 0;
    loop {
        let mut sent = Vec::with_capacity(AT_ONCE);
        while sent.len() < AT_ONCE
            && let Some(line) = read_line(&mut input)?
        {
            let (entry, time) = parse(&line, next)?;
            sent.push(send(log, name, entry, time)?);
            next += 1;
        }
        if sent.is_empty() {
            break;
        }
        for sent in sent {
            let appended = match sent {
                Sent::Duplicate(index) => Appended::Duplicate { index },
                Sent::Waits(answer) => finish(answer.blocking_recv())?,
            };
            if let Appended::Duplicate { index } = appended {
                return Err(refused(&format!("it has entry {index} twice")));
            }
        }
    }
    let made = tree.checkpoint().checkpoint.clone();
    if (made.size, made.root) != (expected.size, expected.root) {
        return Err(refused(&format!(
            "its {} entries make the root {}, its checkpoint of {} entries says {}",
            made.size, made.root, expected.size, expected.root
        )));
    }
    Ok(tree)
}

/// Sends an entry, as often as the log asks to wait.
fn send(log: &Log, tree: &str, entry: Entry, time: u64) -> Result<Sent, Error> {
    loop {
        match log.send(tree, entry.clone(), Some(time)) {
            Err(Error::Overloaded { .. }) if log.health().is_ok() => {
                std::thread::sleep(WAIT);
            }
            result => return result,
        }
    }
}

fn refused(reason: &str) -> Error {
    Error::Refused(format!("the export cannot be imported: {reason}"))
}

fn parse(line: &str, next: u64) -> Result<(Entry, u64), Error> {
    let wrong = |reason: &str| refused(&format!("the line of entry {next} {reason}"));
    let line: Line = serde_json::from_str(line).map_err(|error| wrong(&format!("is {error}")))?;
    if line.index != next {
        return Err(wrong(&format!("is of entry {}", line.index)));
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| wrong("is not base64"));
    let entry = Entry {
        leaf: decode(&line.leaf)?,
        keys: line.keys,
        extra: decode(&line.extra)?,
    };
    Ok((entry, line.integrated_ms))
}

/// A line without its end; `None` after the last.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>, Error> {
    /// Twice what the largest extra data takes in base64, which leaves room for any leaf and its keys.
    const MAX_LINE: u64 = 4 * MAX_EXTRA as u64;
    let mut line = String::new();
    let read = input.by_ref().take(MAX_LINE).read_line(&mut line);
    let count = read.map_err(|error| Error::io("read", Path::new("the export"), error))?;
    if count as u64 == MAX_LINE {
        return Err(refused("it has a line that is too long"));
    }
    line.truncate(line.trim_end().len());
    Ok((count > 0).then_some(line))
}
