//! Limits: what is too much is refused with a reason, and the server goes on.

use std::time::{Duration, Instant};

use reqwest::{Body, Client, Method, Response};
use sealmark_testkit::Sandbox;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::serving::{Serving, entry};

#[tokio::test]
async fn a_body_may_be_as_large_as_the_operator_says() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &["--max-body", "20000"]);
    let message = "Request Entity Too Large. Limit set to 20000";
    let post = |path: &str, body: Body| {
        let request = Client::new().post(format!("{}{path}", serving.url));
        let request = request.header("content-type", "application/json");
        async move { request.body(body).send().await.unwrap() }
    };
    for (path, code) in [("/api/v1/log/entries", 413), ("/api/v2/log/entries", 3)] {
        // With a length, and in chunks that do not say what is to come.
        let chunks = || {
            let chunk = |_| Ok::<_, std::io::Error>(vec![b' '; 1000]);
            Body::wrap_stream(futures_util::stream::iter((0..30).map(chunk)))
        };
        for body in [Body::from(vec![b' '; 30_000]), chunks()] {
            let answer = post(path, body).await;
            assert_eq!(answer.status(), 413, "{path}");
            let told: Value = answer.json().await.unwrap();
            assert_eq!(
                (&told["code"], &told["message"]),
                (&json!(code), &json!(message))
            );
        }
    }
    assert_eq!(
        serving
            .post("/api/v1/log/entries", &entry(b"x").0)
            .await
            .status(),
        201
    );
    serving.stop();
}

