//! The endpoints of Rekor v2: entries are written here, and read from tiles.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>, <https://c2sp.org/tlog-tiles>

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::{Field, RequestV2, parse_v1};
use sealmark_log::{Appended, Entry, SignedCheckpoint};
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::tile::Bundle;
use sealmark_tlog::{Hash, Tile};
use serde_json::{Value, json};

use super::Duplicates;
use super::dispatch::{Call, blocking, text, with_headers};
use super::refusal::{Refusal, answer};
use super::search::Query;
use super::shards::Interface;
use super::state::{Shard, State};
use super::v1::FROZEN;

/// `CreateEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let shard = wanted_tree(call, &inner.state);
    if shard.is_frozen() {
        return Ok(frozen());
    }
    let proposed = blocking(move || Ok(RequestV2::from_json(&body)?.check()?)).await?;
    let leaf = proposed.leaf.clone();
    let entry = Entry {
        leaf: proposed.leaf,
        keys: proposed.keys,
        extra: Vec::new(),
    };
    match inner.state.log.append(&shard.record.tree, entry).await? {
        Appended::New(new) => {
            let shown = show(shard, &leaf, new.index, &new.checkpoint, &new.proof);
            Ok(answer(StatusCode::CREATED, [], Some(shown)))
        }
        Appended::Duplicate { index } => {
            let header = (HeaderName::from_static("x-log-index"), index.to_string());
            match inner.duplicates {
                Duplicates::Refuse => {
                    let message = format!(
                        "an equivalent entry already exists in the transparency log with index {index}"
                    );
                    let refusal = Refusal::new(StatusCode::CONFLICT, message);
                    Err(refusal.with(header.0, header.1))
                }
                Duplicates::Return => {
                    let tree = shard.tree.clone();
                    let (checkpoint, proof) = blocking(move || {
                        let checkpoint = tree.checkpoint();
                        let proof = tree.inclusion_proof(index, checkpoint.checkpoint.size)?;
                        Ok((checkpoint, proof))
                    })
                    .await?;
                    // Clients take no other success than 201.
                    let shown = show(shard, &leaf, index, &checkpoint, &proof);
                    Ok(answer(StatusCode::CREATED, [header], Some(shown)))
                }
            }
        }
    }
}

/// The tree whose name the client asked for, or the current one: a proxy may have put its own name in the place.
fn wanted_tree<'a>(call: &Call, state: &'a State) -> &'a Shard {
    let host = call.host();
    let named = |shard: &&Shard| {
        shard
            .record
            .host
            .eq_ignore_ascii_case(host.unwrap_or_default())
    };
    let found = state.v2.iter().rfind(named);
    found.unwrap_or_else(|| state.current(Interface::V2))
}

/// As Rekor answers it: no JSON.
fn frozen() -> Response<Body> {
    let mut response = text("text/plain; charset=utf-8", FROZEN);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// Search, which Rekor v2 does not have: the query of v1, the answer with indices, which are what a reader of tiles needs.
pub(super) async fn search(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let tree = wanted_tree(call, &inner.state).record.tree.clone();
    let found = blocking(move || {
        let query = parse_v1(&body)?;
        let query = Query::parse(&Field::root(&query))?;
        let shards = inner.state.v2.iter();
        let mut shards = shards.filter(|shard| shard.record.tree == tree);
        let found = query.run(shards.next().map_or(&[], std::slice::from_ref))?;
        let entries = found.entries.iter();
        let entries = entries.map(|(_, index)| json!({"logIndex": index.to_string()}));
        Ok(json!({
            "entries": entries.collect::<Vec<Value>>(),
            "next": found.next.map(|next| next.to_string()),
            "through": found.through.to_string(),
        }))
    });
    Ok(answer(StatusCode::OK, [], Some(found.await?)))
}

/// The newest checkpoint.
pub(super) fn checkpoint(call: &Call) -> Response<Body> {
    let shard = wanted_tree(call, &call.inner.state);
    with_headers(
        shard.tree.checkpoint().note.clone(),
        &[
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
    )
}

/// Tiles and bundles of entries.
pub(super) async fn tile(call: &Call, path: &str) -> Result<Response<Body>, Refusal> {
    let tree = wanted_tree(call, &call.inner.state).tree.clone();
    let path = path.to_owned();
    let bytes = blocking(move || {
        let bytes = match (Bundle::parse(&path), Tile::parse(&path)) {
            (Some(bundle), _) => tree.bundle(bundle)?,
            (None, Some(tile)) => tree.tile(tile)?,
            (None, None) => None,
        };
        bytes.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "the log has no such tile, or not yet",
            )
        })
    });
    Ok(with_headers(
        bytes.await?,
        &[
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
    ))
}

/// `TransparencyLogEntry` in protobuf JSON, with the fields that are not set, as Rekor writes it.
fn show(
    shard: &Shard,
    leaf: &[u8],
    index: u64,
    signed: &SignedCheckpoint,
    proof: &[Hash],
) -> Value {
    let log_id = KeyKind::Ed25519.key_hash(&shard.record.host, shard.key.public_key());
    let checkpoint = &signed.checkpoint;
    let hashes: Vec<String> = proof.iter().map(Hash::to_base64).collect();
    json!({
        "logIndex": index.to_string(),
        "logId": {"keyId": log_id.to_base64()},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "integratedTime": "0",
        "inclusionPromise": null,
        "inclusionProof": {
            "logIndex": index.to_string(),
            "rootHash": checkpoint.root.to_base64(),
            "treeSize": checkpoint.size.to_string(),
            "hashes": hashes,
            "checkpoint": {"envelope": signed.note},
        },
        "canonicalizedBody": STANDARD.encode(leaf),
    })
}
