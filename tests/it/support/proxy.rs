//! What may stand between a client and a server, and fail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Passes bytes on, and can drop the connections.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    current: Arc<Mutex<CancellationToken>>,
    silent: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl TcpProxy {
    /// A proxy before the server at `url`. Of what the server sends, the first connection brings `first_bytes` at most and
    /// then breaks.
    pub(crate) async fn start(url: &str, first_bytes: Option<usize>) -> Self {
        let server = url.strip_prefix("http://").unwrap().to_owned();
        let silent = watch::Sender::new(false);
        let silence = silent.subscribe();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let current = Arc::new(Mutex::new(CancellationToken::new()));
        let token = current.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut allowed = first_bytes.unwrap_or(usize::MAX);
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let cut = token.lock().unwrap().clone();
                let silence = silence.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = pass(client, server, allowed, silence) => {}
                        () = cut.cancelled() => {}
                    }
                });
                allowed = usize::MAX;
            }
        });
        Self {
            address,
            current,
            silent,
            accepting,
        }
    }

    /// Takes everything and passes nothing on, or goes on where it has stopped.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drops all connections; new ones are taken.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.current.lock().unwrap()).cancel();
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Until one side closes, or the server has sent so many bytes.
async fn pass(
    client: TcpStream,
    server: TcpStream,
    allowed: usize,
    silence: watch::Receiver<bool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let mut from_server = from_server.take(allowed as u64);
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server, silence.clone()) => {}
        _ = copy(&mut from_server, &mut to_client, silence) => {}
    }
    let _ = to_client.shutdown().await;
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut silence: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let _ = silence.wait_for(|silent| !silent).await;
        to.write_all(&bytes[..count]).await?;
    }
}

/// What a [`Relay`] does with a call.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// The server does what is asked, and its answer gets lost.
    AnswerLost,
    /// It is passed on like all that have no fate.
    Passed,
    /// Nobody gets it, and nobody answers.
    Unanswered,
    /// The server does not get it, and the caller is asked to come back.
    Refused { retry_after: std::time::Duration },
}

/// Takes calls and passes them on to the server, but for the first ones, which have fates of their own.
pub(crate) struct Relay {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Instant>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Relaying {
    server: Channel,
    fates: Arc<Mutex<std::vec::IntoIter<Fate>>>,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Relay {
    pub(crate) async fn start(server: Channel, fates: Vec<Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::<Mutex<Vec<Instant>>>::default();
        let relaying = Relaying {
            server,
            fates: Arc::new(Mutex::new(fates.into_iter())),
            calls: calls.clone(),
        };
        let router = Router::new().fallback(async move |request: axum::extract::Request| {
            relaying.clone().answer(request.map(Body::new)).await
        });
        let serving = tokio::spawn(async move {
            let routes = Routes::from(router);
            let server = Server::builder().add_routes(routes);
            let served = server.serve_with_incoming(TcpIncoming::from(listener));
            served.await.unwrap();
        });
        Self {
            address,
            calls,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// When each call came.
    pub(crate) fn calls(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Relaying {
    async fn answer(mut self, call: http::Request<Body>) -> http::Response<Body> {
        self.calls.lock().unwrap().push(Instant::now());
        let fate = self.fates.lock().unwrap().next();
        if let Some(Fate::Unanswered) = fate {
            return std::future::pending().await;
        }
        if let Some(Fate::Refused { retry_after }) = fate {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(retry_after));
            let status = Status::with_error_details(Code::Unavailable, "not yet", details);
            return status.into_http();
        }
        let (mut head, body) = call.into_parts();
        head.uri = head.uri.path().parse().unwrap();
        std::future::poll_fn(|context| self.server.poll_ready(context))
            .await
            .unwrap();
        let answered = self.server.call(http::Request::from_parts(head, body));
        let response = answered.await.unwrap();
        match fate {
            Some(Fate::AnswerLost) => Status::unavailable("the answer got lost").into_http(),
            _ => response,
        }
    }
}
