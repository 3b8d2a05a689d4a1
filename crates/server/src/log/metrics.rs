//! What the log tells of itself: under Rekor's names where the meaning is Rekor's.
//!
//! Rekor's histogram of latencies counts nanoseconds; `rekor_latency_by_api` is that one.

use sealmark_log::Statistics;

use crate::ops::{Exposition, Kind, Requests};

const NANOSECONDS: f64 = 1e9;

/// What a path is called in metrics; `None` if the log has no such endpoint.
pub(super) fn endpoint(path: &str) -> Option<&'static str> {
    const ENDPOINTS: [&str; 11] = [
        "/ping",
        "/healthz",
        "/api/v1/log",
        "/api/v1/log/publicKey",
        "/api/v1/log/proof",
        "/api/v1/log/entries",
        "/api/v1/log/entries/retrieve",
        "/api/v1/index/retrieve",
        "/api/v2/index/retrieve",
        "/api/v2/log/entries",
        "/api/v2/checkpoint",
    ];
    let exact = ENDPOINTS.into_iter().find(|endpoint| *endpoint == path);
    exact.or_else(|| {
        if path.starts_with("/api/v1/log/entries/") {
            Some("/api/v1/log/entries/{entryUUID}")
        } else if path.starts_with("/api/v2/tile/entries/") {
            Some("/api/v2/tile/entries/{N}")
        } else if path.starts_with("/api/v2/tile/") {
            Some("/api/v2/tile/{L}/{N}")
        } else if path.starts_with(super::WITNESS_PATH) {
            Some("/witness")
        } else {
            super::grpc::endpoint(path)
        }
    })
}

/// Writes what there is to know.
pub(super) fn measure(log: &Statistics, requests: &Requests, text: &mut Exposition) {
    let appended: u64 = log.trees.iter().map(|tree| tree.appended).sum();
    text.single(
        "rekor_new_entries",
        Kind::Counter,
        "The total number of new log entries.",
        appended as f64,
    );
    text.family(
        "rekor_qps_by_api",
        Kind::Counter,
        "Requests by path, method and response code.",
    );
    requests.counts(text);
    text.family(
        "rekor_latency_by_api",
        Kind::Histogram,
        "Latency in nanoseconds by path and method.",
    );
    requests.latencies(text, NANOSECONDS);

    text.family(
        "sealmark_log_entries_appended_total",
        Kind::Counter,
        "New entries by tree.",
    );
    for tree in &log.trees {
        text.sample(&[("tree", &tree.name)], tree.appended as f64);
    }
    text.family(
        "sealmark_log_duplicates_total",
        Kind::Counter,
        "Entries that the tree had already.",
    );
    for tree in &log.trees {
        text.sample(&[("tree", &tree.name)], tree.duplicates as f64);
    }
    text.family(
        "sealmark_log_tree_size",
        Kind::Gauge,
        "Entries in the tree.",
    );
    for tree in &log.trees {
        text.sample(&[("tree", &tree.name)], tree.size as f64);
    }
    text.family(
        "sealmark_log_checkpoint_timestamp_seconds",
        Kind::Gauge,
        "When the newest entry of the tree, and with it its checkpoint, was made, in seconds since 1970; 0 if it is empty.",
    );
    for tree in &log.trees {
        text.sample(&[("tree", &tree.name)], tree.newest_ms as f64 / 1000.0);
    }
    text.single(
        "sealmark_log_entries_waiting",
        Kind::Gauge,
        "Entries that wait to be sequenced.",
        log.waiting as f64,
    );
    text.single(
        "sealmark_log_overloaded_total",
        Kind::Counter,
        "Entries that were refused because too many waited.",
        log.overloaded as f64,
    );
    text.single(
        "sealmark_log_commits_total",
        Kind::Counter,
        "Records that were written to the journal and synced.",
        log.commits as f64,
    );
    text.single(
        "sealmark_log_commit_seconds_total",
        Kind::Counter,
        "Time that it took to write and sync them.",
        log.commit_time.as_secs_f64(),
    );
    text.single(
        "sealmark_log_healthy",
        Kind::Gauge,
        "1 if the log takes entries and writes what it took, else 0.",
        f64::from(u8::from(log.healthy)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_has_one_of_a_few_names() {
        for (path, name) in [
            ("/api/v1/log/entries", Some("/api/v1/log/entries")),
            (
                "/api/v1/log/entries/retrieve",
                Some("/api/v1/log/entries/retrieve"),
            ),
            (
                "/api/v1/log/entries/108e9186e8c5677a",
                Some("/api/v1/log/entries/{entryUUID}"),
            ),
            (
                "/api/v1/log/entries/../../x",
                Some("/api/v1/log/entries/{entryUUID}"),
            ),
            ("/api/v2/tile/0/x001/067", Some("/api/v2/tile/{L}/{N}")),
            ("/api/v2/tile/entries/000", Some("/api/v2/tile/entries/{N}")),
            ("/api/v2/checkpoint", Some("/api/v2/checkpoint")),
            ("/", None),
            ("/api/v1/log/", None),
            ("/favicon.ico", None),
        ] {
            assert_eq!(endpoint(path), name, "{path}");
        }
    }
}
