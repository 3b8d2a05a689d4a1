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
use serde_json::{Value, json};

use super::dispatch::{Call, blocking, with_headers};
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
    let (leaf, new) = append(&inner, move || RequestV2::from_json(&body)).await?;
    let shown = show(&inner, &leaf, &new);
    Ok(answer(StatusCode::CREATED, [], Some(shown)))
}

/// Checks a request and puts its entry into the log; the leaf, and what proves it.
pub(super) async fn append(
    inner: &Arc<Inner>,
    read: impl FnOnce() -> Result<RequestV2, sealmark_entries::Error> + Send + 'static,
) -> Result<(Vec<u8>, Box<Integrated>), Refusal> {
    let proposed = blocking(move || Ok(read()?.check()?)).await?;
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
fn show(inner: &Inner, leaf: &[u8], new: &Integrated) -> Value {
    let checkpoint = &new.checkpoint.checkpoint;
    let hashes: Vec<String> = new.proof.iter().map(|hash| hash.to_base64()).collect();
    json!({
        "logIndex": new.index.to_string(),
        "logId": {"keyId": log_id(inner).to_base64()},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "integratedTime": "0",
        "inclusionPromise": null,
        "inclusionProof": {
            "logIndex": new.index.to_string(),
            "rootHash": checkpoint.root.to_base64(),
            "treeSize": checkpoint.size.to_string(),
            "hashes": hashes,
            "checkpoint": {"envelope": new.checkpoint.note},
        },
        "canonicalizedBody": STANDARD.encode(leaf),
    })
}
