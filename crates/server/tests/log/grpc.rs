//! gRPC as it is on the wire. What clients make of it is tested with one, see `crates/sealmark/tests/grpc`.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::served::Served;

const CREATE: &str = "/dev.sigstore.rekor.v2.Rekor/CreateEntry";

fn client() -> Client {
    Client::builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client")
}

fn call(
    client: &Client,
    log: &Served,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> RequestBuilder {
    let request = client.post(format!("{}{path}", log.url));
    request
        .header("content-type", "application/grpc")
        .body(body)
}

/// The status of an answer that has nothing else.
fn status(response: &Response) -> &str {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    response.headers()["grpc-status"]
        .to_str()
        .expect("it is a number")
}

#[tokio::test]
async fn calls_that_are_none_end_with_a_status() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let client = client();
    let empty = vec![0, 0, 0, 0, 0];
    for (what, path, body, code) in [
        ("no message", CREATE, vec![], "13"),
        ("two messages", CREATE, empty.repeat(2), "13"),
        ("half a message", CREATE, vec![0, 0, 0, 0, 9, 1], "13"),
        ("compressed", CREATE, vec![1, 0, 0, 0, 0], "12"),
        ("announced too long", CREATE, vec![0, 0xff, 0, 0, 0], "8"),
        ("no protobuf", CREATE, vec![0, 0, 0, 0, 2, 0x0a, 0x7f], "3"),
        ("nothing proposed", CREATE, empty.clone(), "3"),
        (
            "no such method",
            "/dev.sigstore.rekor.v2.Rekor/Nothing",
            empty.clone(),
            "12",
        ),
        ("no such service", "/api/v1/log", empty.clone(), "12"),
        (
            "no such tile",
            "/dev.sigstore.rekor.v2.Rekor/GetEntryBundle",
            empty.clone(),
            "5",
        ),
    ] {
        let response = call(&client, &log, path, body).send().await.unwrap();
        assert_eq!(status(&response), code, "{what}");
        assert!(!response.headers()["grpc-message"].is_empty(), "{what}");
        assert_eq!(response.text().await.unwrap(), "");
    }
    // Messages with more than printable ASCII are escaped.
    let response = call(&client, &log, "/a%C3%A4", empty.clone()).send().await;
    assert_eq!(status(&response.unwrap()), "12");
    let plain = call(&log.client, &log, CREATE, empty.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    let get = client.get(format!("{}{CREATE}", log.url));
    let get = get
        .header("content-type", "application/grpc")
        .send()
        .await
        .unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    // The other interfaces are where they were, on the same connection.
    let ping = client
        .get(format!("{}/ping", log.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ping.text().await.unwrap(), ".");
    drop(client);
    log.close().await;
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_not_waited_for_longer_than_it_said() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let client = client();
    // A message that never comes whole.
    let silent = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let begun = futures_util::stream::iter([Ok(vec![0, 0, 0, 0, 9])]);
    let body = futures_util::StreamExt::chain(begun, silent);
    let request = call(&client, &log, CREATE, reqwest::Body::wrap_stream(body));
    let answer = request.header("grpc-timeout", "200m").send();
    let response = tokio::time::timeout(Duration::from_secs(10), answer).await;
    assert_eq!(status(&response.unwrap().unwrap()), "4");
    drop(client);
    log.close().await;
}

#[tokio::test]
async fn health_is_told_in_a_message_and_a_status() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let client = client();
    let path = "/grpc.health.v1.Health/Check";
    let response = call(&client, &log, path, vec![0, 0, 0, 0, 0]);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response.headers().get("grpc-status").is_none(),
        "it is in the trailers"
    );
    // Field 1, a number: 1, which is SERVING.
    assert_eq!(*response.bytes().await.unwrap(), [0, 0, 0, 0, 2, 8, 1]);
    drop(client);
    log.close().await;
}
