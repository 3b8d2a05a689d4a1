//! What a witness answers. <https://c2sp.org/tlog-witness#http-interface>

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sealmark_tlog::merkle::{empty_root, verify_consistency};
use sealmark_tlog::witness::{AddCheckpoint, MAX_REQUEST};
use sealmark_tlog::{Checkpoint, Note};

use super::Inner;
use super::record::{Cosigned, lock};
use crate::ops::Refused;

/// Time for a whole body.
const TIMEOUT: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";
/// Of the size that the witness has, in a 409.
const SIZE: &str = "text/x.tlog.size";

/// An answer that is no cosignature.
type Refusal = (StatusCode, String);

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{log}/checkpoint", get(newest))
        .with_state(inner)
}

/// The answer to a request that the server refused.
pub(super) fn refused(refused: &Refused) -> Response<Body> {
    response(refused.status, TEXT, line(&refused.message))
}

/// For people: who this is, and how to trust it.
async fn about(State(inner): State<Arc<Inner>>) -> String {
    format!(
        "A witness of transparency logs, https://c2sp.org/tlog-witness\n{}\n",
        inner.verifier
    )
}

async fn newest(State(inner): State<Arc<Inner>>, Path(log): Path<String>) -> Response<Body> {
    match inner.record.newest(&log) {
        Some(note) => response(StatusCode::OK, TEXT, note),
        None => {
            let message = "no checkpoint of such a log was cosigned\n";
            response(StatusCode::NOT_FOUND, TEXT, message.to_owned())
        }
    }
}

/// The work is on a thread that goes on when the client goes: what was begun on the disk is finished, with its log locked.
async fn add_checkpoint(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let Ok(_place) = inner.places.try_acquire() else {
        let message = "too many requests at once: try again in a second\n";
        let mut busy = response(StatusCode::SERVICE_UNAVAILABLE, TEXT, message.to_owned());
        let second = header::HeaderValue::from_static("1");
        busy.headers_mut().insert(header::RETRY_AFTER, second);
        return busy;
    };
    let body = match tokio::time::timeout(TIMEOUT, to_bytes(request.into_body(), MAX_REQUEST)).await
    {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            let message =
                format!("the body ended early, or has more than {MAX_REQUEST} bytes: {error}\n");
            return response(StatusCode::PAYLOAD_TOO_LARGE, TEXT, message);
        }
        Err(_) => {
            let message = format!("the body did not come within {} s\n", TIMEOUT.as_secs());
            return response(StatusCode::REQUEST_TIMEOUT, TEXT, message);
        }
    };
    let inner = inner.clone();
    match tokio::task::spawn_blocking(move || inner.cosign(&body)).await {
        Ok(Ok(cosignature)) => response(StatusCode::OK, TEXT, cosignature),
        Ok(Err((StatusCode::CONFLICT, size))) => response(StatusCode::CONFLICT, SIZE, size),
        Ok(Err((status, message))) => response(status, TEXT, message),
        Err(error) => {
            let (status, message) = fault(&error);
            response(status, TEXT, message)
        }
    }
}

impl Inner {
    /// Checks a request, and cosigns what it brings.
    fn cosign(&self, body: &[u8]) -> Result<String, Refusal> {
        let malformed = |error: &dyn std::fmt::Display| (StatusCode::BAD_REQUEST, line(error));
        let text = str::from_utf8(body).map_err(|error| malformed(&error))?;
        let request = AddCheckpoint::parse(text).map_err(|error| malformed(&error))?;
        let note = Note::parse(&request.checkpoint).map_err(|error| malformed(&error))?;
        let checkpoint = Checkpoint::parse(&note.text).map_err(|error| malformed(&error))?;
        if self.keys_of(&checkpoint.origin).next().is_none() {
            let message = "this witness does not know the log with this origin\n".to_owned();
            return Err((StatusCode::NOT_FOUND, message));
        }
        let Some(mut note) = self.by_its_log(&checkpoint.origin, &note) else {
            let message = "no signature, or a wrong one, by the log's key\n".to_owned();
            return Err((StatusCode::FORBIDDEN, message));
        };
        if request.old_size > checkpoint.size {
            let message = "the old size is larger than that of the checkpoint\n".to_owned();
            return Err((StatusCode::BAD_REQUEST, message));
        }
        let Some(place) = self.record.place(&checkpoint.origin) else {
            return Err(fault(&"there are too many logs to remember another"));
        };
        let mut place = lock(&place);
        continues(place.as_ref(), &request, &checkpoint)?;
        let now = self.clock.now_ms() / 1000;
        let cosignature = self.signer.sign(&note.text, now);
        let cosignature = cosignature.map_err(|error| fault(&error))?;
        note.signatures.push(cosignature.clone());
        let cosigned = Cosigned {
            checkpoint,
            note: note.to_string(),
        };
        let replaced = self.record.replace(&mut place, cosigned);
        replaced.map_err(|error| fault(&error))?;
        Ok(format!("{cosignature}\n"))
    }
}

/// Checks that the checkpoint continues what was cosigned of its log.
fn continues(
    last: Option<&Cosigned>,
    request: &AddCheckpoint,
    checkpoint: &Checkpoint,
) -> Result<(), Refusal> {
    let inconsistent = |error: &dyn std::fmt::Display| {
        tracing::warn!(
            "witness: a checkpoint that {} signed was refused: {error}",
            checkpoint.origin.escape_debug()
        );
        (StatusCode::UNPROCESSABLE_ENTITY, line(error))
    };
    let (size, root) = last.map_or_else(
        || (0, empty_root()),
        |last| (last.checkpoint.size, last.checkpoint.root),
    );
    if request.old_size != size {
        return Err((StatusCode::CONFLICT, format!("{size}\n")));
    }
    if checkpoint.size == 0 && checkpoint.root != empty_root() {
        return Err(inconsistent(&"a tree without leaves has another root"));
    }
    if size == 0 {
        return match request.proof.is_empty() {
            true => Ok(()),
            false => Err(inconsistent(&"there is no proof for the empty tree")),
        };
    }
    verify_consistency(
        size,
        checkpoint.size,
        &root,
        &checkpoint.root,
        &request.proof,
    )
    .map_err(|error| inconsistent(&error))
}

fn line(message: &dyn std::fmt::Display) -> String {
    format!("{message}\n")
}

/// What went wrong here; the client learns that it did.
fn fault(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!("witness: a request failed: {error}");
    let message = "the witness could not do it; its own log says why\n".to_owned();
    (StatusCode::INTERNAL_SERVER_ERROR, message)
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
