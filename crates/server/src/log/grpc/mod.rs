//! Rekor v2 over gRPC: the same journeys as over HTTP, with the same refusals.
//!
//! rekor-tiles declares the reads (`GetTile`, `GetEntryBundle`, `GetCheckpoint`) and does not serve them on its write
//! server; here they give what HTTP gives.

mod messages;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use sealmark_entries::{NO_DSSE, RequestV2, SentVerifier};
use sealmark_log::Integrated;
use tokio::sync::Semaphore;

use self::messages::{
    Checkpoint, CreateEntryRequest, EntryBundleRequest, HttpBody, InclusionProof, KindVersion,
    LogId, RawBytes, Spec, TileRequest, TransparencyLogEntry, VerifierKind,
};
use super::refusal::Refusal;
use super::state::Shard;
use super::v1::FROZEN;
use super::{Inner, v2};
use crate::grpc::{self, Code, Empty, Messages, Status};

const SERVICE: &str = "dev.sigstore.rekor.v2.Rekor";

/// What a path is called in metrics; `None` if it is none of a call.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    const CALLS: [&str; 4] = [
        "/dev.sigstore.rekor.v2.Rekor/CreateEntry",
        "/dev.sigstore.rekor.v2.Rekor/GetTile",
        "/dev.sigstore.rekor.v2.Rekor/GetEntryBundle",
        "/dev.sigstore.rekor.v2.Rekor/GetCheckpoint",
    ];
    let call = CALLS.into_iter().find(|call| *call == path);
    call.or_else(|| grpc::about::endpoint(path))
}

/// Answers a call, within its deadline if it has one.
pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    let late = "the deadline is over; what was sent whole may still be logged";
    grpc::within_deadline(request, late, |request| route(inner, request)).await
}

async fn route(inner: Arc<Inner>, request: Request) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let host = parts.uri.host().map(str::to_owned);
    let mut messages = Messages::new(body);
    let place = inner.clone();
    let large: &Semaphore = &place.messages;
    match parts.uri.path() {
        "/dev.sigstore.rekor.v2.Rekor/CreateEntry" => {
            let request = proposed(messages.single(large).await?)?;
            // In a task of its own: an entry that was checked gets into the log with all that belongs to it, though its
            // client goes or does not wait.
            let extensions = parts.extensions;
            let create = tokio::spawn(async move {
                // Among them is what the server counts this work by.
                let _extensions = extensions;
                let shard = inner.state.v2_named(host.as_deref());
                if shard.is_frozen() {
                    return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, FROZEN));
                }
                // It was read already; what is left is one signature.
                let sent = v2::append(&inner, shard, true, move || Ok(request)).await?;
                Ok(shown(shard, sent.leaf, &sent.entry))
            });
            let created = create
                .await
                .unwrap_or_else(|error| Err(Refusal::fault(&error)));
            Ok(grpc::reply(&created.map_err(Refusal::status)?))
        }
        "/dev.sigstore.rekor.v2.Rekor/GetTile" => {
            let TileRequest { level, index } = messages.single(large).await?;
            file(&inner, host.as_deref(), format!("tile/{level}/{index}")).await
        }
        "/dev.sigstore.rekor.v2.Rekor/GetEntryBundle" => {
            let EntryBundleRequest { index } = messages.single(large).await?;
            file(&inner, host.as_deref(), format!("tile/entries/{index}")).await
        }
        "/dev.sigstore.rekor.v2.Rekor/GetCheckpoint" => {
            let Empty {} = messages.single(large).await?;
            let shard = inner.state.v2_named(host.as_deref());
            let newest = inner.public_checkpoint(shard).map_err(Refusal::status)?;
            Ok(grpc::reply(&HttpBody {
                content_type: v2::CHECKPOINT_TYPE.to_owned(),
                data: newest.note.clone().into_bytes(),
            }))
        }
        path if grpc::about::endpoint(path).is_some() => {
            let own = grpc::about::Service {
                name: SERVICE,
                serves: serves(&inner),
            };
            let beside = inner.beside.get().into_iter().flatten().cloned();
            let services = std::iter::once(own).chain(beside).collect();
            grpc::about::answer(path, messages, large, services, &inner.watching).await
        }
        path => Err(Status::no_method(path)),
    }
}

/// Whether the log takes entries; it is not kept by who asks.
fn serves(inner: &Arc<Inner>) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let inner = Arc::downgrade(inner);
    Arc::new(move || {
        let inner = inner.upgrade();
        inner.is_some_and(|inner| inner.state.log.health().is_ok())
    })
}

async fn file(inner: &Inner, host: Option<&str>, path: String) -> Result<Response<Body>, Status> {
    let shard = inner.state.v2_named(host);
    let data = v2::tile_bytes(shard, path).await.map_err(Refusal::status)?;
    Ok(grpc::reply(&HttpBody {
        content_type: v2::TILE_TYPE.to_owned(),
        data,
    }))
}

fn proposed(request: CreateEntryRequest) -> Result<RequestV2, Status> {
    let refuse = |reason: &str| {
        let message = format!("invalid hashedrekord request: {reason}");
        Status::new(Code::InvalidArgument, message)
    };
    let entry = match request.spec {
        Some(Spec::HashedRekord(entry)) => entry,
        Some(Spec::Dsse(_)) => {
            return Err(refuse(NO_DSSE));
        }
        None => return Err(refuse("hashed_rekord_request_v002 is missing")),
    };
    let signature = entry
        .signature
        .ok_or_else(|| refuse("signature is missing"))?;
    let verifier = signature
        .verifier
        .ok_or_else(|| refuse("verifier is missing"))?;
    Ok(RequestV2 {
        digest: entry.digest,
        signature: signature.content,
        verifier: verifier.verifier.map(|verifier| match verifier {
            VerifierKind::PublicKey(RawBytes { raw_bytes }) => SentVerifier::PublicKey(raw_bytes),
            VerifierKind::Certificate(RawBytes { raw_bytes }) => {
                SentVerifier::Certificate(raw_bytes)
            }
        }),
        key_details: u64::try_from(verifier.key_details).unwrap_or(0),
    })
}

fn shown(shard: &Shard, leaf: Vec<u8>, new: &Integrated) -> TransparencyLogEntry {
    // No tree here comes near 2⁶³ leaves.
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let checkpoint = &new.checkpoint.checkpoint;
    TransparencyLogEntry {
        log_index: number(new.index),
        log_id: Some(LogId {
            key_id: v2::log_id(shard).bytes().to_vec(),
        }),
        kind_version: Some(KindVersion {
            kind: "hashedrekord".to_owned(),
            version: "0.0.2".to_owned(),
        }),
        inclusion_proof: Some(InclusionProof {
            log_index: number(new.index),
            root_hash: checkpoint.root.bytes().to_vec(),
            tree_size: number(checkpoint.size),
            hashes: new.proof.iter().map(|hash| hash.bytes().to_vec()).collect(),
            checkpoint: Some(Checkpoint {
                envelope: new.checkpoint.note.clone(),
            }),
        }),
        canonicalized_body: leaf,
    }
}
