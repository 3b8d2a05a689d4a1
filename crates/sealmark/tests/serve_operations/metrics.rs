//! What Prometheus reads.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Client;
use sealmark_testkit::Sandbox;

use crate::serving::{Serving, entry};

#[tokio::test]
async fn entries_and_requests_are_counted_under_rekors_names_and_our_own() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    for data in ["one", "two", "three"] {
        let (proposed, _) = entry(data.as_bytes());
        let created = serving.post("/api/v1/log/entries", &proposed).await;
        assert_eq!(created.status(), 201);
    }
    let (proposed, _) = entry(b"four");
    for status in [201, 409] {
        let created = serving.post("/api/v1/log/entries", &proposed).await;
        assert_eq!(created.status(), status);
    }
    for (name, value) in [
        ("rekor_new_entries", 4.0),
        (
            r#"rekor_qps_by_api{path="/api/v1/log/entries",method="POST",code="201"}"#,
            4.0,
        ),
        (
            r#"rekor_qps_by_api{path="/api/v1/log/entries",method="POST",code="409"}"#,
            1.0,
        ),
        (
            r#"rekor_latency_by_api_count{path="/api/v1/log/entries",method="POST"}"#,
            5.0,
        ),
        (
            r#"sealmark_http_requests_total{service="log",endpoint="/api/v1/log/entries",method="POST",code="201"}"#,
            4.0,
        ),
        (r#"sealmark_log_entries_appended_total{tree="v1"}"#, 4.0),
        (r#"sealmark_log_duplicates_total{tree="v1"}"#, 1.0),
        (r#"sealmark_log_tree_size{tree="v1"}"#, 4.0),
        (r#"sealmark_log_tree_size{tree="v2"}"#, 0.0),
        ("sealmark_log_entries_waiting", 0.0),
        ("sealmark_log_healthy", 1.0),
    ] {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A request is counted when its answer was sent, and that is a moment after the client has it.
        while serving.sample(name).await != Some(value) {
            assert!(
                Instant::now() < deadline,
                "{name} {:?}",
                serving.sample(name).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let newest = serving.sample(r#"sealmark_log_checkpoint_timestamp_seconds{tree="v1"}"#);
    let started = serving.sample("process_start_time_seconds").await.unwrap();
    assert!(newest.await.unwrap() >= started);
    assert!(
        serving
            .sample("process_resident_memory_bytes")
            .await
            .unwrap()
            > 1e6
    );

    let public = serving.get("/metrics").await;
    assert_eq!(public.status(), 404, "they are nobody's but the operator's");
    let elsewhere = serving.metrics.replace("/metrics", "/api/v1/log");
    assert_eq!(reqwest::get(elsewhere).await.unwrap().status(), 404);
    serving.stop();
}

/// The names and labels of all samples.
async fn series(serving: &Serving) -> BTreeSet<String> {
    let text = serving.exposition().await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name.to_owned()))
        .collect()
}

#[tokio::test]
async fn clients_cannot_make_new_series() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let client = Client::new();
    let ask = async |number: u32| {
        let id = format!("{number:064x}");
        for (method, path) in [
            ("GET", format!("/{id}")),
            ("GET", format!("/api/v1/log/entries/{id}")),
            ("GET", format!("/api/v2/tile/0/{number:03}")),
            ("GET", format!("/api/v2/tile/entries/{number:03}")),
            (&format!("M{number}"), "/api/v1/log".to_owned()),
        ] {
            let method = method.parse().unwrap();
            let request = client.request(method, format!("{}{path}", serving.url));
            request.send().await.unwrap();
        }
    };
    ask(0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = series(&serving).await;
    for number in 1..50 {
        ask(number).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(series(&serving).await, before);
    assert!(
        before
            .iter()
            .any(|name| name.contains("endpoint=\"other\""))
    );
    assert!(before.iter().any(|name| name.contains("{entryUUID}")));
    assert!(before.iter().any(|name| name.contains("method=\"other\"")));
    serving.stop();
}
