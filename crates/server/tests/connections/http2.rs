//! Both versions of HTTP on one port.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::Running;

fn client(version: Version) -> Client {
    let builder = Client::builder().no_proxy();
    let builder = match version {
        Version::HTTP_2 => builder.http2_prior_knowledge(),
        _ => builder.http1_only(),
    };
    builder.build().expect("a client without surprises")
}

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let running = Running::start().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = client(version);
        let answer = client.get(running.url("/quick")).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "quick");
        let sent = vec![b'y'; 1 << 20];
        let answer = client.post(running.url("/echo")).body(sent.clone());
        let echo = answer.send().await.unwrap().bytes().await.unwrap();
        assert_eq!(echo, sent, "{version:?}: more than a window");
        let answer = client.get(running.url("/large")).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap().len(), 8 << 20);
    }
}

#[tokio::test]
async fn requests_in_flight_are_answered_when_it_stops() {
    let running = Running::start().await;
    let url = running.url("/slow");
    let mut requests = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = client(version);
        for _ in 0..20 {
            requests.push(tokio::spawn(client.get(&url).send()));
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = running.address;
    let served = running.stop();
    for request in requests {
        let answer = request.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "slow");
    }
    tokio::time::timeout(Duration::from_secs(10), served)
        .await
        .expect("it stops when all is answered")
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_first_request_of_an_accepted_connection_is_answered_when_it_stops() {
    let running = Running::start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // It is accepted before the signal, and asks after it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let served = running.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let request = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    served.await.unwrap();
}

#[tokio::test]
async fn large_headers_are_refused_by_both() {
    let running = Running::start().await;
    // HTTP/2 has no answer but the end of the connection to what is many times too large.
    for (version, too_large) in [(Version::HTTP_11, 200 << 10), (Version::HTTP_2, 70 << 10)] {
        let client = client(version);
        let get = |bytes: usize| {
            client
                .get(running.url("/quick"))
                .header("x-large", "x".repeat(bytes))
                .send()
        };
        assert_eq!(get(20 << 10).await.unwrap().status(), 200, "{version:?}");
        assert_eq!(get(too_large).await.unwrap().status(), 431, "{version:?}");
    }
}

/// A client of HTTP/2 that may do as it likes.
async fn hostile(running: &Running) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(running.address)
        .await
        .expect("it listens");
    let (send, connection) = h2::client::Builder::new()
        .max_concurrent_reset_streams(10_000)
        .handshake(stream)
        .await
        .expect("it speaks HTTP/2");
    tokio::spawn(connection);
    send
}

fn request(running: &Running, path: &str) -> axum::http::Request<()> {
    let request = axum::http::Request::builder().uri(running.url(path));
    request.body(()).expect("a well-formed request")
}

#[tokio::test]
async fn who_opens_streams_only_to_reset_them_is_shown_the_door() {
    let running = Running::start().await;
    let mut send = hostile(&running).await;
    let mut refused = false;
    for _ in 0..2_000 {
        let opened = async {
            send = send.clone().ready().await?;
            let (_, mut stream) = send.send_request(request(&running, "/slow"), false)?;
            // Until it is there; what is reset before it was sent is not sent.
            tokio::time::sleep(Duration::from_millis(1)).await;
            stream.send_reset(h2::Reason::CANCEL);
            Ok::<_, h2::Error>(())
        };
        refused = opened.await.is_err();
        if refused {
            break;
        }
    }
    assert!(refused, "it may go on for ever");
    let answer = client(Version::HTTP_2).get(running.url("/quick")).send();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_has_no_more_streams_than_it_may() {
    let running = Running::start().await;
    let mut send = hostile(&running).await.ready().await.unwrap();
    let (first, _) = send
        .send_request(request(&running, "/quick"), true)
        .unwrap();
    assert_eq!(first.await.unwrap().status(), 200);
    // The client knows the server's settings by now, and keeps to them; it is the settings that matter.
    assert_eq!(send.current_max_send_streams(), 100);
}
