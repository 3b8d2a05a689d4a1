//! A request from its head to the end of its answer: counted once, and one line in the log.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::Shared;
use super::answer::Place;

/// Characters of a path that are logged.
const MAX_PATH: usize = 256;
/// What nginx calls a request whose client went before it was answered.
const CLIENT_GONE: u16 = 499;

/// A request that is not done. When it is dropped it is.
pub(super) struct Access {
    pub(super) shared: Arc<Shared>,
    pub(super) service: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) caller: IpAddr,
    pub(super) id: HeaderValue,
    pub(super) began: Instant,
    /// Known when there is an answer.
    pub(super) answer: Option<(StatusCode, Duration)>,
    pub(super) bytes: u64,
    /// Held until it is done.
    pub(super) place: Option<Place>,
}

impl Access {
    /// Its answer is there; the rest of the account follows when it was sent.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.answer = Some((response.status(), self.began.elapsed()));
        response.map(|body| Body::new(Sent { body, access: self }))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let gone = || {
            let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or_default();
            (status, self.began.elapsed())
        };
        let (status, took) = self.answer.unwrap_or_else(gone);
        self.shared
            .requests
            .answered(self.service, self.endpoint, &self.method, status, took);
        tracing::info!(
            target: "sealmark::access",
            request_id = self.id.to_str().unwrap_or_default(),
            method = %method(&self.method),
            path = %path(&self.path),
            status = status.as_u16(),
            bytes = self.bytes,
            ms = took.as_micros() as f64 / 1000.0,
            caller = %self.caller,
            service = self.service,
            "request"
        );
    }
}

/// As much of a method as any that is known has.
fn method(method: &Method) -> &str {
    method.as_str().get(..16).unwrap_or(method.as_str())
}

/// A path that is no longer than it need be and does not write over the line.
fn path(path: &str) -> String {
    let mut shown = String::with_capacity(path.len().min(MAX_PATH));
    for character in path.chars().take(MAX_PATH) {
        match character.is_ascii_graphic() {
            true => shown.push(character),
            false => shown.extend(character.escape_unicode()),
        }
    }
    shown
}

/// The body of an answer, on its way to the client.
struct Sent {
    body: Body,
    access: Access,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.access.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
