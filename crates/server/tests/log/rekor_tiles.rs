//! What this log answers to the requests of [`crate::v2_requests`], and that rekor-tiles answers the same.
//!
//! Both get the same requests in the same order, and have the same key: so what they log has to be the same tree, down
//! to the signature of each checkpoint.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use sealmark_testkit::{Peer, Sandbox, Server, skip};
use serde_json::{Value, json};

use crate::served::Served;
use crate::v2_requests::Expected::{Known, Logged, Refused, RefusedHere};
use crate::v2_requests::{Case, cases};

const PATH: &str = "/api/v2/log/entries";

/// Status and JSON.
async fn send(client: &Client, url: &str, body: &[u8]) -> (StatusCode, Option<String>, Value) {
    let request = client.post(format!("{url}{PATH}")).body(body.to_vec());
    let request = request.header("content-type", "application/json");
    let response = request.send().await.expect("the server answers");
    let index = response.headers().get("x-log-index");
    let index = index.map(|value| value.to_str().expect("a number").to_owned());
    let status = response.status();
    (
        status,
        index,
        response.json().await.expect("the answer is JSON"),
    )
}

async fn size(log: &Served) -> usize {
    let note = log.get("/api/v2/checkpoint").await.text().await;
    let note = note.expect("a checkpoint is text");
    note.lines()
        .nth(1)
        .and_then(|line| line.parse().ok())
        .expect("a checkpoint has a size")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_is_refused_with_its_reason_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let cases: &'static [Case] = cases().leak();
    // All at once, and often: what one request does wrong is no other's trouble.
    let bad = || {
        cases
            .iter()
            .filter(|case| !matches!(case.expected, Logged | Known))
    };
    let rounds = (0..5).flat_map(|_| bad());
    let (client, url) = (&log.client, log.url.as_str());
    let send_one = |case: &'static Case| async move { (case, send(client, url, &case.body).await) };
    let answers = futures_util::future::join_all(rounds.map(send_one));
    for (case, (status, _, body)) in answers.await {
        let name = &case.name;
        assert_eq!(status, 400, "{name}: {body}");
        assert_eq!(
            (&body["code"], &body["details"]),
            (&json!(3), &json!([])),
            "{name}"
        );
        let message = body["message"].as_str().unwrap();
        let reason = message.strip_prefix("invalid hashedrekord request: ");
        assert!(
            reason.is_some_and(|reason| reason.len() > 5),
            "{name}: {message}"
        );
        assert!(message.len() < 1000, "{name}: {} bytes", message.len());
    }
    assert_eq!(size(&log).await, 0, "nothing was written");
    let mut logged = BTreeSet::new();
    for case in cases
        .iter()
        .filter(|case| matches!(case.expected, Logged | Known))
    {
        let (status, _, body) = send(&log.client, &log.url, &case.body).await;
        let wanted = if case.expected == Logged { 201 } else { 409 };
        assert_eq!(status, wanted, "{}: {body}", case.name);
        logged.extend(body["canonicalizedBody"].as_str().map(str::to_owned));
    }
    assert_eq!(size(&log).await, logged.len());
    log.close().await;
}

/// rekor-tiles with the key of the log in `directory`; its URL.
fn rekor_tiles(program: &Path, sandbox: &Sandbox, directory: &Path) -> (Server, String) {
    let port = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener
            .local_addr()
            .expect("it has an address")
            .port()
            .to_string()
    };
    let http = port();
    let started = sandbox
        .command(program)
        .args(["serve", "--hostname", "127.0.0.1", "--persistent-antispam"])
        .args(["--checkpoint-interval", "250ms", "--storage-dir"])
        .arg(sandbox.join("rekor-tiles"))
        .arg("--signer-filepath")
        .arg(directory.join("keys/v2.pem"))
        .args([
            "--http-port",
            &http,
            "--grpc-port",
            &port(),
            "--http-metrics-port",
            &port(),
        ])
        .serve(|line| line.contains("starting HTTP proxy").then_some(()));
    (started.0, format!("http://127.0.0.1:{http}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rekor_tiles_answers_alike() {
    let Some(program) = Peer::find("rekor-tiles") else {
        return skip("rekor-tiles");
    };
    let (sandbox, directory) = (Sandbox::new(), tempfile::tempdir().unwrap());
    let log = Served::open(directory.path()).await;
    let (_server, url) = rekor_tiles(&program, &sandbox, directory.path());
    // It says that it starts before it listens.
    while log
        .client
        .get(format!("{url}/healthz"))
        .send()
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for case in cases() {
        let name = &case.name;
        let (status, index, body) = send(&log.client, &log.url, &case.body).await;
        let (their_status, their_index, theirs) = send(&log.client, &url, &case.body).await;
        match case.expected {
            Logged | Known => {
                assert_eq!(
                    (status, index),
                    (their_status, their_index),
                    "{name}: {theirs}"
                );
                // Proof, checkpoint and its signature included.
                assert_eq!(body, theirs, "{name}");
            }
            Refused => {
                assert_eq!(
                    (status, &body["code"]),
                    (their_status, &theirs["code"]),
                    "{name}: {theirs}"
                );
                assert_eq!(body["details"], theirs["details"], "{name}");
                // Where their message says that the request is invalid, ours says it too, and why.
                let message = body["message"].as_str().unwrap();
                let their_message = theirs["message"].as_str().unwrap();
                if their_message == "invalid hashedrekord request" {
                    assert!(message.starts_with(their_message), "{name}: {message}");
                }
            }
            RefusedHere(reason) => {
                assert_eq!(status, 400, "{name}");
                assert_ne!(their_status, 400, "no more: {reason}");
            }
        }
    }
    log.close().await;
}
