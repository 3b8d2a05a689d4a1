//! Request bodies: bounded in size, in time, and in how many large ones are in memory at once.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use super::refusal::Refusal;

/// Bytes of a request. Entries are some kilobytes; envelopes with large statements some hundred.
pub(super) const MAX_BODY: usize = 8 << 20;
/// Bodies up to this size are read whenever they come; longer ones need a place.
const SMALL: usize = 64 << 10;
/// Places for long bodies, which bound the memory they take.
pub(super) const MAX_LARGE: usize = 32;
/// Time for a whole body.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a refused body that are read and dropped, so that the client reads the answer instead of failing to send.
const MAX_DRAINED: usize = 64 << 20;

/// The whole body; if it is refused, what the client still sends was read first.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    large: &Semaphore,
) -> Result<Bytes, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut stream = body.into_data_stream();
    let work = async {
        let mut place = None;
        let mut collected = BytesMut::new();
        let mut drained = 0;
        let mut refusal = None;
        if length.is_some_and(|length| length > MAX_BODY as u64) {
            if headers.contains_key(header::EXPECT) {
                return Err(too_large());
            }
            refusal = Some(too_large());
        }
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| {
                let message = format!("the body ended early: {error}");
                Refusal::new(StatusCode::BAD_REQUEST, message)
            })?;
            if refusal.is_none() {
                let size = collected.len() + piece.len();
                if size > MAX_BODY {
                    refusal = Some(too_large());
                } else if size > SMALL && place.is_none() {
                    place = large.try_acquire().ok();
                    refusal = place.is_none().then(busy);
                }
            }
            if refusal.is_some() {
                collected.clear();
                drained += piece.len();
                if drained > MAX_DRAINED {
                    break;
                }
                continue;
            }
            collected.extend_from_slice(&piece);
        }
        refusal.map_or_else(|| Ok(collected.freeze()), Err)
    };
    let timeout = tokio::time::timeout(TIMEOUT, work).await;
    timeout.unwrap_or_else(|_| {
        let message = format!("the body did not come within {} s", TIMEOUT.as_secs());
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message))
    })
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("Request Entity Too Large. Limit set to {MAX_BODY}"),
    )
}

fn busy() -> Refusal {
    let message = "too many large requests at once: try again in a second";
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, message).with(header::RETRY_AFTER, "1")
}
