//! Request bodies: bounded in size, in time, and in what all of them together take of the memory.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a request, unless [`Options::max_body`](super::Options::max_body) says otherwise. Entries are some
/// kilobytes; envelopes with large statements some hundred.
pub const MAX_BODY: usize = 8 << 20;
/// Bodies up to this size are read whenever they come; longer ones need room.
const SMALL: usize = 64 << 10;
/// Bytes of all longer bodies at once, as long as their requests are worked on. What is made of a hostile one may be
/// twenty times as large.
const ROOM: usize = 64 << 20;
/// Room is taken in pieces of this size.
const PIECE: usize = 64 << 10;
/// Time for a whole body.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a refused body that are read and dropped, so that the client reads the answer instead of failing to send.
const MAX_DRAINED: usize = 64 << 20;

/// What bodies may take. The server puts it into the extensions of every request.
#[derive(Clone, Debug)]
pub struct Bounds {
    max: usize,
    room: Arc<Semaphore>,
}

impl Bounds {
    /// Bodies of so many bytes at most.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            // One body of the largest size finds room at least.
            room: Arc::new(Semaphore::new(ROOM.max(max).div_ceil(PIECE))),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new(MAX_BODY)
    }
}

/// A body. Its room is taken for as long as it exists.
#[derive(Debug)]
pub struct Whole {
    /// Its bytes.
    pub bytes: Bytes,
    /// What is to be kept as long as something is made of them.
    pub room: Room,
}

/// Room that a body takes.
#[derive(Debug, Default)]
pub struct Room(
    #[expect(dead_code, reason = "it is there to be dropped")] Option<OwnedSemaphorePermit>,
);

/// Why there is no body. `Display` is for the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is larger than it may be.
    #[error("Request Entity Too Large. Limit set to {0}")]
    TooLarge(usize),
    /// Other large ones are being worked on.
    #[error("too many large requests at once: try again in a second")]
    NoRoom,
    /// The client took too long.
    #[error("the body did not come within {} s", TIMEOUT.as_secs())]
    TooSlow,
    /// The connection broke off, or what came is no HTTP.
    #[error("the body ended early: {0}")]
    Cut(axum::Error),
}

impl Error {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Cut(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// When it may be tried again, in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        matches!(self, Self::NoRoom).then_some(1)
    }
}

/// The whole body; if it is refused, what the client still sends was read first. The bounds are the server's, or the
/// default ones.
///
/// # Errors
/// As [`Error`] says.
pub async fn read(
    headers: &HeaderMap,
    extensions: &Extensions,
    body: Body,
) -> Result<Whole, Error> {
    // For a router that no server of this crate stands before.
    static DEFAULT: LazyLock<Bounds> = LazyLock::new(Bounds::default);
    let bounds = extensions.get::<Bounds>().unwrap_or(&DEFAULT);
    let timeout = tokio::time::timeout(TIMEOUT, collect(headers, bounds, body)).await;
    timeout.unwrap_or(Err(Error::TooSlow))
}

async fn collect(headers: &HeaderMap, bounds: &Bounds, body: Body) -> Result<Whole, Error> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut stream = body.into_data_stream();
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut collected = BytesMut::new();
    let mut drained = 0;
    let mut refusal = None;
    if length.is_some_and(|length| length > bounds.max as u64) {
        refusal = Some(Error::TooLarge(bounds.max));
        // Who waits to be told is told.
        if headers.contains_key(header::EXPECT) {
            return Err(Error::TooLarge(bounds.max));
        }
    }
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(Error::Cut)?;
        if refusal.is_none() {
            let size = collected.len() + piece.len();
            if size > bounds.max {
                refusal = Some(Error::TooLarge(bounds.max));
            } else if size > SMALL && !make_room(&mut room, size, bounds) {
                refusal = Some(Error::NoRoom);
            }
        }
        if refusal.is_some() {
            (collected, room) = (BytesMut::new(), None);
            drained += piece.len();
            if drained > MAX_DRAINED {
                break;
            }
            continue;
        }
        collected.extend_from_slice(&piece);
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Whole {
            bytes: collected.freeze(),
            room: Room(room),
        }),
    }
}

/// Whether there is room for a body that has grown to `size`.
fn make_room(room: &mut Option<OwnedSemaphorePermit>, size: usize, bounds: &Bounds) -> bool {
    let has = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let needs = size.div_ceil(PIECE).saturating_sub(has) as u32;
    if needs == 0 {
        return true;
    }
    let Ok(more) = bounds.room.clone().try_acquire_many_owned(needs) else {
        return false;
    };
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    true
}
