//! The endpoints of Rekor v1.
//! <https://github.com/sigstore/rekor/blob/main/openapi.yaml>

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use sealmark_entries::{
    Field, ForeignKey, Format, Proposed, Violation, check_v1, parse_v1, read_v1,
};
use sealmark_log::{Appended, Entry, MAX_PAGE, TreeView};
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::tile::WIDTH;
use sealmark_tlog::{Hash, Tile};
use serde_json::{Value, json};

use super::dispatch::{Call, MAX_AT_ONCE, blocking, text};
use super::entry::Logged;
use super::refusal::{Refusal, answer};
use super::state;

/// Entries in one request for several.
const MAX_ENTRIES: usize = 10;
/// Entry ids in an answer to a search; one that has not all of them has the header `x-more-entries`.
const MAX_FOUND: usize = 10_000;
/// A longer `subject` is none.
const MAX_SUBJECT: usize = 512;

/// `createLogEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let proposed = check(body).await?;
    let inner = call.inner.clone();
    let entry = Entry {
        leaf: proposed.leaf.clone(),
        keys: proposed.keys,
        extra: Vec::new(),
    };
    let appended = inner.state.log.append(state::V1, entry).await?;
    let id = inner.entry_id(&leaf_hash(&proposed.leaf));
    let location = (header::LOCATION, format!("/api/v1/log/entries/{id}"));
    let new = match appended {
        Appended::New(new) => new,
        Appended::Duplicate { .. } => {
            let message = format!(
                "an equivalent entry already exists in the transparency log with UUID {id}"
            );
            return Err(Refusal::new(StatusCode::CONFLICT, message).with(location.0, location.1));
        }
    };
    let shown = inner.log_entry_anon(&Logged {
        leaf: &proposed.leaf,
        index: new.index,
        integrated_ms: new.integrated_ms,
        checkpoint: &new.checkpoint,
        proof: &new.proof,
    })?;
    // Without the quotes that HTTP wants: clients use it as the key of the map.
    let headers: [(HeaderName, String); 2] = [(header::ETAG, id.clone()), location];
    let shown = BTreeMap::from([(id, shown)]);
    Ok(answer(StatusCode::CREATED, headers, Some(shown)))
}

/// Checks an entry: where it was received, if that is quick, for handing it to another thread costs as much as most
/// checks. A `hashedrekord` has one signature, and one chain of a bounded length; envelopes may have many of both.
async fn check(body: Bytes) -> Result<Proposed, Refusal> {
    if body.len() > MAX_AT_ONCE {
        return blocking(move || Ok(read_v1(&body)?)).await;
    }
    let entry = parse_v1(&body)?;
    match entry.get("kind").and_then(Value::as_str) {
        Some("hashedrekord") => Ok(check_v1(&entry)?),
        _ => blocking(move || Ok(check_v1(&entry)?)).await,
    }
}

/// `getLogEntryByIndex`
pub(super) async fn by_index(call: &Call) -> Result<Response<Body>, Refusal> {
    let index = number(call, "logIndex", None)?;
    let inner = call.inner.clone();
    let shown = blocking(move || inner.show_index(&inner.tree()?, index)).await?;
    found(shown)
}

/// `getLogEntryByUUID`
pub(super) async fn by_id(call: &Call, id: &str) -> Result<Response<Body>, Refusal> {
    if !is_id(id) {
        let message = "entryUUID in path should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'";
        return Err(Refusal::invalid(Violation::Pattern, message));
    }
    let (inner, id) = (call.inner.clone(), id.to_owned());
    let shown = blocking(move || {
        let tree = inner.tree()?;
        match inner.leaf_of(&id) {
            Some(leaf) => show_leaf(&inner, &tree, &leaf),
            None => Ok(None),
        }
    });
    found(shown.await?)
}

