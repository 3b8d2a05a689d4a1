//! The endpoints of Rekor v1.
//! <https://github.com/sigstore/rekor/blob/main/openapi.yaml>

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use sealmark_entries::{Field, Proposed, Violation, check_v1, parse_v1, read_v1};
use sealmark_log::{Appended, Entry};
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;
use serde_json::{Value, json};

use super::dispatch::{Call, MAX_AT_ONCE, blocking, text};
use super::entry::{Logged, log_entry_anon, parse_id};
use super::refusal::{Refusal, answer};
use super::search::{Leaves, Query};
use super::shards::Interface;
use super::state::{Shard, State};

/// Entries in one request for several.
const MAX_ENTRIES: usize = 10;
/// Who writes to a log that ended. The words are those of Rekor v2.
pub(super) const FROZEN: &str = "This log has been frozen, please switch to the latest log.";

/// `createLogEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let shard = inner.state.current(Interface::V1);
    if shard.is_frozen() {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, FROZEN).with(header::ALLOW, "GET"));
    }
    let proposed = check(body).await?;
    let entry = Entry {
        leaf: proposed.leaf.clone(),
        keys: proposed.keys,
        extra: inner.kept(proposed.attestation),
    };
    let appended = inner.state.log.append(&shard.record.tree, entry).await?;
    let id = shard.entry_id(&leaf_hash(&proposed.leaf));
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
    let shown = log_entry_anon(
        shard,
        &Logged {
            leaf: &proposed.leaf,
            index: new.index,
            integrated_ms: new.integrated_ms,
            checkpoint: &new.checkpoint,
            proof: &new.proof,
            attestation: &[],
        },
    )?;
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
    let shown = blocking(move || inner.show_index(index)).await?;
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
        let shown = match parse_id(&id) {
            Some((tree, leaf)) => inner.show_leaf(tree, &leaf, 1)?.pop(),
            None => None,
        };
        Ok(shown)
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
        // A leaf may be in several trees, and clients get it from each.
        let mut shown = Vec::new();
        for id in ids {
            let text = id.text()?;
            if !is_id(text) {
                let message =
                    "entryUUIDs in body should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'";
                return Err(Refusal::invalid(Violation::Pattern, message));
            }
            if let Some((tree, leaf)) = parse_id(text) {
                shown.extend(inner.show_leaf(tree, &leaf, usize::MAX)?);
            }
        }
        for index in indexes {
            let number = index.value.as_u64();
            let number = number.ok_or_else(|| index.of_type("integer"))?;
            shown.extend(inner.show_index(number)?);
        }
        for entry in entries {
            let leaf = leaf_hash(&check_v1(entry.value)?.leaf);
            shown.extend(inner.show_leaf(None, &leaf, usize::MAX)?);
        }
        Ok(Value::Array(shown))
    });
    Ok(answer(StatusCode::OK, [], Some(shown.await?)))
}

/// `getLogInfo`
pub(super) fn info(call: &Call) -> Result<Response<Body>, Refusal> {
    let about = |shard: &Shard| {
        let checkpoint = shard.tree.checkpoint();
        json!({
            "rootHash": checkpoint.checkpoint.root.to_string(),
            "treeSize": checkpoint.checkpoint.size,
            "signedTreeHead": checkpoint.note,
            "treeID": shard.tree_id().to_string(),
        })
    };
    let state = &call.inner.state;
    let current = state.current(Interface::V1);
    let inactive = state.v1.split_last().map_or(&[][..], |(_, older)| older);
    let mut info = about(current);
    info["inactiveShards"] = inactive.iter().map(about).collect();
    Ok(answer(StatusCode::OK, [], Some(info)))
}

/// `getPublicKey`
pub(super) fn public_key(call: &Call) -> Result<Response<Body>, Refusal> {
    let shard = wanted_tree(call, &call.inner.state)?;
    let pem = shard.key.public_key().to_pem();
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
    let tree = wanted_tree(call, &call.inner.state)?.tree.clone();
    let shown = blocking(move || {
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
        let query = Query::parse(&Field::root(&query))?;
        let found = query.run(&inner.state.v1)?;
        let mut ids = Vec::with_capacity(found.entries.len());
        let mut leaves: Option<Leaves<'_>> = None;
        for (shard, index) in found.entries {
            let of_shard = leaves.take().filter(|leaves| leaves.are_of(&shard.tree));
            let leaves = leaves.insert(of_shard.unwrap_or_else(|| Leaves::of(&shard.tree)));
            let leaf = leaves.hash(index)?;
            ids.extend(leaf.map(|leaf| Value::from(shard.entry_id(&leaf))));
        }
        Ok((Value::Array(ids), found.next, found.through))
    });
    let (found, next, through) = found.await?;
    let header = |name, value: String| (HeaderName::from_static(name), value);
    let mut headers = vec![header("x-index-through", through.to_string())];
    if let Some(next) = next {
        headers.push(header("x-more-entries", "true".to_owned()));
        headers.push(header("x-next-entry", next.to_string()));
    }
    Ok(answer(StatusCode::OK, headers, Some(found)))
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

/// The tree that is asked for: the current one, if none is.
fn wanted_tree<'a>(call: &Call, state: &'a State) -> Result<&'a Shard, Refusal> {
    let Some(given) = call.query("treeID") else {
        return Ok(state.current(Interface::V1));
    };
    let mut trees = state.v1.iter();
    let found = trees.find(|shard| shard.tree_id().to_string() == given);
    found.ok_or_else(|| {
        let given: String = given.chars().take(40).collect();
        let trees = state.v1.iter().map(|shard| shard.tree_id().to_string());
        let known = trees.collect::<Vec<_>>().join(", ");
        let message = format!("this log has no tree {given:?}, only {known}");
        Refusal::new(StatusCode::BAD_REQUEST, message)
    })
}
