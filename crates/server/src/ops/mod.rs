//! What stands around every service: request ids, the access log, metrics, limits, CORS.
//!
//! A service is a [`Service`]: its name, its router, and what its paths are called in metrics. [`Server`] gives all of
//! them the same, on one port:
//!
//! ```no_run
//! # async fn example(log: sealmark_server::log::TransparencyLog) -> std::io::Result<()> {
//! use sealmark_server::ops::{Options, Server};
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! let server = Server::new(Options::default()).with(log.service());
//! server.serve(listener, None, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: every answer has an `X-Request-Id`, which is also in every line that is logged because of the request;
//! the metrics have as many series as the services have endpoints, whatever clients ask for; neither bodies nor
//! queries nor tokens are logged; a request that is refused for a limit says which and when to come again.

mod access;
mod answer;
pub mod body;
mod caller;
mod cors;
mod exposition;
mod metrics;
mod process;
mod rate;
mod request_id;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use self::exposition::{Exposition, Kind};
pub use self::metrics::Requests;
pub use self::rate::{InvalidRate, Rate};
use crate::listen::{self, Tls};

/// Requests at once, on all connections. More are refused (503): each may hold some 100 KiB.
pub const MAX_REQUESTS: usize = 2048;

/// Time for work whose client has gone, when the server stops.
const UNATTENDED: Duration = Duration::from_secs(10);

type Measure = dyn Fn(&mut Exposition, &Requests) + Send + Sync;

/// A service, as the [`Server`] needs to know it.
#[derive(Clone)]
pub struct Service {
    name: &'static str,
    router: Router,
    endpoint: fn(&str) -> Option<&'static str>,
    refuse: fn(&str, Refused) -> Response<Body>,
    measure: Option<Arc<Measure>>,
}

impl Service {
    /// A service with its name in metrics, its router, and a function from a path to the endpoint that answers it:
    /// one of a few names, by which requests are counted. `None` is a path of another service.
    pub fn new(
        name: &'static str,
        router: Router,
        endpoint: fn(&str) -> Option<&'static str>,
    ) -> Self {
        Self {
            name,
            router,
            endpoint,
            refuse: |_, refused| refused.response(),
            measure: None,
        }
    }

    /// How a path's clients are told that a request was refused; without this, in JSON (`code` and `message`).
    #[must_use]
    pub fn refusing(mut self, refuse: fn(&str, Refused) -> Response<Body>) -> Self {
        self.refuse = refuse;
        self
    }

    /// Metrics of its own, besides those that all services have. It is called whenever somebody reads them, on a
    /// thread that may block.
    #[must_use]
    pub fn measuring(
        mut self,
        measure: impl Fn(&mut Exposition, &Requests) + Send + Sync + 'static,
    ) -> Self {
        self.measure = Some(Arc::new(measure));
        self
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A request that was refused before its service saw it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// Why, in a sentence for the client.
    pub message: String,
    /// When it may come again, in seconds.
    pub retry_after: Option<u64>,
}

impl Refused {
    fn response(self) -> Response<Body> {
        let json =
            serde_json::json!({"code": self.status.as_u16(), "message": self.message}).to_string();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status;
        let content_type = HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// The limits that an operator sets, and what is believed of whom.
#[derive(Debug)]
pub struct Options {
    /// With it, the port speaks TLS and nothing else.
    pub tls: Option<Tls>,
    /// Bytes of a request's body; more is refused (413).
    pub max_body: usize,
    /// Requests of one caller to one service; more are refused (429). The callers of an IPv6 network of 64 bits are one.
    pub rate: Option<Rate>,
    /// Requests of one caller to the services of these names, where it is another number.
    pub rates: BTreeMap<String, Option<Rate>>,
    /// Whose `X-Forwarded-For` is believed: the networks of the proxies before this server.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            max_body: body::MAX_BODY,
            rate: None,
            rates: BTreeMap::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// Services on one port.
#[derive(Debug)]
pub struct Server {
    services: Vec<Service>,
    options: Options,
}

impl Server {
    /// A server without services.
    pub fn new(options: Options) -> Self {
        Self {
            services: Vec::new(),
            options,
        }
    }

    /// Adds a service. The first one answers the paths that none knows.
    #[must_use]
    pub fn with(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Serves on `listener` until `shutdown` completes, then lets requests in flight finish, as [`listen::serve`]
    /// does. `GET /metrics` is answered on the listener for metrics, and nowhere else.
    pub async fn serve(
        self,
        listener: TcpListener,
        metrics: Option<TcpListener>,
        shutdown: impl Future<Output = ()>,
    ) {
        let settings = listen::Settings {
            tls: self.options.tls.map(Arc::new),
            trusted_proxies: self.options.trusted_proxies.clone(),
            ..listen::Settings::default()
        };
        let names = self.services.iter().map(|service| service.name);
        let rates = names.filter_map(|name| {
            let own = self.options.rates.get(name);
            let rate = own.copied().unwrap_or(self.options.rate)?;
            Some((name, rate::Buckets::new(rate)))
        });
        let rates = rates.collect();
        let shared = Arc::new(Shared {
            bounds: body::Bounds::new(self.options.max_body),
            rates,
            trusted_proxies: self.options.trusted_proxies,
            places: Arc::new(Semaphore::new(MAX_REQUESTS)),
            requests: metrics::Store::default(),
            connections: settings.open.clone(),
            tls: settings.tls.clone(),
            started: SystemTime::now(),
            services: self.services,
        });
        let router = {
            let shared = shared.clone();
            Router::new().fallback(move |request: Request| answer::answer(shared.clone(), request))
        };
        let places = shared.places.clone();
        let (done, stopped) = tokio::sync::oneshot::channel::<()>();
        // They can be read until the last request is answered.
        let measured = async move {
            if let Some(listener) = metrics {
                let router = metrics::router(shared);
                listen::serve(router, listener, async { drop(stopped.await) }).await;
            }
        };
        let served = async move {
            listen::serve_with(settings, router, listener, shutdown).await;
            // What goes on although its client has gone is to end too, before the services do.
            let all = places.acquire_many(MAX_REQUESTS as u32);
            if tokio::time::timeout(UNATTENDED, all).await.is_err() {
                tracing::warn!("work whose clients had gone was cut");
            }
            drop(done);
        };
        tokio::join!(served, measured);
    }
}

/// What requests share.
struct Shared {
    services: Vec<Service>,
    bounds: body::Bounds,
    /// What callers have left with each service.
    rates: HashMap<&'static str, rate::Buckets>,
    trusted_proxies: Vec<ipnet::IpNet>,
    /// Places for requests.
    places: Arc<Semaphore>,
    requests: metrics::Store,
    connections: Arc<listen::Connections>,
    tls: Option<Arc<Tls>>,
    started: SystemTime,
}

impl Shared {
    /// The service that answers a path, and what the endpoint is called in metrics.
    fn service(&self, path: &str) -> Option<(&Service, &'static str)> {
        let known = self
            .services
            .iter()
            .find_map(|service| Some((service, (service.endpoint)(path)?)));
        known.or_else(|| self.services.first().map(|first| (first, "other")))
    }
}