/// `searchLogQuery`: entries by index, id, or what was proposed; those that are not there are left out.
pub(super) async fn retrieve(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let shown = blocking(move || {
        let query = parse_v1(&body)?;
        let root = Field::root(&query);
        let list = |name: &str| match root.find(name) {
            Some(list) => list.items(0, usize::MAX),
            None => Ok(Vec::new()),
        };
        let (ids, indexes, entries) = (list("entryUUIDs")?, list("logIndexes")?, list("entries")?);
        match ids.len() + indexes.len() + entries.len() {
            0 => {
                let message = "entries in body is required";
                return Err(Refusal::invalid(Violation::Required, message));
            }
            1..=MAX_ENTRIES => {}
            _ => {
                let message = format!("more than max allowed {MAX_ENTRIES} entries in request");
                return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
            }
        }
        let tree = inner.tree()?;
        let mut shown = Vec::new();
        for id in ids {
            let text = id.text()?;
            if !is_id(text) {
                let message =
                    "entryUUIDs in body should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'";
                return Err(Refusal::invalid(Violation::Pattern, message));
            }
            if let Some(leaf) = inner.leaf_of(text) {
                shown.extend(show_leaf(&inner, &tree, &leaf)?);
            }
        }
        for index in indexes {
            let number = index.value.as_u64();
            let number = number.ok_or_else(|| index.of_type("integer"))?;
            shown.extend(inner.show_index(&tree, number)?);
        }
        for entry in entries {
            let leaf = leaf_hash(&check_v1(entry.value)?.leaf);
            shown.extend(show_leaf(&inner, &tree, &leaf)?);
        }
        Ok(Value::Array(shown))
    });
    Ok(answer(StatusCode::OK, [], Some(shown.await?)))
}

/// `getLogInfo`
pub(super) fn info(call: &Call) -> Result<Response<Body>, Refusal> {
    let checkpoint = call.inner.tree()?.checkpoint();
    let info = json!({
        "rootHash": checkpoint.checkpoint.root.to_string(),
        "treeSize": checkpoint.checkpoint.size,
        "signedTreeHead": checkpoint.note,
        "treeID": call.inner.state.tree_id.to_string(),
        "inactiveShards": [],
    });
    Ok(answer(StatusCode::OK, [], Some(info)))
}

/// `getPublicKey`
pub(super) fn public_key(call: &Call) -> Result<Response<Body>, Refusal> {
    check_tree(call)?;
    let pem = call.inner.state.v1.public_key().to_pem();
    Ok(text("application/x-pem-file", pem))
}