fn retry_after(answer: &Response) -> Option<u64> {
    answer
        .headers()
        .get("retry-after")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[tokio::test]
async fn a_caller_who_asks_too_often_is_told_when_to_come_again() {
    let sandbox = Sandbox::new();
    let flags = ["--rate-limit", "3/s", "--trusted-proxy", "127.0.0.1/32"];
    let serving = Serving::start(&sandbox, &flags);
    let client = Client::new();
    let ask = async |path: &str, caller: &str| {
        let request = client.get(format!("{}{path}", serving.url));
        request
            .header("x-forwarded-for", caller)
            .send()
            .await
            .unwrap()
    };
    let mut refused = 0;
    for _ in 0..20 {
        let answer = ask("/api/v1/log", "192.0.2.1").await;
        if answer.status() == 429 {
            assert_eq!(retry_after(&answer), Some(1));
            let told: Value = answer.json().await.unwrap();
            assert_eq!(told["code"], 429);
            let message = told["message"].as_str().unwrap();
            assert!(
                message.contains("192.0.2.1") && message.contains("3/s"),
                "{message}"
            );
            refused += 1;
        } else {
            assert_eq!(answer.status(), 200);
        }
    }
    assert!(refused >= 10, "{refused} of 20");
    let of_v2: Value = ask("/api/v2/checkpoint", "192.0.2.1")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(of_v2["code"], 8, "as a gRPC gateway says it");
    assert_eq!(
        ask("/api/v1/log", "192.0.2.2").await.status(),
        200,
        "another caller"
    );
    assert_eq!(
        ask("/healthz", "192.0.2.1").await.status(),
        200,
        "health is always told"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ask("/api/v1/log", "192.0.2.1").await.status(), 200);
    let counted = serving.sample(r#"sealmark_http_requests_refused_total{limit="rate"}"#);
    assert_eq!(counted.await, Some(f64::from(refused + 1)));
    serving.stop();
}

#[tokio::test]
async fn on_loopback_nobody_is_limited_unless_it_is_said() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let client = Client::new();
    for _ in 0..1500 {
        let answer = client
            .get(format!("{}/ping", serving.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    serving.stop();
}

/// Sends a part of a large request and waits.
async fn slow(address: &str, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = "POST /api/v1/log/entries HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let piece = vec![b' '; 1 << 16];
    let work = async {
        for _ in 0..bytes / piece.len() {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    // Who is refused is read from all the same, but not waited for here.
    let _ = tokio::time::timeout(Duration::from_secs(20), work).await;
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_slow_requests_do_not_fill_the_memory() {
    const MEMORY: &str = "process_resident_memory_bytes";
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let address = serving.url.trim_start_matches("http://").to_owned();
    let before = serving.sample(MEMORY).await.unwrap();
    // Each would take 4 MiB: 800 MiB in all.
    let mut slow_ones = Vec::new();
    for _ in 0..200 {
        let address = address.clone();
        slow_ones.push(tokio::spawn(async move { slow(&address, 4 << 20).await }));
    }
    let mut streams = Vec::new();
    for stream in slow_ones {
        streams.push(stream.await.unwrap());
    }
    let during = serving.sample(MEMORY).await.unwrap();
    let grown = (during - before) / f64::from(1 << 20);
    assert!(grown < 250.0, "{grown} MiB more");
    assert!(serving.sample("sealmark_connections_open").await.unwrap() >= 200.0);
    // Small requests are answered, and large ones are told to come again.
    assert_eq!(serving.get("/api/v1/log").await.status(), 200);
    assert_eq!(
        serving
            .post("/api/v1/log/entries", &entry(b"small").0)
            .await
            .status(),
        201
    );
    // One after the other, until no more than one of them is missing.
    for _ in 0..16 {
        streams.push(slow(&address, 4 << 20).await);
    }
    let large = json!({"padding": "x".repeat(5 << 20)});
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = serving.post("/api/v1/log/entries", &large).await;
        if answer.status() == 429 {
            assert_eq!(retry_after(&answer), Some(1));
            break;
        }
        assert!(Instant::now() < deadline, "there is room for all");
    }
    drop(streams);
    // When they are gone, so is what they took.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = serving.post("/api/v1/log/entries", &large).await;
        if answer.status() != 429 {
            assert_eq!(answer.status(), 422, "it was looked at");
            break;
        }
        assert!(
            Instant::now() < deadline,
            "large requests are still refused"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    serving.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_way_for_others() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let address = serving.url.trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..1100 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    let client = Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let answer = client.get(format!("{}/api/v1/log", serving.url)).send();
    assert_eq!(
        answer.await.unwrap().status(),
        200,
        "long before a minute is over"
    );
    serving.stop();
}

#[tokio::test]
async fn pages_of_other_origins_may_use_it() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let client = Client::new();
    let url = format!("{}/api/v1/log/entries", serving.url);
    let asked = client
        .request(Method::OPTIONS, &url)
        .header("origin", "https://search.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD, POST"),
    ] {
        assert_eq!(asked.headers()[name], value);
    }
    let headers = asked.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(headers.contains("Content-Type"), "{headers}");
    // Also an answer that is none is to be read.
    for (status, answer) in [
        (
            200,
            client.get(format!("{}/api/v1/log", serving.url)).send(),
        ),
        (422, client.post(&url).body("{}").send()),
    ] {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let exposed = answer.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap();
        assert!(exposed.contains("Location"), "{exposed}");
    }
    let plain = client.request(Method::OPTIONS, &url).send().await.unwrap();
    assert_eq!(plain.status(), 405, "no browser asks");
    serving.stop();
}

#[tokio::test]
async fn who_closes_at_once_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let address = serving.url.trim_start_matches("http://").to_owned();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(
                b"POST /api/v1/log/entries HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
            )
            .await
            .unwrap();
    }
    let mut nonsense = TcpStream::connect(&address).await.unwrap();
    nonsense
        .write_all(b"\x16\x03\x01 not HTTP at all\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    nonsense.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let deadline = Instant::now() + Duration::from_secs(20);
    for name in [
        "sealmark_connections_open",
        "sealmark_http_requests_in_flight",
    ] {
        while serving.sample(name).await != Some(0.0) {
            assert!(
                Instant::now() < deadline,
                "{name} {:?}",
                serving.sample(name).await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    serving.stop();
}
