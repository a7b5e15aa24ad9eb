//! A server whose time the test sets: the same use cases behind the same gRPC, without an executor.

use atelier::app::{App, Clock};
use atelier::config::Config;
use atelier::rpc::{self, AccessSettings, Bounds, PortSettings, RateSettings};
use atelier::server::open_app;
use chrono::{DateTime, TimeDelta};
use std::ops::Deref;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::client::Client;
use crate::support::database::TestDatabase;
use crate::support::server::configuration;

/// 2027-01-15, 08:00 UTC.
const START: i64 = 1_800_000_000;

/// A replica. It stops when this value is dropped.
pub(crate) struct ClockedServer {
    pub app: App,
    /// Where it listens.
    pub url: String,
    client: Client,
    _media: TempDir,
}

impl ClockedServer {
    pub(crate) async fn start(db: &TestDatabase) -> Self {
        Self::start_with(db, |_| ()).await
    }

    /// The same with some settings changed.
    pub(crate) async fn start_with(db: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::manual(DateTime::from_timestamp(START, 0).unwrap());
        Self::start_at(db, clock, change).await
    }

    /// One more replica on the same database, with the same clock.
    pub(crate) async fn beside(&self, db: &TestDatabase) -> Self {
        Self::start_at(db, self.app.clock.clone(), |_| ()).await
    }

    async fn start_at(db: &TestDatabase, clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let media = tempfile::tempdir().unwrap();
        let mut config = configuration(db, media.path());
        change(&mut config);
        let mut app = open_app(&config).await.unwrap();
        app.clock = clock;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = PortSettings {
            authentication: atelier::identity::Authentication::default(),
            access: AccessSettings::default(),
            connections: Bounds {
                in_all: 100,
                per_peer: 100,
            },
            watches: Bounds {
                in_all: 100,
                per_peer: 100,
            },
            rates: RateSettings::default(),
            tls: None,
        };
        let served = app.clone();
        tokio::spawn(async move { rpc::serve(served, listener, settings, None).await.unwrap() });
        let client = Client::connect(&url).await;
        Self {
            app,
            url,
            client,
            _media: media,
        }
    }

    /// Lets time pass, on every replica that shares the clock.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.app.clock.advance(time);
    }
}

impl Deref for ClockedServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for ClockedServer {
    fn drop(&mut self) {
        self.app.stopping.cancel();
    }
}
