//! What monitors read: RFC 6962, section 4, and the tiles of static-ct-api.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_log::{StoredEntry, TreeView};
use sealmark_tlog::tile::{Bundle, WIDTH};
use sealmark_tlog::{Hash, Tile};
use serde_json::{Value, json};

use super::answer::Answer;
use super::{CtLog, leaf, signer};

/// Entries in one answer.
const MAX_ENTRIES: u64 = 1000;
const OCTETS: &str = "application/octet-stream";

type Query = [(String, String)];

/// Answers a GET.
pub(super) fn answer(log: &CtLog, path: &str, query: &Query) -> Result<Answer, Answer> {
    let tree = log.tree()?;
    match path {
        "ct/v1/get-sth" => sth(&tree),
        "ct/v1/get-sth-consistency" => consistency(&tree, query),
        "ct/v1/get-proof-by-hash" => by_hash(&tree, query),
        "ct/v1/get-entries" => entries(log, &tree, query),
        "ct/v1/get-entry-and-proof" => entry_and_proof(log, &tree, query),
        "ct/v1/get-roots" => {
            let roots = log.roots();
            let roots: Vec<_> = roots
                .iter()
                .map(|root| STANDARD.encode(root.der()))
                .collect();
            Ok(Answer::Json(json!({"certificates": roots})))
        }
        "checkpoint" => Ok(Answer::Text(tree.checkpoint().note.clone())),
        _ => {
            if let Some(data) = path.strip_prefix("tile/data/") {
                return data_tile(&tree, data);
            }
            if path.starts_with("tile/") {
                let tile = Tile::parse(path).ok_or_else(|| not_found("tile"))?;
                let bytes = tree.tile(tile)?.ok_or_else(|| not_found("tile"))?;
                return Ok(Answer::Immutable(OCTETS, bytes));
            }
            if let Some(name) = path.strip_prefix("issuer/") {
                let known = super::read(&log.0.known);
                let issuer = decode_hex(name).and_then(|id| known.get(&id));
                let issuer = issuer.ok_or_else(|| not_found("issuer"))?;
                return Ok(Answer::Immutable(
                    "application/pkix-cert",
                    issuer.der().to_vec(),
                ));
            }
            Err(not_found("endpoint"))
        }
    }
}

fn not_found(what: &str) -> Answer {
    Answer::Failed(StatusCode::NOT_FOUND, format!("there is no such {what}"))
}

fn bad(reason: impl Into<String>) -> Answer {
    Answer::Failed(StatusCode::BAD_REQUEST, reason.into())
}

fn number(query: &Query, name: &str) -> Result<u64, Answer> {
    let value = query.iter().find(|(key, _)| key == name);
    value
        .and_then(|(_, value)| value.parse().ok())
        .ok_or_else(|| bad(format!("the parameter {name} is missing, or is no number")))
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn sth(tree: &TreeView) -> Result<Answer, Answer> {
    let signed = tree.checkpoint();
    let (time, signature) =
        signer::signed_tree_head(&signed.note).ok_or_else(|| not_found("tree head"))?;
    Ok(Answer::Json(json!({
        "tree_size": signed.checkpoint.size,
        "timestamp": time,
        "sha256_root_hash": signed.checkpoint.root.to_base64(),
        "tree_head_signature": STANDARD.encode(signature),
    })))
}

fn base64s(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_base64).collect()
}

fn consistency(tree: &TreeView, query: &Query) -> Result<Answer, Answer> {
    let (first, second) = (number(query, "first")?, number(query, "second")?);
    let size = tree.size();
    if first > second || second > size {
        return Err(bad(format!(
            "first and second must be ascending, and at most {size}"
        )));
    }
    let hashes = match first {
        // The empty tree is the beginning of every other; there is nothing to prove.
        0 => Vec::new(),
        _ => tree.consistency_proof(first, second)?,
    };
    Ok(Answer::Json(json!({"consistency": base64s(&hashes)})))
}

