//! The endpoints of Rekor v2: entries are written here, and read from tiles.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>, <https://c2sp.org/tlog-tiles>

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::{Field, RequestV2, parse_v1};
use sealmark_log::{Appended, Entry, Integrated};
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::tile::Bundle;
use sealmark_tlog::{Hash, Tile};
use serde::Serialize;
use serde_json::{Value, json};

use super::dispatch::{Call, MAX_AT_ONCE, blocking, text, with_headers};
use super::refusal::{Refusal, answer};
use super::search::Query;
use super::state::Shard;
use super::v1::FROZEN;
use super::{Duplicates, Inner};

/// What tiles and bundles are.
pub(super) const TILE_TYPE: &str = "application/octet-stream";
/// What a checkpoint is.
pub(super) const CHECKPOINT_TYPE: &str = "text/plain; charset=utf-8";

/// `CreateEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let shard = inner.state.v2_named(call.host());
    if shard.is_frozen() {
        return Ok(frozen());
    }
    let small = body.len() <= MAX_AT_ONCE;
    let sent = append(&inner, shard, small, move || RequestV2::from_json(&body)).await?;
    let index = sent.entry.index.to_string();
    let header = (HeaderName::from_static("x-log-index"), index);
    let headers = Some(header).filter(|_| !sent.is_new);
    // Clients take no other success than 201.
    Ok(show(shard, &sent.leaf, &sent.entry, headers))
}

/// An entry that is in the log, and what proves it.
pub(super) struct Sent {
    pub(super) leaf: Vec<u8>,
    pub(super) entry: Box<Integrated>,
    /// Whether it was not there before.
    pub(super) is_new: bool,
}

/// Checks a request and puts its entry into the log. A small one is checked where it was received: it has one signature,
/// and handing it to another thread would cost as much as checking it.
pub(super) async fn append(
    inner: &Arc<Inner>,
    shard: &Shard,
    small: bool,
    read: impl FnOnce() -> Result<RequestV2, sealmark_entries::Error> + Send + 'static,
) -> Result<Sent, Refusal> {
    let check = move || Ok(read()?.check()?);
    let proposed = match small {
        true => check(),
        false => blocking(check).await,
    }?;
    let leaf = proposed.leaf.clone();
    let entry = Entry {
        leaf: proposed.leaf,
        keys: proposed.keys,
        extra: Vec::new(),
    };
    match inner.state.log.append(&shard.record.tree, entry).await? {
        Appended::New(entry) => Ok(Sent {
            leaf,
            entry: inner.cosigned(shard, entry).await?,
            is_new: true,
        }),
        Appended::Duplicate { index } if inner.duplicates == Duplicates::Return => Ok(Sent {
            leaf,
            entry: inner.cosigned(shard, existing(shard, index).await?).await?,
            is_new: false,
        }),
        Appended::Duplicate { index } => {
            let message = format!(
                "an equivalent entry already exists in the transparency log with index {index}"
            );
            let name = HeaderName::from_static("x-log-index");
            Err(Refusal::new(StatusCode::CONFLICT, message).with(name, index.to_string()))
        }
    }
}

/// An entry that is in the log already, with a proof of now.
async fn existing(shard: &Shard, index: u64) -> Result<Box<Integrated>, Refusal> {
    let tree = shard.tree.clone();
    blocking(move || {
        let checkpoint = tree.checkpoint();
        let proof = tree.inclusion_proof(index, checkpoint.checkpoint.size)?;
        let missing = || Refusal::fault(&format_args!("entry {index} is not in its tree"));
        let stored = tree.entry(index)?.ok_or_else(missing)?;
        Ok(Box::new(Integrated {
            index,
            integrated_ms: stored.integrated_ms,
            leaf_hash: leaf_hash(&stored.entry.leaf),
            checkpoint,
            proof,
        }))
    })
    .await
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
    let host = call.host().map(str::to_owned);
    let found = blocking(move || {
        let query = parse_v1(&body)?;
        let query = Query::parse(&Field::root(&query))?;
        let shard = inner.state.v2_named(host.as_deref());
        let found = query.run(std::slice::from_ref(shard))?;
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

/// The newest checkpoint; if the log has witnesses, the newest that enough of them have cosigned.
pub(super) fn checkpoint(call: &Call) -> Response<Body> {
    let shard = call.inner.state.v2_named(call.host());
    match call.inner.public_checkpoint(shard) {
        Ok(newest) => with_headers(
            newest.note.clone(),
            &[
                (header::CONTENT_TYPE, CHECKPOINT_TYPE),
                (header::CACHE_CONTROL, "no-cache"),
            ],
        ),
        Err(refusal) => refusal.response_v2(),
    }
}

/// Tiles and bundles of entries.
pub(super) async fn tile(call: &Call, path: &str) -> Result<Response<Body>, Refusal> {
    let shard = call.inner.state.v2_named(call.host());
    Ok(with_headers(
        tile_bytes(shard, path.to_owned()).await?,
        &[
            (header::CONTENT_TYPE, TILE_TYPE),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
    ))
}

/// What is at a path of <https://c2sp.org/tlog-tiles>.
pub(super) async fn tile_bytes(shard: &Shard, path: String) -> Result<Vec<u8>, Refusal> {
    let tree = shard.tree.clone();
    blocking(move || {
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
    })
    .await
}

/// What entries call the log: the whole hash of the key's name.
pub(super) fn log_id(shard: &Shard) -> Hash {
    KeyKind::Ed25519.key_hash(&shard.record.host, shard.key.public_key())
}

/// `TransparencyLogEntry` in protobuf JSON, with the fields that are not set, as Rekor writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransparencyLogEntry<'a> {
    log_index: &'a str,
    log_id: LogId,
    kind_version: KindVersion,
    integrated_time: &'static str,
    inclusion_promise: (),
    inclusion_proof: InclusionProof<'a>,
    canonicalized_body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Serialize)]
struct KindVersion {
    kind: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof<'a> {
    log_index: &'a str,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: Checkpoint<'a>,
}

#[derive(Serialize)]
struct Checkpoint<'a> {
    envelope: &'a str,
}

fn show(
    shard: &Shard,
    leaf: &[u8],
    new: &Integrated,
    headers: Option<(HeaderName, String)>,
) -> Response<Body> {
    let key_id = log_id(shard).to_base64();
    let checkpoint = &new.checkpoint.checkpoint;
    let log_index = &new.index.to_string();
    let entry = TransparencyLogEntry {
        log_index,
        log_id: LogId { key_id },
        kind_version: KindVersion {
            kind: "hashedrekord",
            version: "0.0.2",
        },
        integrated_time: "0",
        inclusion_promise: (),
        inclusion_proof: InclusionProof {
            log_index,
            root_hash: checkpoint.root.to_base64(),
            tree_size: checkpoint.size.to_string(),
            hashes: new.proof.iter().map(|hash| hash.to_base64()).collect(),
            checkpoint: Checkpoint {
                envelope: &new.checkpoint.note,
            },
        },
        canonicalized_body: STANDARD.encode(leaf),
    };
    answer(StatusCode::CREATED, headers, Some(entry))
}
