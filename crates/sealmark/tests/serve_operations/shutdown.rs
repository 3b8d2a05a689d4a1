//! The end: nobody who was let in is left without an answer.

use std::time::{Duration, Instant};

use reqwest::Client;
use sealmark_testkit::Sandbox;
use serde_json::{Value, json};

use crate::serving::{Serving, entry};

/// What became of an entry that was sent.
enum Outcome {
    /// Under this id.
    Logged(String),
    /// An answer, and no entry.
    Refused(u16),
    /// No answer.
    Unanswered,
}

async fn send(client: &Client, url: &str, entry: &Value) -> Outcome {
    let request = client.post(format!("{url}/api/v1/log/entries")).json(entry);
    let Ok(answer) = request.send().await else {
        return Outcome::Unanswered;
    };
    match (answer.status().as_u16(), answer.headers().get("etag")) {
        (201, Some(id)) => Outcome::Logged(id.to_str().unwrap_or_default().to_owned()),
        (status, _) => Outcome::Refused(status),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_entry_is_lost_when_it_is_told_to_stop() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, &[]);
    let mut senders = Vec::new();
    for sender in 0..12 {
        let url = serving.url.clone();
        senders.push(tokio::spawn(async move {
            // Half of them speak HTTP/2; some close each connection.
            let client = Client::builder().no_proxy();
            let client = match sender % 4 {
                0 | 1 => client.http2_prior_knowledge(),
                2 => client.http1_only().pool_max_idle_per_host(0),
                _ => client.http1_only(),
            };
            let client = client.build().unwrap();
            let mut sent = Vec::new();
            // Until it listens no more.
            for number in 0.. {
                let (entry, digest) = entry(format!("{sender} {number}").as_bytes());
                let outcome = send(&client, &url, &entry).await;
                let over = matches!(outcome, Outcome::Unanswered);
                sent.push((digest, outcome));
                if over {
                    break;
                }
            }
            sent
        }));
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let server = serving.server;
    let told = Instant::now();
    let ended = tokio::task::spawn_blocking(move || (server.terminate(), told.elapsed()));
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await.unwrap());
    }
    let (status, took) = ended.await.unwrap();
    assert!(status.success());
    assert!(took < Duration::from_secs(8), "nobody needs {took:?}");

    let again = Serving::start(&sandbox, &[]);
    let mut logged = 0;
    for (digest, outcome) in sent {
        let query = json!({"hash": digest});
        let found = again.post("/api/v1/index/retrieve", &query).await;
        let found: Vec<String> = found.json().await.unwrap();
        match outcome {
            Outcome::Logged(id) => {
                assert_eq!(found, [id]);
                logged += 1;
            }
            Outcome::Refused(status) => {
                assert_eq!(status, 503, "a refusal says that it may be tried again");
                assert!(found.is_empty());
            }
            // It came too late to be let in.
            Outcome::Unanswered => assert!(found.is_empty(), "in the log, and nobody was told"),
        }
    }
    assert!(logged > 50, "{logged} entries are no load");
    again.stop();
}
