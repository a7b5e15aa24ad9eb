//! A port: who connects is taken up within bounds, and served by both versions of HTTP.

use std::{convert::Infallible, future::pending, io, net::SocketAddr, time::Duration};

use rustix::process::{Resource, getrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{self, Builder},
    places::{Bounds, Full, Places},
    tls::Tls,
};

/// How long nobody is taken up once the system has refused to open a connection.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the log tells of what is met again and again.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Takes connections up until `stopping`, and then waits until those that are open have ended. They end with it, also when it
/// is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    bounds: Bounds,
    tls: Option<Tls>,
    router: axum::Router,
    stopping: CancellationToken,
) {
    let mut port = Port {
        places: Places::new(within_descriptors(bounds)),
        builder: connection::builder(),
        tls: tls.clone(),
        router,
        stopping: stopping.clone(),
        connections: JoinSet::new(),
        refusals: Seldom::default(),
        shortage: Seldom::default(),
    };
    let fresh = async {
        match tls {
            Some(tls) => tls.keep_fresh().await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        never = port.listen(&listener) => match never {},
        never = fresh => match never {},
    }
    drop(listener);
    while port.connections.join_next().await.is_some() {}
}

struct Port {
    places: Places,
    builder: Builder,
    tls: Option<Tls>,
    router: axum::Router,
    stopping: CancellationToken,
    connections: JoinSet<()>,
    refusals: Seldom,
    shortage: Seldom,
}

impl Port {
    async fn listen(&mut self, listener: &TcpListener) -> Infallible {
        loop {
            let accepted = tokio::select! {
                Some(_) = self.connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, peer)) => self.take_up(io, peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.shortage
                        .tell(|times| tracing::warn!(%error, times, "cannot take up connections"));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn take_up(&mut self, io: TcpStream, peer: SocketAddr) {
        let place = match self.places.take(peer.ip()) {
            Ok(place) => place,
            Err(full) => return self.refusals.tell(|times| tell_refused(full, times)),
        };
        let (builder, router) = (self.builder.clone(), self.router.clone());
        let (tls, stopping) = (self.tls.clone(), self.stopping.clone());
        self.connections.spawn(async move {
            let _taken = place;
            connection::prepare(&io);
            let Some(tls) = tls else {
                return connection::serve(io, (peer, None), &builder, router, stopping).await;
            };
            match tls.accept(io).await {
                Ok((io, certificate)) => tokio::select! {
                    biased;
                    error = tls.end_of(certificate.as_ref()) => {
                        tracing::info!(%error, %peer, "a client's certificate holds no more");
                    }
                    () = connection::serve(io, (peer, certificate.clone()), &builder, router, stopping) => {}
                },
                Err(error) => tracing::debug!(%error, %peer, "no TLS came about"),
            }
        });
    }
}

/// Half of the descriptors are for files, the database and what commands need.
fn within_descriptors(bounds: Bounds) -> Bounds {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most < bounds.in_all {
        tracing::debug!(most, "the limit of descriptors bounds the connections");
    }
    Bounds {
        in_all: bounds.in_all.min(most),
        ..bounds
    }
}

/// The peer has gone before it was taken up.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let kinds = [
        ConnectionAborted,
        ConnectionRefused,
        ConnectionReset,
        Interrupted,
    ];
    kinds.contains(&error.kind())
}

/// What may be met again and again, and is told of once in a while.
#[derive(Default)]
struct Seldom {
    told: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// Has it told, with how often it was met since the last time, unless it just was.
    fn tell(&mut self, tell: impl FnOnce(u64)) {
        self.times += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tell(std::mem::take(&mut self.times));
            self.told = Some(Instant::now());
        }
    }
}

fn tell_refused(full: Full, times: u64) {
    let (most, setting) = match full {
        Full::InAll(most) => (most, "server.max_connections"),
        Full::OfPeer(most) => (most, "server.max_connections_per_peer"),
    };
    tracing::warn!(
        setting,
        most,
        times,
        "connections beyond a bound are closed"
    );
}
