//! What goes on on one connection, for those who decide when it is to end.
//!
//! Invariant: a connection with a request that is being worked on is never idle; one whose client neither asks nor
//! takes what it asked for is, whichever version of HTTP it speaks.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// Requests that a client may abandon on one connection of HTTP/2, be they the most of all that it made. The protocol's
/// own bound counts only those that are reset before they were looked at (CVE-2023-44487).
pub(super) const MAX_ABANDONED: u64 = 200;

/// How often the limit of idleness is asked for, at least.
const LOOK: Duration = Duration::from_secs(2);

/// The requests of a connection, counted.
#[derive(Debug)]
pub(super) struct Activity {
    /// When a request last came, was answered, or had a piece of its answer taken.
    last: RwLock<Instant>,
    /// Requests that are being worked on.
    running: AtomicUsize,
    /// Requests so far.
    begun: AtomicU64,
    /// Those of them whose client went before the answer was there.
    abandoned: AtomicU64,
    first: Notify,
    abused: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            last: RwLock::new(Instant::now()),
            running: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            first: Notify::new(),
            abused: Notify::new(),
        })
    }

    /// A request begins; it is being worked on until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        if self.begun.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        self.touch();
        Running {
            activity: self.clone(),
            answered: false,
        }
    }

    /// Completes when the first request has begun.
    pub(super) async fn first_request(&self) {
        if self.begun.load(Ordering::Relaxed) == 0 {
            self.first.notified().await;
        }
    }

    /// Completes when more than [`MAX_ABANDONED`] requests, and most of all, were abandoned.
    pub(super) async fn abused(&self) {
        self.abused.notified().await;
    }

    /// Completes when nothing happened for as long as `limit` says, which may change its mind.
    pub(super) async fn idle(&self, limit: impl Fn() -> Duration) {
        loop {
            let quiet = match self.running.load(Ordering::Relaxed) {
                0 => self
                    .last
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .elapsed(),
                _ => Duration::ZERO,
            };
            let limit = limit();
            if quiet >= limit {
                return;
            }
            tokio::time::sleep((limit - quiet).min(LOOK)).await;
        }
    }

    fn touch(&self) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request that is being worked on.
pub(super) struct Running {
    activity: Arc<Activity>,
    answered: bool,
}

impl Running {
    /// The answer's body, whose pieces count as activity when the client takes them.
    pub(super) fn answered(mut self, body: Body) -> Watched {
        self.answered = true;
        Watched {
            body,
            activity: self.activity.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.touch();
        activity.running.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            let abandoned = 1 + activity.abandoned.fetch_add(1, Ordering::Relaxed);
            if abandoned > MAX_ABANDONED && abandoned > activity.begun.load(Ordering::Relaxed) / 2 {
                activity.abused.notify_one();
            }
        }
    }
}

/// The body of an answer.
pub(super) struct Watched {
    body: Body,
    activity: Arc<Activity>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.touch();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
