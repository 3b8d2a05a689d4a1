//! Connections: a router behind a listener, with bounds on what a client may send before it is understood, and an
//! orderly end.
//!
//! Invariant: after `shutdown` no request is accepted, and each that was accepted is answered, unless it takes
//! longer than [`GRACE_PERIOD`].

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once. Others wait in the listener's queue; each open one costs a descriptor and a buffer.
pub const MAX_CONNECTIONS: usize = 1024;
/// Bytes of request line and headers, together. Bearer tokens of 20 KiB exist in the field; nothing larger does.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Header lines of one request.
pub const MAX_HEADERS: usize = 100;
/// Time for a client to send a complete request head, also on an idle connection.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for requests in flight to finish after `shutdown`.
pub const GRACE_PERIOD: Duration = Duration::from_secs(60);
/// Pause after a failed `accept`, most often for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown` completes, then lets requests in flight finish.
pub async fn serve(router: Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            // The semaphore is never closed; a closed one would only lift the bound.
            let permit = permits.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Replies are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE_PERIOD, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "requests still running {} s after shutdown were cut",
            GRACE_PERIOD.as_secs()
        );
    }
}
