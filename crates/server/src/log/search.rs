//! Searching: the entries that have what a query asks for, page by page, over all trees of a log.
//!
//! Invariant: an answer is complete for the entries from where it starts to where it says that it goes on, and up to
//! the size of the log that it names if it does not. New entries are in the index with their commit.

use std::collections::VecDeque;

use axum::http::StatusCode;
use sealmark_entries::{Field, ForeignKey, Format, Violation, issuer_key};
use sealmark_log::{MAX_PAGE, TreeView};
use sealmark_tlog::tile::WIDTH;
use sealmark_tlog::{Hash, Tile};

use super::refusal::Refusal;
use super::state::Shard;

/// Entries in one answer. Rekor has no bound, so its clients know of none; who looks is told that there are more.
const MAX_FOUND: usize = MAX_PAGE;
/// A longer `subject` is none.
const MAX_SUBJECT: usize = 512;
/// Entries that are looked at for one answer. Two keys that are each in very many entries, and in few of them together,
/// would otherwise keep a thread busy for as long as the log is.
const MAX_LOOKED_AT: usize = 50_000;
/// Entries that are read of one key at a time: as many as are likely to be shown.
const PAGE: usize = 1000;

/// What is searched for.
pub(super) struct Query {
    keys: Vec<String>,
    /// All keys, or any of them.
    all: bool,
    from: u64,
    limit: usize,
}

/// What was found.
pub(super) struct Found<'a> {
    /// Trees, and indices in them, ascending.
    pub(super) entries: Vec<(&'a Shard, u64)>,
    /// The index in the log where to go on; `None` if there are no more.
    pub(super) next: Option<u64>,
    /// What is found up to the last page is complete for the entries before this index of the log.
    pub(super) through: u64,
}

impl Query {
    /// Reads a `SearchIndex` of Rekor v1, with `issuer`, `from` and `limit`, which Rekor has not.
    pub(super) fn parse(root: &Field<'_>) -> Result<Self, Refusal> {
        let operator = root.find("operator");
        let all = match operator.as_ref().map(Field::text).transpose()? {
            None | Some("or") => false,
            Some("and") => true,
            Some(_) => return Err(root.get("operator")?.not_one_of("and or").into()),
        };
        let keys = keys(root)?;
        if keys.is_empty() {
            let message =
                "at least one of email, subject, issuer, publicKey and hash must be given";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        let limit = number(root, "limit")?.unwrap_or(MAX_FOUND as u64);
        if limit == 0 || limit > MAX_FOUND as u64 {
            let message = format!("limit in body should be 1 to {MAX_FOUND}");
            return Err(Refusal::invalid(Violation::Length, message));
        }
        Ok(Self {
            keys,
            all,
            from: number(root, "from")?.unwrap_or(0),
            limit: limit as usize,
        })
    }

    /// Searches a log, oldest tree first.
    pub(super) fn run<'a>(&self, shards: &'a [Shard]) -> Result<Found<'a>, Refusal> {
        self.run_within(shards, MAX_LOOKED_AT)
    }

    /// Looks at `left` entries at most, or a few more.
    fn run_within<'a>(&self, shards: &'a [Shard], mut left: usize) -> Result<Found<'a>, Refusal> {
        let end = |shard: &Shard| shard.first + shard.tree.size();
        let mut found = Found {
            entries: Vec::new(),
            next: None,
            through: shards.last().map_or(0, end),
        };
        for shard in shards {
            let from = self.from.saturating_sub(shard.first);
            if from >= shard.tree.size() {
                continue;
            }
            let cursors = self
                .keys
                .iter()
                .map(|key| Cursor::new(&shard.tree, key, from));
            let mut cursors: Vec<Cursor<'_>> = cursors.collect();
            let mut at = from;
            loop {
                let next = match self.all {
                    true => in_all(&mut cursors, &mut at, &mut left)?,
                    false => in_any(&mut cursors, at, &mut left)?,
                };
                match next {
                    Step::Entry(index) if found.entries.len() < self.limit => {
                        found.entries.push((shard, index));
                        at = index + 1;
                    }
                    Step::Entry(index) => found.next = Some(shard.first + index),
                    Step::Tired => found.next = Some(shard.first + at),
                    Step::End => break,
                }
                if found.next.is_some() {
                    break;
                }
            }
            // Older trees do not grow.
            if shards.last().is_some_and(|last| std::ptr::eq(last, shard)) {
                let indexed = cursors.iter().map(|cursor| shard.first + cursor.through);
                found.through = indexed.fold(found.through, u64::min);
            }
            if found.next.is_some() {
                break;
            }
        }
        Ok(found)
    }
}

enum Step {
    Entry(u64),
    /// Enough was looked at for one answer.
    Tired,
    End,
}

/// The next entry from `at` on that has any of the keys.
fn in_any(cursors: &mut [Cursor<'_>], at: u64, left: &mut usize) -> Result<Step, Refusal> {
    let mut first = None;
    for cursor in cursors {
        match cursor.seek(at, left)? {
            Step::Entry(index) => first = Some(first.map_or(index, |old: u64| old.min(index))),
            Step::Tired => return Ok(Step::Tired),
            Step::End => {}
        }
    }
    Ok(first.map_or(Step::End, Step::Entry))
}

/// The next entry from `at` on that has all of the keys; `at` follows, so that a tired search goes on where it was.
fn in_all(cursors: &mut [Cursor<'_>], at: &mut u64, left: &mut usize) -> Result<Step, Refusal> {
    'candidate: loop {
        for cursor in &mut *cursors {
            match cursor.seek(*at, left)? {
                Step::Entry(index) if index == *at => {}
                Step::Entry(index) => {
                    *at = index;
                    continue 'candidate;
                }
                end => return Ok(end),
            }
        }
        return Ok(Step::Entry(*at));
    }
}

/// The entries of a tree that have a key, ascending, read a page at a time.
struct Cursor<'a> {
    tree: &'a TreeView,
    key: &'a str,
    page: VecDeque<u64>,
    next: Option<u64>,
    /// How far the index went when the first page was read.
    through: u64,
    /// Each reads a page, whatever others have read: so every answer goes on, if only by an entry.
    has_read: bool,
}