/// `getLogProof`
pub(super) async fn proof(call: &Call) -> Result<Response<Body>, Refusal> {
    let (first, last) = (
        number(call, "firstSize", Some(1))?,
        number(call, "lastSize", None)?,
    );
    for (name, size) in [("firstSize", first), ("lastSize", last)] {
        if size == 0 {
            let message = format!("{name} in query should be greater than or equal to 1");
            return Err(Refusal::invalid(Violation::Length, message));
        }
    }
    if first > last {
        let message = format!("firstSize({first}) must be less than lastSize({last})");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    check_tree(call)?;
    let inner = call.inner.clone();
    let shown = blocking(move || {
        let tree = inner.tree()?;
        let current = tree.checkpoint();
        let size = current.checkpoint.size;
        if last > size {
            let message = format!(
                "the tree size requested({last}) was greater than what is currently observable({size})"
            );
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        let hashes = tree.consistency_proof(first, last)?;
        let hashes: Vec<String> = hashes.iter().map(Hash::to_string).collect();
        // The newest root, whatever size was asked for: so does Rekor.
        Ok(json!({"rootHash": current.checkpoint.root.to_string(), "hashes": hashes}))
    });
    Ok(answer(StatusCode::OK, [], Some(shown.await?)))
}

/// `searchIndex`
pub(super) async fn search(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let found = blocking(move || {
        let query = parse_v1(&body)?;
        let root = Field::root(&query);
        let all = match root
            .find("operator")
            .map(|field| field.text())
            .transpose()?
        {
            None | Some("or") => false,
            Some("and") => true,
            Some(_) => return Err(root.get("operator")?.not_one_of("and or").into()),
        };
        let tree = inner.tree()?;
        let mut found: Option<Vec<u64>> = None;
        for key in search_keys(&root)? {
            let entries = with_key(&tree, &key)?;
            found = Some(match found {
                None => entries,
                Some(before) if all => {
                    let both = before.into_iter();
                    both.filter(|index| entries.binary_search(index).is_ok())
                        .collect()
                }
                Some(mut before) => {
                    before.extend(entries);
                    before.sort_unstable();
                    before.dedup();
                    before
                }
            });
        }
        let found = found.ok_or_else(|| {
            let message = "at least one of email, subject, publicKey and hash must be given";
            Refusal::new(StatusCode::BAD_REQUEST, message)
        })?;
        let more = found.len() > MAX_FOUND;
        let mut leaves = Leaves::of(&tree);
        let mut ids = Vec::with_capacity(found.len().min(MAX_FOUND));
        for index in found.into_iter().take(MAX_FOUND) {
            ids.extend(
                leaves
                    .hash(index)?
                    .map(|leaf| Value::from(inner.entry_id(&leaf))),
            );
        }
        Ok((Value::Array(ids), more))
    });
    let (found, more) = found.await?;
    // Rekor has no bound, so its clients know of none; who looks is told.
    let more = more.then(|| {
        let name = HeaderName::from_static("x-more-entries");
        (name, "true".to_owned())
    });
    Ok(answer(StatusCode::OK, more, Some(found)))
}

/// The leaf hashes of a tree, read tile by tile: whole entries are a hundred times as long.
struct Leaves<'a> {
    tree: &'a TreeView,
    size: u64,
    tile: Option<(u64, Vec<Hash>)>,
}

impl<'a> Leaves<'a> {
    fn of(tree: &'a TreeView) -> Self {
        Self {
            tree,
            size: tree.size(),
            tile: None,
        }
    }

    /// The hash of a leaf; `None` if there is none with this index. It is fast for ascending indices.
    fn hash(&mut self, index: u64) -> Result<Option<Hash>, Refusal> {
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

/// What a query asks for, as entries are indexed by it.
fn search_keys(root: &Field<'_>) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for name in ["email", "subject"] {
        if let Some(field) = root.find(name) {
            let text = field.text()?;
            if text.len() > MAX_SUBJECT {
                let message = format!("{name} in body should be at most {MAX_SUBJECT} chars long");
                return Err(Refusal::invalid(Violation::Length, message));
            }
            keys.push(text.to_lowercase());
        }
    }
    if let Some(field) = root.find("hash") {
        let text = field.text()?.to_lowercase();
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
        if hex.len() != length || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = "hash in body should be the hex of a SHA-1, SHA-256, SHA-384 or SHA-512 digest, with or without sha256: and the like before it";
            return Err(Refusal::invalid(Violation::Pattern, message));
        }
        keys.push(format!("{algorithm}:{hex}"));
    }
    if let Some(field) = root.find("publicKey") {
        let name = field.get("format")?;
        let format = match name.text()? {
            "tuf" => {
                return Err(name
                    .refuse("not supported: this log has no entries with TUF roots")
                    .into());
            }
            other => Format::from_name(other)
                .ok_or_else(|| name.not_one_of("pgp x509 minisign ssh tuf"))?,
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
        keys.extend(key.keys().into_iter().next());
    }
    Ok(keys)
}

/// All entries with a key, up to the bound of an answer, ascending.
fn with_key(tree: &TreeView, key: &str) -> Result<Vec<u64>, Refusal> {
    let mut found = Vec::new();
    let mut from = Some(0);
    while let Some(start) = from.filter(|_| found.len() < MAX_FOUND) {
        let page = tree.search(key, start, MAX_PAGE)?;
        found.extend(page.entries);
        from = page.next;
    }
    Ok(found)
}

fn show_leaf(inner: &super::Inner, tree: &TreeView, leaf: &Hash) -> Result<Option<Value>, Refusal> {
    match tree.find(leaf)? {
        Some(index) => inner.show_index(tree, index),
        None => Ok(None),
    }
}

fn found(shown: Option<Value>) -> Result<Response<Body>, Refusal> {
    let shown = shown.ok_or_else(Refusal::no_entry)?;
    Ok(answer(StatusCode::OK, [], Some(shown)))
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 64 | 80) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A number in the query.
fn number(call: &Call, name: &str, default: Option<u64>) -> Result<u64, Refusal> {
    let Some(text) = call.query(name) else {
        return default.ok_or_else(|| {
            Refusal::invalid(Violation::Required, format!("{name} in query is required"))
        });
    };
    text.parse::<i64>()
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            let message = format!("{name} in query must be of type int64, not negative: {text:?}");
            Refusal::invalid(Violation::Type, message)
        })
}

/// Refuses another tree than the one there is.
fn check_tree(call: &Call) -> Result<(), Refusal> {
    let wanted = call.inner.state.tree_id.to_string();
    match call.query("treeID") {
        Some(given) if given != wanted => {
            let given: String = given.chars().take(40).collect();
            let message = format!("this log has no tree {given:?}, only {wanted}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, message))
        }
        _ => Ok(()),
    }
}
