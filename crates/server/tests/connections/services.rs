//! A service that is not the log gets the same.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::routing::get;
use reqwest::Client;
use sealmark_server::ops::{Kind, MAX_REQUESTS, Options, Server, Service};
use tokio::net::TcpListener;

struct Services {
    url: String,
    metrics: String,
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Two services on one port; the second one refuses in a form of its own.
async fn start() -> Services {
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        "slow"
    });
    let first = Service::new(
        "first",
        Router::new()
            .route("/first", get(|| async { "first" }))
            .fallback(|| async { "whatever" }),
        |path| (path == "/first").then_some("/first"),
    );
    let second = Service::new("second", Router::new().route("/slow/{n}", slow), |path| {
        path.starts_with("/slow/").then_some("/slow/{n}")
    })
    .refusing(|path, refused| {
        let mut response = Response::new(Body::from(format!("not {path}: {}", refused.message)));
        *response.status_mut() = refused.status;
        response
    })
    .measuring(|text, requests| {
        text.family("second_requests", Kind::Counter, "Its own.");
        requests.counts(text);
    });
    let ((listener, address), (metrics, measured)) = (listener().await, listener().await);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = Server::new(Options::default()).with(first).with(second);
    let served = tokio::spawn(server.serve(listener, Some(metrics), async {
        let _ = stopped.await;
    }));
    Services {
        url: format!("http://{address}"),
        metrics: format!("http://{measured}/metrics"),
        stop,
        served,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_what_can_be_worked_on_are_told_to_come_again() {
    let services = start().await;
    // 100 at once on a connection.
    let mut asked = Vec::new();
    for _ in 0..MAX_REQUESTS / 100 + 3 {
        let client = Client::builder().no_proxy().http2_prior_knowledge();
        let client = client.build().unwrap();
        for number in 0..100 {
            let request = client.get(format!("{}/slow/{number}", services.url));
            asked.push(tokio::spawn(async move {
                let answer = request.send().await.unwrap();
                let again = answer.headers().get("retry-after").cloned();
                let status = answer.status().as_u16();
                (status, again, answer.text().await.unwrap())
            }));
        }
    }
    let (mut done, mut refused) = (0, 0);
    for answer in asked {
        match answer.await.unwrap() {
            (200, None, text) => {
                assert_eq!(text, "slow");
                done += 1;
            }
            (503, Some(seconds), text) => {
                assert_eq!(seconds, "1");
                assert!(text.starts_with("not /slow/"), "{text}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(done >= MAX_REQUESTS / 2 && refused > 0, "{done} {refused}");
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{}/first", services.url)).send();
    assert_eq!(answer.await.unwrap().text().await.unwrap(), "first");
    let unknown = client.get(format!("{}/unknown", services.url)).send();
    assert_eq!(unknown.await.unwrap().text().await.unwrap(), "whatever");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let text = client.get(&services.metrics).send().await.unwrap();
    let text = text.text().await.unwrap();
    for line in [
        format!("second_requests{{path=\"/slow/{{n}}\",method=\"GET\",code=\"200\"}} {done}"),
        format!("sealmark_http_requests_refused_total{{limit=\"requests\"}} {refused}"),
        "sealmark_http_requests_total{service=\"first\",endpoint=\"/first\",method=\"GET\",code=\"200\"} 1".to_owned(),
        "sealmark_http_requests_total{service=\"first\",endpoint=\"other\",method=\"GET\",code=\"200\"} 1".to_owned(),
        "sealmark_http_requests_in_flight 0".to_owned(),
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    drop(client);
    let _ = services.stop.send(());
    services.served.await.unwrap();
}
