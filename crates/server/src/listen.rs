//! Connections: a router behind a listener, with bounds on what a client may send before it is understood, and an
//! orderly end.
//!
//! One port speaks HTTP/1.1 and HTTP/2, the latter to clients that begin with it (`h2c` by prior knowledge, as gRPC
//! does).
//!
//! Invariant: after `shutdown` no connection is accepted, and each request that was is answered, unless it takes
//! longer than [`GRACE_PERIOD`].

mod activity;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::activity::Activity;

/// Connections at once. Others wait in the listener's queue; each open one costs a descriptor and a buffer.
pub const MAX_CONNECTIONS: usize = 1024;
/// Bytes of request line and headers, together. Bearer tokens of 20 KiB exist in the field; nothing larger does.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Header lines of one request of HTTP/1.1.
pub const MAX_HEADERS: usize = 100;
/// Time for a client to send a complete request head; also how long a connection may be idle, which is one whose
/// client neither asks nor reads the answers it asked for.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for requests in flight to finish after `shutdown`.
pub const GRACE_PERIOD: Duration = Duration::from_secs(60);
/// Requests at once on one connection of HTTP/2: the least that RFC 9113 recommends.
pub const MAX_STREAMS: u32 = 100;
/// Streams that a client may open and reset before the connection is closed (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 20;
/// Streams that may be reset because of what the client sends on them before the connection is closed
/// (CVE-2025-8671).
const MAX_ERROR_STREAMS: usize = 100;
/// Bytes of one body, and of all bodies on a connection, that a client may send ahead of what was read.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of one frame of HTTP/2: the protocol's least and default.
const MAX_FRAME: u32 = 16 * 1024;
/// Bytes of an answer that wait for the client's window.
const SEND_BUFFER: usize = 64 * 1024;
/// A connection of HTTP/2 that says nothing is asked this often if its peer is still there, and has this long to say
/// so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed `accept`, most often for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for the first request of a connection that was accepted when `shutdown` came.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Time for the client of a connection that is to end to take its answers.
const LINGER: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `shutdown` completes, then lets requests in flight finish.
pub async fn serve(router: Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let http = Arc::new(protocol());
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Each connection holds a receiver until it is done.
    let (stop, stopping) = watch::channel(());
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
        let (http, router, stopping) = (http.clone(), router.clone(), stopping.clone());
        tokio::spawn(async move {
            connection(&http, router, TokioIo::new(stream), stopping).await;
            drop(permit);
        });
    }
    drop(listener);
    drop(stopping);
    // Nobody listens if there is no connection.
    let _ = stop.send(());
    if tokio::time::timeout(GRACE_PERIOD, stop.closed())
        .await
        .is_err()
    {
        tracing::warn!(
            "requests still running {} s after shutdown were cut",
            GRACE_PERIOD.as_secs()
        );
    }
}

/// Both versions of HTTP, with their bounds.
fn protocol() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_frame_size(MAX_FRAME)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_ERROR_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    http
}

/// One connection, to its end: the client's, that of its idleness, or the server's.
async fn connection<I>(
    http: &auto::Builder<TokioExecutor>,
    router: Router,
    stream: I,
    mut stopping: watch::Receiver<()>,
) where
    I: Read + Write + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let answer = {
        let activity = activity.clone();
        let router = TowerToHyperService::new(router);
        let stopping = stopping.clone();
        move |request: Request<Incoming>| {
            let running = activity.begin();
            let old = request.version() < Version::HTTP_2;
            let stopping = stopping.clone();
            let answer = router.call(request);
            async move {
                let Ok(mut response) = answer.await;
                if old && stopping.has_changed().unwrap_or(true) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|body| running.answered(body)))
            }
        }
    };
    let mut serving = pin!(http.serve_connection(stream, service_fn(answer)));
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        _ = stopping.changed() => tokio::select! {
            ended = serving.as_mut() => Some(ended),
            // It was accepted: what its client has sent, or is about to, is still answered.
            () = activity.first_request() => None,
            () = tokio::time::sleep(FIRST_REQUEST) => None,
        },
        () = activity.idle(HEADER_TIMEOUT) => None,
        () = activity.abused() => Some(Err("its client abandons what it asks for".into())),
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => ended,
                () = activity.idle(LINGER) => Err("its client neither asks nor reads".into()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}
