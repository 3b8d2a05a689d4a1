//! Requests, counted, and where the counts are read.
//!
//! Invariant: a series is named by a service, one of its endpoints, one of a few methods and a status that the server
//! gave: clients cannot make new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::routing::get;

use super::Shared;
use super::exposition::{Exposition, Kind};
use super::process;
use super::{MAX_REQUESTS, Refused};

/// Upper bounds of how long an answer took, in milliseconds.
const BOUNDS: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// The endpoint that a series is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    service: &'static str,
    endpoint: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, Default)]
struct Series {
    codes: BTreeMap<u16, u64>,
    /// How many took at most as long as the bound, and longer than the one before.
    buckets: [u64; BOUNDS.len()],
    took: Duration,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Store {
    requests: Mutex<BTreeMap<Key, Series>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Store {
    pub(super) fn answered(
        &self,
        service: &'static str,
        endpoint: &'static str,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let key = Key {
            service,
            endpoint,
            method: method_label(method),
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry(key).or_default();
        *series.codes.entry(status.as_u16()).or_default() += 1;
        series.took += took;
        let bucket = BOUNDS
            .iter()
            .position(|&bound| took <= Duration::from_millis(bound));
        if let Some(count) = bucket.and_then(|bucket| series.buckets.get_mut(bucket)) {
            *count += 1;
        }
    }

    /// A request that no service saw.
    pub(super) fn refused(&self, limit: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(limit).or_default() += 1;
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The requests of a service, for those who write them under other names too.
#[derive(Debug)]
pub struct Requests(Vec<(Key, Series)>);

impl Requests {
    /// How many there were: samples with the labels `path`, `method` and `code`.
    pub fn counts(&self, exposition: &mut Exposition) {
        for (key, series) in &self.0 {
            for (code, count) in &series.codes {
                let labels = [
                    ("path", key.endpoint),
                    ("method", key.method),
                    ("code", &code.to_string()),
                ];
                exposition.sample(&labels, *count as f64);
            }
        }
    }

    /// How long they took, in a unit of which a second has so many: histograms with the labels `path` and `method`.
    pub fn latencies(&self, exposition: &mut Exposition, per_second: f64) {
        for (key, series) in &self.0 {
            let labels = [("path", key.endpoint), ("method", key.method)];
            series.write(exposition, &labels, per_second);
        }
    }
}

impl Series {
    fn write(&self, exposition: &mut Exposition, labels: &[(&str, &str)], per_second: f64) {
        let bounds = BOUNDS.map(|bound| bound as f64 / 1000.0 * per_second);
        let up_to = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let buckets = bounds.into_iter().zip(up_to);
        let sum = self.took.as_secs_f64() * per_second;
        exposition.histogram(labels, buckets, sum, self.codes.values().sum());
    }
}

/// What answers on the listener for metrics.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let metrics = move || {
        let shared = shared.clone();
        async move {
            match tokio::task::spawn_blocking(move || shared.expose()).await {
                Ok(text) => Ok(([(header::CONTENT_TYPE, Exposition::CONTENT_TYPE)], text)),
                Err(error) => {
                    tracing::error!("metrics: {error}");
                    Err(StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
    };
    Router::new().route("/metrics", get(metrics))
}

impl Shared {
    fn expose(&self) -> String {
        let mut text = Exposition::default();
        process::measure(&mut text, self.started);
        text.single(
            "sealmark_connections_open",
            Kind::Gauge,
            "Connections of clients.",
            self.connections.count() as f64,
        );
        text.single(
            "sealmark_http_requests_in_flight",
            Kind::Gauge,
            "Requests that are being worked on.",
            (MAX_REQUESTS - self.places.available_permits()) as f64,
        );
        if let Some(tls) = &self.tls {
            text.single(
                "sealmark_tls_certificate_expiry_seconds",
                Kind::Gauge,
                "When the certificate of the server expires, in seconds since 1970.",
                tls.expires() as f64,
            );
        }
        let refused = self.requests.refused.lock();
        let refused = refused.unwrap_or_else(PoisonError::into_inner).clone();
        text.family(
            "sealmark_http_requests_refused_total",
            Kind::Counter,
            "Requests that no service saw because of a limit.",
        );
        for limit in Refused::LIMITS {
            let count = refused.get(limit).copied().unwrap_or(0);
            text.sample(&[("limit", limit)], count as f64);
        }
        let requests = self.requests.requests.lock();
        let requests = requests.unwrap_or_else(PoisonError::into_inner).clone();
        self.expose_requests(&mut text, &requests);
        for service in &self.services {
            if let Some(measure) = &service.measure {
                let own = requests
                    .iter()
                    .filter(|(key, _)| key.service == service.name);
                let own = own.map(|(key, series)| (*key, series.clone())).collect();
                measure(&mut text, &Requests(own));
            }
        }
        text.into_text()
    }

    fn expose_requests(&self, text: &mut Exposition, requests: &BTreeMap<Key, Series>) {
        text.family(
            "sealmark_http_requests_total",
            Kind::Counter,
            "Requests by service, endpoint, method and status; 499 are those whose client did not wait.",
        );
        for (key, series) in requests {
            for (code, count) in &series.codes {
                let labels = [
                    ("service", key.service),
                    ("endpoint", key.endpoint),
                    ("method", key.method),
                    ("code", &code.to_string()),
                ];
                text.sample(&labels, *count as f64);
            }
        }
        text.family(
            "sealmark_http_request_duration_seconds",
            Kind::Histogram,
            "From the head of a request to that of its answer.",
        );
        for (key, series) in requests {
            let labels = [
                ("service", key.service),
                ("endpoint", key.endpoint),
                ("method", key.method),
            ];
            series.write(text, &labels, 1.0);
        }
    }
}
