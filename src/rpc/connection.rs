//! One connection: HTTP of both versions within bounds, for peers that may be slow or silent, or take nothing.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::StatusCode,
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

use crate::domain::Error;

use super::{
    certificate::PeerCertificate,
    http, lingering,
    timed::{PATIENCE, Timed},
};

/// Most calls that are under way on a connection; clients keep further ones waiting. Each open watch is one.
const MAX_STREAMS: u32 = 1_000;
/// How many calls may be cancelled before the server has so much as looked at them. A page that is left cancels all of its own.
const MAX_UNSEEN_RESETS: usize = 1_000;
/// How many calls of a connection may be none that HTTP/2 knows; no client makes such.
const MAX_FAULTY_STREAMS: usize = 200;
/// All headers of a call together, as HTTP/2 counts them.
const MAX_HEADERS: usize = 16 * 1024;
/// How many of them are read all the same, so that a call that has more is told so: beyond that HTTP/2 can only refuse it without a
/// word, or end the connection. No more than a connection may have under way of messages.
const MAX_READ_HEADERS: u32 = 256 * 1024;
/// What HTTP/2 counts for each header beside its name and value (RFC 9113, 6.5.2).
const HEADER_OVERHEAD: usize = 32;
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

/// Refuses calls with more headers than may be, in the caller's own terms.
pub(super) async fn bound_headers(call: Request, next: Next) -> Response {
    let target = call
        .uri()
        .path_and_query()
        .map_or(0, |it| it.as_str().len());
    let headers = call.headers().iter();
    let sizes = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD);
    let bytes = target + sizes.sum::<usize>();
    if bytes <= MAX_HEADERS {
        return next.run(call).await;
    }
    let max = MAX_HEADERS;
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    http::turn_away(Error::MetadataTooLarge { bytes, max }, status, &call)
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
        .max_header_list_size(MAX_READ_HEADERS)
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
        router.clone().oneshot(lingering::hear_out(call))
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