fn by_hash(tree: &TreeView, query: &Query) -> Result<Answer, Answer> {
    let hash = query.iter().find(|(key, _)| key == "hash");
    let hash = hash.and_then(|(_, text)| Hash::from_base64(text));
    let hash = hash
        .ok_or_else(|| bad("the parameter hash is missing, or is no SHA-256 digest in base64"))?;
    let size = number(query, "tree_size")?;
    let current = tree.size();
    if size > current {
        return Err(bad(format!("tree_size must be at most {current}")));
    }
    let index = tree.find(&hash)?.filter(|index| *index < size);
    let index = index.ok_or_else(|| not_found("leaf in a tree of that size"))?;
    let path = tree.inclusion_proof(index, size)?;
    Ok(Answer::Json(
        json!({"leaf_index": index, "audit_path": base64s(&path)}),
    ))
}

fn entries(log: &CtLog, tree: &TreeView, query: &Query) -> Result<Answer, Answer> {
    let (start, end) = (number(query, "start")?, number(query, "end")?);
    let size = tree.size();
    if start > end || start >= size {
        return Err(bad(format!(
            "start must be at most end, and less than {size}"
        )));
    }
    let end = end.min(size - 1).min(start + MAX_ENTRIES - 1);
    let mut shown: Vec<Value> = Vec::new();
    let mut next = start;
    while next <= end {
        let count = (end - next + 1).min(WIDTH as u64) as usize;
        let found = tree.entries(next, count)?;
        if found.is_empty() {
            break;
        }
        for stored in found {
            next = stored.index + 1;
            let (leaf_input, extra_data) = of_rfc6962(log, &stored)?;
            shown.push(json!({"leaf_input": leaf_input, "extra_data": extra_data}));
        }
    }
    Ok(Answer::Json(json!({"entries": shown})))
}

fn entry_and_proof(log: &CtLog, tree: &TreeView, query: &Query) -> Result<Answer, Answer> {
    let (index, size) = (number(query, "leaf_index")?, number(query, "tree_size")?);
    let current = tree.size();
    if index >= size || size > current {
        return Err(bad(format!(
            "leaf_index must be less than tree_size, and tree_size at most {current}"
        )));
    }
    let stored = tree.entry(index)?.ok_or_else(|| not_found("entry"))?;
    let path = tree.inclusion_proof(index, size)?;
    let (leaf_input, extra_data) = of_rfc6962(log, &stored)?;
    Ok(Answer::Json(json!({
        "leaf_input": leaf_input, "extra_data": extra_data, "audit_path": base64s(&path),
    })))
}

/// `leaf_input` and `extra_data`, which has the certificates themselves (section 4.6).
fn of_rfc6962(log: &CtLog, stored: &StoredEntry) -> Result<(String, String), Answer> {
    let damaged = || {
        tracing::error!(
            "certificate transparency log: entry {} is damaged",
            stored.index
        );
        Answer::Failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the log could not read its storage; its own log says why".to_owned(),
        )
    };
    let parts = leaf::parts(&stored.entry.leaf, &stored.entry.extra).ok_or_else(damaged)?;
    let known = super::read(&log.0.known);
    let mut chain = Vec::new();
    for id in &parts.chain {
        leaf::put_u24(known.get(id).ok_or_else(damaged)?.der(), &mut chain);
    }
    let mut extra = Vec::new();
    if parts.is_precertificate {
        leaf::put_u24(parts.submitted, &mut extra);
    }
    leaf::put_u24(&chain, &mut extra);
    Ok((STANDARD.encode(&stored.entry.leaf), STANDARD.encode(extra)))
}

fn data_tile(tree: &TreeView, name: &str) -> Result<Answer, Answer> {
    // The names are those of bundles of entries, in another folder.
    let bundle = Bundle::parse(&format!("tile/entries/{name}"));
    let bundle = bundle.filter(|bundle| bundle.is_in(tree.size()));
    let bundle = bundle.ok_or_else(|| not_found("tile"))?;
    let mut bytes = Vec::new();
    let mut next = bundle.index() * WIDTH as u64;
    let end = next + bundle.width() as u64;
    while next < end {
        let found = tree.entries(next, (end - next) as usize)?;
        if found.is_empty() {
            return Err(not_found("tile"));
        }
        for stored in found {
            next = stored.index + 1;
            bytes.extend(leaf::tile_leaf(&stored.entry.leaf, &stored.entry.extra));
        }
    }
    Ok(Answer::Immutable(OCTETS, bytes))
}