impl<'a> Cursor<'a> {
    fn new(tree: &'a TreeView, key: &'a str, from: u64) -> Self {
        Self {
            tree,
            key,
            page: VecDeque::new(),
            next: Some(from),
            through: tree.size(),
            has_read: false,
        }
    }

    /// The first entry from `at` on; it stays the next one.
    fn seek(&mut self, at: u64, left: &mut usize) -> Result<Step, Refusal> {
        loop {
            while let Some(index) = self.page.front() {
                if *index >= at {
                    return Ok(Step::Entry(*index));
                }
                self.page.pop_front();
            }
            let Some(next) = self.next else {
                return Ok(Step::End);
            };
            if *left == 0 && self.has_read {
                return Ok(Step::Tired);
            }
            self.has_read = true;
            let page = self
                .tree
                .search(self.key, next.max(at), PAGE.min(*left).max(1))?;
            *left = left.saturating_sub(page.entries.len().max(1));
            self.through = self.through.min(page.through);
            self.page.extend(page.entries);
            self.next = page.next;
        }
    }
}

/// A number that may be there, also in the form that protobuf's JSON has for it.
fn number(root: &Field<'_>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(field) = root.find(name) else {
        return Ok(None);
    };
    let text = field.value.as_str().and_then(|text| text.parse().ok());
    let number = field.value.as_u64().or(text);
    Ok(Some(number.ok_or_else(|| field.of_type("integer"))?))
}

/// What a query asks for, as entries are indexed by it.
fn keys(root: &Field<'_>) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for name in ["email", "subject", "issuer"] {
        if let Some(field) = root.find(name) {
            let text = field.text()?;
            if text.len() > MAX_SUBJECT {
                let message = format!("{name} in body should be at most {MAX_SUBJECT} chars long");
                return Err(Refusal::invalid(Violation::Length, message));
            }
            keys.push(match name {
                "issuer" => issuer_key(text),
                _ => text.to_lowercase(),
            });
        }
    }
    if let Some(field) = root.find("hash") {
        keys.push(hash(field.text()?)?);
    }
    if let Some(field) = root.find("publicKey") {
        keys.extend(public_key(&field)?);
    }
    Ok(keys)
}

/// A digest, with its algorithm before it, as it may be left out.
fn hash(text: &str) -> Result<String, Refusal> {
    let text = text.to_lowercase();
    let (algorithm, hex) = text.split_once(':').unwrap_or_else(|| {
        let algorithm = match text.len() {
            40 => "sha1",
            96 => "sha384",
            128 => "sha512",
            _ => "sha256",
        };
        (algorithm, &text)
    });
    let length = match algorithm {
        "sha1" => 40,
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => 0,
    };
    if hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(format!("{algorithm}:{hex}"));
    }
    let message = "hash in body should be the hex of a SHA-1, SHA-256, SHA-384 or SHA-512 digest, with or without sha256: and the like before it";
    Err(Refusal::invalid(Violation::Pattern, message))
}

/// The hash of a key or certificate in its canonical form.
fn public_key(field: &Field<'_>) -> Result<Option<String>, Refusal> {
    let name = field.get("format")?;
    let format = match name.text()? {
        "tuf" => {
            return Err(name
                .refuse("not supported: search for the hash of the root, as sha256:…")
                .into());
        }
        other => {
            Format::from_name(other).ok_or_else(|| name.not_one_of("pgp x509 minisign ssh tuf"))?
        }
    };
    let content = field.get("content").map_err(|_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "publicKey.url is not supported: send the key as publicKey.content",
        )
    })?;
    let key =
        ForeignKey::read(format, &content.bytes()?).map_err(|reason| content.refuse(reason))?;
    // The hash alone: who asks for a key asks not for all keys of its owner.
    Ok(key.keys().into_iter().next())
}

/// The leaf hashes of a tree, read tile by tile: whole entries are a hundred times as long.
pub(super) struct Leaves<'a> {
    tree: &'a TreeView,
    size: u64,
    tile: Option<(u64, Vec<Hash>)>,
}

impl<'a> Leaves<'a> {
    pub(super) fn of(tree: &'a TreeView) -> Self {
        Self {
            tree,
            size: tree.size(),
            tile: None,
        }
    }

    /// Whether they are of this tree.
    pub(super) fn are_of(&self, tree: &TreeView) -> bool {
        std::ptr::eq(self.tree, tree)
    }

    /// The hash of a leaf; `None` if there is none with this index. It is fast for ascending indices.
    pub(super) fn hash(&mut self, index: u64) -> Result<Option<Hash>, Refusal> {
        let (number, at) = (index / WIDTH as u64, (index % WIDTH as u64) as usize);
        if self.tile.as_ref().is_none_or(|(have, _)| *have != number) {
            let Some(tile) = Tile::in_tree(0, number, self.size) else {
                return Ok(None);
            };
            let Some(bytes) = self.tree.tile(tile)? else {
                return Ok(None);
            };
            let hashes = tile
                .decode(&bytes)
                .map_err(|error| Refusal::fault(&error))?;
            self.tile = Some((number, hashes));
        }
        let hashes = self.tile.as_ref().map(|(_, hashes)| hashes);
        Ok(hashes.and_then(|hashes| hashes.get(at).copied()))
    }
}

#[cfg(test)]
mod tests;
