//! gRPC, as far as services here need it: messages in frames, a status at the end, deadlines.
//!
//! Protocol: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, over the connections of [`listen`],
//! which bound how many requests there are; messages are `prost`'s. It is one port with HTTP: who sends the content type
//! of gRPC gets here. Compressed messages are refused, which every client can do without.
//!
//! [`listen`]: crate::listen

pub(crate) mod about;
pub(crate) mod health;
pub(crate) mod reflection;
mod status;

use std::future::Future;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use tokio::sync::Semaphore;

pub(crate) use self::status::{Code, Status};

/// Bytes of a message that comes in: what clients and servers of gRPC take unless they are told otherwise.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;
/// Messages up to this size are read whenever they come; longer ones need a place.
const SMALL: usize = 64 << 10;
/// Time for a message that a client has begun to send, or is to send first.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
const CONTENT_TYPE: &str = "application/grpc";

/// Whether the request is one of gRPC, and not of gRPC-Web, which has no trailers.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let rest = value.strip_prefix(CONTENT_TYPE);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    })
}

/// Answers a call with `route`, within the call's deadline if it has one; `late` tells its client what may have happened.
pub(crate) async fn within_deadline<F>(
    request: Request,
    late: &str,
    route: impl FnOnce(Request) -> F,
) -> Response<Body>
where
    F: Future<Output = Result<Response<Body>, Status>>,
{
    if request.version() < Version::HTTP_2 || request.method() != Method::POST {
        let mut response = Response::new(Body::from("gRPC is POST over HTTP/2\n"));
        *response.status_mut() = match request.method() {
            &Method::POST => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        return response;
    }
    let deadline = timeout(request.headers());
    let answer = route(request);
    let result = match deadline {
        Some(deadline) => tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, late))),
        None => answer.await,
    };
    result.unwrap_or_else(Status::response)
}

/// How long the client wants to wait, if it says so: at most eight digits and a unit.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let canonical = digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| canonical)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The messages of a request.
pub(crate) struct Messages {
    body: BodyDataStream,
    buffer: BytesMut,
}

impl Messages {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
        }
    }

    /// The only message of a request that has one.
    pub(crate) async fn single<T: Message + Default>(
        &mut self,
        places: &Semaphore,
    ) -> Result<T, Status> {
        let first = self.next(places).await?;
        let first =
            first.ok_or_else(|| Status::new(Code::Internal, "the request has no message"))?;
        if self.next::<T>(places).await?.is_some() {
            let message = "the request has more than one message";
            return Err(Status::new(Code::Internal, message));
        }
        Ok(first)
    }

    /// The next message; `None` at the end. A long one needs one of `places` while it is read.
    pub(crate) async fn next<T: Message + Default>(
        &mut self,
        places: &Semaphore,
    ) -> Result<Option<T>, Status> {
        let next = tokio::time::timeout(MESSAGE_TIMEOUT, self.bytes(places)).await;
        let next = next.unwrap_or_else(|_| {
            let seconds = MESSAGE_TIMEOUT.as_secs();
            let message = format!("the message did not come within {seconds} s");
            Err(Status::new(Code::DeadlineExceeded, message))
        })?;
        let decoded = next.map(|bytes| T::decode(bytes)).transpose();
        decoded.map_err(|error| {
            let reason = sealmark_formats::excerpt(error.to_string());
            Status::new(Code::InvalidArgument, format!("not the message: {reason}"))
        })
    }

    async fn bytes(&mut self, places: &Semaphore) -> Result<Option<Bytes>, Status> {
        let mut place = None;
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<PREFIX>() {
                let [compressed, length @ ..] = *prefix;
                if compressed != 0 {
                    let message = "compressed messages are not supported: send them as they are";
                    return Err(Status::new(Code::Unimplemented, message));
                }
                let length = u32::from_be_bytes(length) as usize;
                if length > MAX_MESSAGE {
                    let message =
                        format!("the message has {length} bytes, at most {MAX_MESSAGE} are taken");
                    return Err(Status::new(Code::ResourceExhausted, message));
                }
                if self.buffer.len() >= PREFIX + length {
                    self.buffer.advance(PREFIX);
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
                if length > SMALL && place.is_none() {
                    let message = "too many large requests at once: try again in a second";
                    let free = places.try_acquire();
                    place = Some(free.map_err(|_| Status::new(Code::Unavailable, message))?);
                }
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => {
                    let message = format!("the request ended early: {error}");
                    return Err(Status::new(Code::Cancelled, message));
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Status::new(Code::Internal, "the last message is not whole")),
            }
        }
    }
}

/// The answer with one message.
pub(crate) fn reply(message: &impl Message) -> Response<Body> {
    streamed(stream::iter([Ok(frame(message))]))
}

/// The answer with these messages, framed, and then the status: that of the first error, or that all is well.
pub(crate) fn streamed(
    messages: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
) -> Response<Body> {
    // Whatever is left is dropped after an error.
    let ended = stream::once(async { Err(Status::ok()) });
    let frames = messages.chain(ended).scan(false, |done, message| {
        let frame = (!*done).then(|| match message {
            Ok(bytes) => Ok::<_, std::convert::Infallible>(Frame::data(bytes)),
            Err(status) => {
                *done = true;
                Ok(Frame::trailers(status.into_headers()))
            }
        });
        std::future::ready(frame)
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// A message behind its prefix.
pub(crate) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // No answer comes near four gigabytes.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message
        .encode(&mut bytes)
        .expect("a buffer that grows has room");
    bytes.freeze()
}

/// A message without fields (`google.protobuf.Empty`, and any other of which none is read).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_and_nonsense_is_none() {
        for (value, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("100m", Some(Duration::from_millis(100))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("2M", Some(Duration::from_secs(120))),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("123456789S", None),
            ("5x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(value));
            assert_eq!(timeout(&headers), expected, "{value}");
        }
    }

    #[test]
    fn only_grpc_is_grpc() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_grpc(&headers), expected, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    async fn read(bytes: Vec<u8>, places: usize) -> Result<Option<Empty>, Code> {
        let mut messages = Messages::new(Body::from(bytes));
        let next = messages.next(&Semaphore::new(places)).await;
        next.map_err(|status| status.code())
    }

    #[tokio::test]
    async fn messages_are_whole_bounded_and_not_compressed() {
        assert_eq!(read(vec![], 1).await, Ok(None));
        assert_eq!(read(vec![0, 0, 0, 0, 0], 1).await, Ok(Some(Empty {})));
        // A field that nobody knows is skipped.
        assert_eq!(read(vec![0, 0, 0, 0, 2, 8, 1], 1).await, Ok(Some(Empty {})));
        for (bytes, places, code) in [
            (vec![0, 0, 0], 1, Code::Internal),
            (vec![0, 0, 0, 0, 2, 8], 1, Code::Internal),
            (vec![0, 0, 0, 0, 1, 8], 1, Code::InvalidArgument),
            (vec![1, 0, 0, 0, 0], 1, Code::Unimplemented),
            (vec![0, 255, 255, 255, 255], 1, Code::ResourceExhausted),
            (vec![0, 0, 16, 0, 0], 0, Code::Unavailable),
        ] {
            assert_eq!(read(bytes.clone(), places).await, Err(code), "{bytes:?}");
        }
    }
}
