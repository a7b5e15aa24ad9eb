//! A whole server in this process, on a free port.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier::app::App;
use atelier::config::Config;
use atelier::server::{Role, Server};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::database::TestDatabase;
use crate::support::script::add_scripted;

/// Longer than anything here takes on a busy machine: what has not come by then does not come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Signs download links, known to the tests so that they can make links of another time.
pub(crate) const SIGNING_KEY: &str = "a key of the tests, and of nothing else";

/// A server of this process. Servers that share a database share its folder of media too.
pub(crate) struct TestServer {
    server: Server,
    client: Option<Client>,
    media: Arc<TempDir>,
}

impl TestServer {
    /// A server that answers clients and runs jobs.
    pub(crate) async fn start(db: &TestDatabase) -> Self {
        Self::start_with(db, |_| ()).await
    }

    /// The same with some settings changed.
    pub(crate) async fn start_with(db: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_as(Role::All, db, change).await
    }

    /// A server that answers clients and leaves the jobs where they are.
    pub(crate) async fn start_api(db: &TestDatabase) -> Self {
        Self::start_as(Role::Api, db, |_| ()).await
    }

    pub(crate) async fn start_as(
        role: Role,
        db: &TestDatabase,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start_in(db.media.clone(), role, db, change).await
    }

    /// One more server on the same database and media.
    pub(crate) async fn beside(
        &self,
        role: Role,
        db: &TestDatabase,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start_in(self.media.clone(), role, db, change).await
    }

    async fn start_in(
        media: Arc<TempDir>,
        role: Role,
        db: &TestDatabase,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = configuration(db, media.path());
        change(&mut config);
        let server = Server::start(config, role).await.unwrap();
        let client = match server.url() {
            Some(url) => Some(Client::connect(&url).await),
            None => None,
        };
        Self {
            server,
            client,
            media,
        }
    }

    /// Where the server listens, such as `http://127.0.0.1:4711`.
    pub(crate) fn url(&self) -> String {
        self.server.url().unwrap()
    }

    /// The use cases on the server's own connections.
    pub(crate) fn app(&self) -> &App {
        self.server.app()
    }

    /// Where only probes are answered, such as `http://127.0.0.1:4711`.
    pub(crate) fn health_url(&self) -> String {
        format!("http://{}", self.server.health_addr().unwrap())
    }

    /// Where only metrics are told.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}", self.server.metrics_addr().unwrap())
    }

    /// The folder of the media storage.
    pub(crate) fn media_folder(&self) -> &Path {
        self.media.path()
    }

    /// A client that outlives the server.
    pub(crate) fn client(&self) -> Client {
        self.client.clone().unwrap()
    }

    /// Lets running jobs end and ends, as when the process is told to stop.
    pub(crate) async fn shutdown(self) {
        within(self.server.shutdown()).await;
    }

    /// Hands running jobs back and ends.
    pub(crate) async fn stop(self) {
        within(self.server.hand_back()).await;
    }
}

impl Deref for TestServer {
    type Target = Client;

    /// A worker has no clients.
    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap()
    }
}

/// Quick to notice everything, and without what a test has not put there itself.
pub(crate) fn configuration(db: &TestDatabase, media: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.server.shutdown_grace = Duration::from_secs(5);
    config.server.shutdown_delay = Duration::ZERO;
    config.database.url = db.url.parse().unwrap();
    config.storage.folder = media.to_owned();
    config.storage.signing_key = Some(SecretString::from(SIGNING_KEY));
    config.storage.probe_interval = Duration::from_millis(50);
    config.executor.spool_folder = media.join("spool");
    config.executor.concurrency = 4;
    config.executor.poll_interval = Duration::from_millis(50);
    // Ample: no lease runs out because the machine is busy. A test of leases sets its own.
    config.executor.lease = Duration::from_secs(30);
    config.executor.heartbeat = Duration::from_millis(500);
    config.executor.upkeep_interval = Duration::from_secs(1);
    config.identity.provision_users = Some(true);
    add_scripted(&mut config);
    config.supervisor = Some(env!("CARGO_BIN_EXE_atelier").into());
    config.catalogue.install_starter = false;
    config
}

/// The outcome, which must come before the [`DEADLINE`].
pub(crate) async fn within<T>(outcome: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(DEADLINE, outcome).await;
    outcome.unwrap_or_else(|_| panic!("nothing came within {DEADLINE:?}"))
}
