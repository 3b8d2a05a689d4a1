//! Health checks. <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use futures_util::stream;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Code, Status, frame, streamed};

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// How often a watched service is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub(crate) status: i32,
}

/// What is said of one service.
pub(crate) type Look = Arc<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// Who may watch, and until when.
pub(crate) struct Watching {
    places: Arc<Semaphore>,
    /// True when the server is about to end.
    stopping: watch::Sender<bool>,
}

impl Watching {
    /// For so many at once.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Tells all who watch that nothing is served any more, and ends their calls: they would keep the server.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

/// `Check`. `None` of `look` is a service that is not here.
pub(crate) fn check(look: &Look, service: &str) -> Result<HealthCheckResponse, Status> {
    match look(service) {
        Some(serves) => Ok(response(serving(serves))),
        None => Err(Status::new(Code::NotFound, "unknown service")),
    }
}

/// `Watch`: how it is, and then whenever that changes.
pub(crate) fn watch(
    look: Look,
    service: String,
    watching: &Watching,
) -> Result<Response<Body>, Status> {
    let place = watching.places.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Status::new(
            Code::ResourceExhausted,
            "too many watch this server: use Check",
        )
    })?;
    let watcher = Watcher {
        look,
        service,
        stopping: watching.stopping.subscribe(),
        said: None,
        _place: place,
    };
    Ok(streamed(stream::unfold(watcher, Watcher::next)))
}

struct Watcher {
    look: Look,
    service: String,
    stopping: watch::Receiver<bool>,
    said: Option<ServingStatus>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<bytes::Bytes, Status>, Self)> {
        loop {
            let stopping = *self.stopping.borrow_and_update();
            let now = match (self.look)(&self.service) {
                _ if stopping => ServingStatus::NotServing,
                Some(serves) => serving(serves),
                None => ServingStatus::ServiceUnknown,
            };
            if self.said != Some(now) {
                self.said = Some(now);
                return Some((Ok(frame(&response(now))), self));
            }
            if stopping {
                return None;
            }
            // Whatever comes first: another look follows.
            let _ = tokio::time::timeout(INTERVAL, self.stopping.changed()).await;
        }
    }
}

fn serving(serves: bool) -> ServingStatus {
    match serves {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
