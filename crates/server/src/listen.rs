//! Connections: a router behind a listener, with bounds on what a client may send before it is understood, and an
//! orderly end.
//!
//! One port speaks HTTP/1.1 and HTTP/2, the latter to clients that begin with it (`h2c` by prior knowledge, as gRPC
//! does) or choose it in the TLS handshake.
//!
//! Invariant: after `shutdown` no connection is accepted, and each request that was is answered, unless it takes
//! longer than [`GRACE_PERIOD`].

mod activity;
mod open;
mod tls;

pub use tls::{Tls, TlsError};

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use self::activity::Activity;
pub(crate) use self::open::Connections;
use self::open::Open;

/// Connections at once. Others wait in the listener's queue; each open one costs a descriptor and a buffer. As long as
/// others wait, idle ones are closed after some seconds.
pub const MAX_CONNECTIONS: usize = 1024;
/// Connections of one address, so that nobody takes all of them. It does not hold for loopback and for trusted proxies,
/// behind which are many.
pub const MAX_FROM_ONE: usize = 512;
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
/// How long a connection may be idle when there are as many as may be.
const PRESSED: Duration = Duration::from_secs(2);
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, most often for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for the first request of a connection that was accepted when `shutdown` came.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Time for the client of a connection that is to end to take its answers.
const LINGER: Duration = Duration::from_secs(5);

/// Who is at the other end of the connection that a request came on; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What connections are like.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// With it, all connections are encrypted.
    pub(crate) tls: Option<Arc<Tls>>,
    /// The open ones.
    pub(crate) open: Arc<Connections>,
    /// Networks of machines behind which are many.
    pub(crate) trusted_proxies: Vec<ipnet::IpNet>,
}

impl Settings {
    /// Whether there may be as many connections from this address as there may be at all.
    fn stands_for_many(&self, address: IpAddr) -> bool {
        let known = |network: &ipnet::IpNet| network.contains(&address);
        address.is_loopback() || self.trusted_proxies.iter().any(known)
    }
}

/// Serves `router` on `listener` until `shutdown` completes, then lets requests in flight finish.
pub async fn serve(router: Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    serve_with(Settings::default(), router, listener, shutdown).await;
}

/// As [`serve`], with connections of another kind than plain ones.
pub(crate) async fn serve_with(
    settings: Settings,
    router: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let http = Arc::new(protocol());
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Each connection holds a receiver until it is done.
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(async {
        tokio::select! {
            () = shutdown => (),
            () = reload(settings.tls.as_deref()) => (),
        }
    });
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
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let from = address.ip().to_canonical();
        let most = match settings.stands_for_many(from) {
            true => MAX_CONNECTIONS,
            false => MAX_FROM_ONE,
        };
        let Some(open) = settings.open.add(from, most) else {
            tracing::debug!("{from} has {most} connections already");
            continue;
        };
        // Replies are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            http: http.clone(),
            router: router.clone(),
            peer: Peer(address),
            permits: permits.clone(),
            stopping: stopping.clone(),
            _open: open,
        };
        let acceptor = settings.tls.as_deref().map(Tls::acceptor);
        tokio::spawn(async move {
            match acceptor {
                None => connection.serve(TokioIo::new(stream)).await,
                Some(acceptor) => connection.handshake(acceptor, stream).await,
            }
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

/// Never completes.
async fn reload(tls: Option<&Tls>) {
    match tls {
        Some(tls) => tls.reload().await,
        None => std::future::pending().await,
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

/// One connection.
struct Connection {
    http: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    peer: Peer,
    /// Places for connections.
    permits: Arc<Semaphore>,
    stopping: watch::Receiver<()>,
    _open: Open,
}

impl Connection {
    /// Encrypts it, if the client can, and serves it.
    async fn handshake(self, acceptor: TlsAcceptor, stream: TcpStream) {
        let mut stopping = self.stopping.clone();
        let patience = async {
            // Who has not begun when the server stops has no request yet.
            let _ = tokio::time::timeout(HANDSHAKE, stopping.changed()).await;
            tokio::time::sleep(FIRST_REQUEST).await;
        };
        let address = self.peer.0;
        tokio::select! {
            shaken = acceptor.accept(stream) => match shaken {
                Ok(stream) => self.serve(TokioIo::new(stream)).await,
                Err(error) => tracing::debug!("no TLS with {address}: {error}"),
            },
            () = patience => tracing::debug!("no TLS with {address}: it took too long"),
        }
    }

    /// Serves it to its end: the client's, that of its idleness, or the server's.
    async fn serve<I>(mut self, stream: I)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let answer = {
            let (activity, peer) = (activity.clone(), self.peer);
            let router = TowerToHyperService::new(self.router);
            let stopping = self.stopping.clone();
            move |mut request: Request<Incoming>| {
                let running = activity.begin();
                let old = request.version() < Version::HTTP_2;
                let stopping = stopping.clone();
                request.extensions_mut().insert(peer);
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
        let idle_limit = || match self.permits.available_permits() {
            0 => PRESSED,
            _ => HEADER_TIMEOUT,
        };
        let mut serving = pin!(self.http.serve_connection(stream, service_fn(answer)));
        let ended = tokio::select! {
            ended = serving.as_mut() => Some(ended),
            _ = self.stopping.changed() => tokio::select! {
                ended = serving.as_mut() => Some(ended),
                // It was accepted: what its client has sent, or is about to, is still answered.
                () = activity.first_request() => None,
                () = tokio::time::sleep(FIRST_REQUEST) => None,
            },
            () = activity.idle(idle_limit) => None,
            () = activity.abused() => Some(Err("its client abandons what it asks for".into())),
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = serving => ended,
                    () = activity.idle(|| LINGER) => Err("its client neither asks nor reads".into()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended early: {error}");
        }
    }
}
