//! What is logged, and what is not.

use reqwest::Client;
use sealmark_testkit::Sandbox;
use serde_json::Value;

use crate::serving::{Serving, entry};

#[tokio::test]
async fn each_request_is_a_line_of_json_with_its_id() {
    let sandbox = Sandbox::new();
    let flags = [
        "--log-format",
        "json",
        "--log-level",
        "trace",
        "--trusted-proxy",
        "127.0.0.0/8,::1/128",
    ];
    let serving = Serving::start(&sandbox, &flags);
    // HTTP/2, whose library has much to say.
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let answer = client
        .get(format!(
            "{}/api/v1/log/entries?logIndex=7&token=in-the-query",
            serving.url
        ))
        .header("x-request-id", "the-client's-own")
        .header("x-forwarded-for", "192.0.2.1, 198.51.100.9")
        .bearer_auth("in-the-header")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "the-client's-own");
    let line: Value = serde_json::from_str(&serving.logged("the-client's-own").await).unwrap();
    for (field, value) in [
        ("level", "INFO"),
        ("method", "GET"),
        ("path", "/api/v1/log/entries"),
        ("caller", "198.51.100.9"),
        ("service", "log"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["status"], answer.status().as_u16());
    assert_eq!(line["bytes"], answer.content_length().unwrap());
    assert!(line["ms"].as_f64().unwrap() > 0.0, "{line}");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");

    // An id that is none is not taken over, and a new one is another one.
    let mut ids = Vec::new();
    for given in ["two words", &"x".repeat(200)] {
        let request = Client::new().get(format!("{}/ping", serving.url));
        let answer = request.header("x-request-id", given).send().await.unwrap();
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(id.len(), 32);
        serving.logged(&id).await;
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);

    let (proposed, _) = entry(b"x");
    assert_eq!(
        serving
            .post("/api/v1/log/entries", &proposed)
            .await
            .status(),
        201
    );
    serving.logged("\"POST\"").await;
    let log = serving.server.log();
    for secret in ["in-the-query", "in-the-header", "publicKey\"", "logIndex"] {
        assert!(!log.contains(secret), "{secret}:\n{log}");
    }
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    serving.stop();
}

#[tokio::test]
async fn text_is_quiet_unless_it_is_asked_for_more() {
    for (flags, lines) in [(&[][..], 0), (&["--log-level", "info"], 2)] {
        let sandbox = Sandbox::new();
        let serving = Serving::start(&sandbox, flags);
        for path in ["/api/v1/log", "/nowhere"] {
            serving.get(path).await;
        }
        if lines > 0 {
            let line = serving.logged("path=/nowhere").await;
            assert!(line.contains("status=404"), "{line}");
        }
        let log = serving.server.log();
        assert_eq!(log.matches("request_id=").count(), lines, "{log}");
        serving.stop();
    }
}

#[tokio::test]
async fn who_is_no_trusted_proxy_speaks_for_himself_only() {
    let sandbox = Sandbox::new();
    let flags = ["--log-level", "info", "--trusted-proxy", "10.0.0.0/8"];
    let serving = Serving::start(&sandbox, &flags);
    let request = Client::new().get(format!("{}/ping", serving.url));
    let request = request.header("x-forwarded-for", "192.0.2.1");
    request.send().await.unwrap();
    let line = serving.logged("path=/ping").await;
    assert!(line.contains("caller=127.0.0.1"), "{line}");
    serving.stop();
}
