//! One connection: HTTP of both versions within bounds, for peers that may be slow or silent, or take nothing.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::Version,
    middleware::Next,
    response::Response,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    certificate::PeerCertificate,
    timed::{PATIENCE, Timed},
    unread::Unread,
};

/// Most calls that are under way on a connection; clients keep further ones waiting. Each open watch is one.
const MAX_STREAMS: u32 = 1_000;
/// How many calls may be cancelled before the server has so much as looked at them. A page that is left cancels all of its own.
const MAX_UNSEEN_RESETS: usize = 1_000;
/// How many calls of a connection may be none that HTTP/2 knows; no client makes such.
const MAX_FAULTY_STREAMS: usize = 200;
/// All headers of a call together.
const MAX_HEADERS: u32 = 16 * 1024;
/// What may be under way to the server before it has read on, of one call and of all calls of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is kept of an answer that the client does not read on.
const SEND_BUFFER: usize = 64 * 1024;
/// How often a silent HTTP/2 connection is probed, and how long the answer may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same of TCP, for what speaks HTTP/1.1 and has gone without a word.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long the headers of a call over HTTP/1.1 may take, and the pause before them.
const HEADERS_TIME: Duration = Duration::from_secs(30);
/// How long the last answers may take to reach their clients.
const DELIVERY_TIME: Duration = Duration::from_secs(2);

pub(super) type Builder = auto::Builder<TokioExecutor>;

/// Keeps count of the calls that are not answered yet.
pub(super) async fn track(State(calls): State<TaskTracker>, call: Request, next: Next) -> Response {
    let _unanswered = calls.token();
    next.run(call).await
}

/// Waits until the server stops, every call is answered, and the answers had time to arrive. A connection that is still
/// open then belongs to a client that does not read.
pub(super) async fn drained(stopping: CancellationToken, calls: TaskTracker) {
    stopping.cancelled().await;
    calls.close();
    calls.wait().await;
    tokio::time::sleep(DELIVERY_TIME).await;
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

pub(super) fn builder() -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIME);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

/// Sends small messages at once, and finds out when nobody is there any more. What fails here fails again when it is read.
pub(super) fn prepare(io: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(TCP_KEEPALIVE)
        .with_interval(TCP_KEEPALIVE_INTERVAL);
    let _ = io.set_nodelay(true);
    let _ = SockRef::from(io).set_tcp_keepalive(&keepalive);
}

/// Serves until the peer is done. Once the server is stopping, what is under way is still answered.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (peer, certificate): (SocketAddr, Option<PeerCertificate>),
    builder: &Builder,
    router: axum::Router,
    stopping: CancellationToken,
) {
    let service = service_fn(move |mut call: Request<Incoming>| {
        call.extensions_mut().insert(Peer(peer.ip()));
        if let Some(certificate) = &certificate {
            call.extensions_mut().insert(certificate.clone());
        }
        let router = router.clone();
        async move {
            match call.version() {
                Version::HTTP_2 => router.oneshot(call.map(Unread::of)).await,
                // Has its own way with what is unread, by which it knows whether the connection can be used again.
                _ => router.oneshot(call).await,
            }
        }
    });
    let io = TokioIo::new(Timed::new(io, PATIENCE));
    let mut connection = pin!(builder.serve_connection(io, service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, %peer, "a connection broke off");
    }
}
