//! Rekor v2 over gRPC: the same journeys as over HTTP, with the same refusals.
//!
//! rekor-tiles declares the reads (`GetTile`, `GetEntryBundle`, `GetCheckpoint`) and does not serve them on its write
//! server; here they give what HTTP gives.

mod messages;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode, Version};
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
use crate::grpc::health::{self, HealthCheckRequest};
use crate::grpc::{self, Code, Empty, Messages, Status, reflection};

const SERVICE: &str = "dev.sigstore.rekor.v2.Rekor";

/// What a path is called in metrics; `None` if it is none of a call.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    const CALLS: [&str; 6] = [
        "/dev.sigstore.rekor.v2.Rekor/CreateEntry",
        "/dev.sigstore.rekor.v2.Rekor/GetTile",
        "/dev.sigstore.rekor.v2.Rekor/GetEntryBundle",
        "/dev.sigstore.rekor.v2.Rekor/GetCheckpoint",
        health::CHECK,
        health::WATCH,
    ];
    let calls = CALLS.into_iter().chain(reflection::PATHS);
    calls.into_iter().find(|call| *call == path)
}

/// Answers a call, within its deadline if it has one.
pub(super) async fn serve(inner: Arc<Inner>, request: Request) -> Response<Body> {
    if request.version() < Version::HTTP_2 || request.method() != Method::POST {
        let mut response = Response::new(Body::from("gRPC is POST over HTTP/2\n"));
        *response.status_mut() = match request.method() {
            &Method::POST => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        return response;
    }
    let deadline = grpc::timeout(request.headers());
    let answer = route(inner, request);
    let result = match deadline {
        Some(deadline) => tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| {
                let message = "the deadline is over; what was sent whole may still be logged";
                Err(Status::new(Code::DeadlineExceeded, message))
            }),
        None => answer.await,
    };
    result.unwrap_or_else(Status::response)
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
        health::CHECK => {
            let HealthCheckRequest { service } = messages.single(large).await?;
            Ok(grpc::reply(&health::check(&look(&inner), &service)?))
        }
        health::WATCH => {
            let HealthCheckRequest { service } = messages.single(large).await?;
            health::watch(look(&inner), service, &inner.watching)
        }
        path if reflection::PATHS.contains(&path) => Ok(reflection::serve(messages)),
        path => {
            let path: String = path.chars().take(200).collect();
            let message = format!("there is no {}", path.escape_debug());
            Err(Status::new(Code::Unimplemented, message))
        }
    }
}

/// How the service is; it is not kept by who asks.
fn look(inner: &Arc<Inner>) -> health::Look {
    let inner = Arc::downgrade(inner);
    Arc::new(move |service| {
        matches!(service, "" | SERVICE).then(|| {
            let inner = inner.upgrade();
            inner.is_some_and(|inner| inner.state.log.health().is_ok())
        })
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
