//! A disk that fails for a while.

use std::fs;
use std::time::{Duration, Instant};

use sealmark_testkit::Sandbox;
use serde_json::Value;

use crate::serving::{Serving, entry};

/// Waits until the log says that it is well, or that it is not.
async fn until(serving: &Serving, status: u16) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = serving.get("/healthz").await;
        if answer.status() == status {
            return answer.json().await.expect("JSON");
        }
        assert!(Instant::now() < deadline, "{}", serving.server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_log_that_cannot_write_says_so_and_recovers_by_itself() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &["--rate-limit", "off"]);
    assert_eq!(until(&serving, 200).await["status"], "SERVING");
    let (zeroth, _) = entry(b"zeroth");
    assert_eq!(
        serving.post("/api/v1/log/entries", &zeroth).await.status(),
        201
    );
    // Where checkpoints and tiles go, there is a file now. The journal is elsewhere, and goes on.
    let (public, aside) = (sandbox.join("log/log/public"), sandbox.join("aside"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !public.join("v1/checkpoint").exists() {
        assert!(Instant::now() < deadline, "nothing is published");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fs::rename(&public, &aside).unwrap();
    fs::write(&public, "").unwrap();
    let (first, _) = entry(b"first");
    assert_eq!(
        serving.post("/api/v1/log/entries", &first).await.status(),
        201
    );
    let told = until(&serving, 503).await;
    let message = told["message"].as_str().unwrap();
    assert!(
        !message.contains("public"),
        "no client learns of files: {message}"
    );
    assert_eq!(serving.sample("sealmark_log_healthy").await, Some(0.0));
    assert!(serving.server.log().contains("could not write"));

    fs::remove_file(&public).unwrap();
    fs::rename(&aside, &public).unwrap();
    until(&serving, 200).await;
    let (second, _) = entry(b"second");
    assert_eq!(
        serving.post("/api/v1/log/entries", &second).await.status(),
        201
    );
    assert_eq!(serving.sample("sealmark_log_healthy").await, Some(1.0));
    // What is logged because of a request has its id.
    let line = serving.logged("not healthy").await;
    assert!(line.contains("request_id="), "{line}");
    serving.stop();
}
