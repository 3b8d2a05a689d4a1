//! A small service on a port of its own, while a test runs.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use sealmark_server::listen;
use tokio::net::TcpListener;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Running {
    /// `/quick` answers at once, `/slow` after half a second, `/echo` with what it got, `/large` with 8 MiB.
    pub(crate) async fn start() -> Self {
        let router = Router::new()
            .route("/quick", get(|| async { "quick" }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    "slow"
                }),
            )
            .route("/echo", post(|body: axum::body::Bytes| async { body }))
            .route("/large", get(|| async { vec![b'x'; 8 << 20] }));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = tokio::spawn(listen::serve(router, listener, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            served,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks the service to stop; the task is done when it has.
    pub(crate) fn stop(self) -> tokio::task::JoinHandle<()> {
        let _ = self.stop.send(());
        self.served
    }
}
