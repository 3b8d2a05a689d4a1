//! Request bodies: in pieces, within a time for each, and read to their end also when they are refused.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::refusal::{Code, Refusal};

/// Time between two pieces of a body. A client that is this slow is gone.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a refused body that are read and dropped, so that the client has sent all and reads the answer instead
/// of failing with a broken pipe.
const MAX_DRAINED_BYTES: u64 = 64 * 1024 * 1024;

/// The body of a request.
pub(super) struct Incoming {
    stream: BodyDataStream,
    ended: bool,
    /// What `Content-Length` says.
    pub(super) length: Option<u64>,
    awaits_continue: bool,
}

impl Incoming {
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let awaits_continue = headers.contains_key(header::EXPECT);
        Self {
            stream: body.into_data_stream(),
            ended: false,
            length,
            awaits_continue,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.awaits_continue = false;
        if self.ended {
            return Ok(None);
        }
        match tokio::time::timeout(PIECE_TIMEOUT, self.stream.next()).await {
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => {
                self.ended = true;
                Err(Refusal::bad_request(
                    Code::SizeInvalid,
                    format!("the body ended early: {error}"),
                ))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(_) => {
                self.ended = true;
                let message = format!("nothing came for {} s", PIECE_TIMEOUT.as_secs());
                Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    Code::BlobUploadInvalid,
                    message,
                ))
            }
        }
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(super) async fn collect(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let too_large = || Refusal::too_large(format!("the body has more than {limit} bytes"));
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut collected = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if collected.len() + piece.len() > limit {
                return Err(too_large());
            }
            collected.extend_from_slice(&piece);
        }
        Ok(collected.freeze())
    }

    /// Drops the rest. A client that waits for `100 Continue` has not sent anything, and now will not.
    pub(super) async fn drain(&mut self) {
        if self.awaits_continue {
            return;
        }
        let mut drained = 0;
        while drained < MAX_DRAINED_BYTES
            && let Ok(Some(piece)) = self.next().await
        {
            drained += piece.len() as u64;
        }
    }
}
