//! The endpoints of Rekor v2: entries are written here, and read from tiles.
//! <https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md>, <https://c2sp.org/tlog-tiles>

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::RequestV2;
use sealmark_log::{Appended, Entry, Integrated};
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::tile::Bundle;
use sealmark_tlog::{Hash, Tile};
use serde::Serialize;

use super::dispatch::{Call, MAX_AT_ONCE, blocking, with_headers};
use super::refusal::{Refusal, answer};
use super::{Inner, state};

/// What tiles and bundles are.
pub(super) const TILE_TYPE: &str = "application/octet-stream";
/// What a checkpoint is.
pub(super) const CHECKPOINT_TYPE: &str = "text/plain; charset=utf-8";

/// `CreateEntry`
pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Refusal> {
    let body = call.body().await?;
    let inner = call.inner.clone();
    let small = body.len() <= MAX_AT_ONCE;
    let (leaf, new) = append(&inner, small, move || RequestV2::from_json(&body)).await?;
    Ok(show(&inner, &leaf, &new))
}

/// Checks a request and puts its entry into the log; the leaf, and what proves it. A small one is checked where it was
/// received: it has one signature, and handing it to another thread would cost as much as checking it.
pub(super) async fn append(
    inner: &Arc<Inner>,
    small: bool,
    read: impl FnOnce() -> Result<RequestV2, sealmark_entries::Error> + Send + 'static,
) -> Result<(Vec<u8>, Box<Integrated>), Refusal> {
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
    match inner.state.log.append(state::V2, entry).await? {
        Appended::New(new) => Ok((leaf, inner.cosigned(new).await?)),
        Appended::Duplicate { index } => {
            let message = format!(
                "an equivalent entry already exists in the transparency log with index {index}"
            );
            let name = HeaderName::from_static("x-log-index");
            Err(Refusal::new(StatusCode::CONFLICT, message).with(name, index.to_string()))
        }
    }
}

/// The newest checkpoint; if the log has witnesses, the newest that enough of them have cosigned.
pub(super) fn checkpoint(call: &Call) -> Response<Body> {
    match call.inner.public_checkpoint() {
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
    let bytes = tile_bytes(&call.inner, path.to_owned()).await?;
    Ok(with_headers(
        bytes,
        &[
            (header::CONTENT_TYPE, TILE_TYPE),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
    ))
}

/// What is at a path of <https://c2sp.org/tlog-tiles>.
pub(super) async fn tile_bytes(inner: &Arc<Inner>, path: String) -> Result<Vec<u8>, Refusal> {
    let inner = inner.clone();
    blocking(move || {
        let tree = inner.state.log.tree(state::V2)?;
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
pub(super) fn log_id(inner: &Inner) -> Hash {
    let key = inner.state.v2.public_key();
    KeyKind::Ed25519.key_hash(&inner.state.host, key)
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

fn show(inner: &Inner, leaf: &[u8], new: &Integrated) -> Response<Body> {
    let key_id = log_id(inner).to_base64();
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
    answer(StatusCode::CREATED, [], Some(entry))
}
