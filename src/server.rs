//! The life of a server: its parts start together, are watched, and stop in stages. The program and the tests start the same
//! server.

mod health;
mod schema;
mod stopping;
mod wiring;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use migration::Serving;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    app::{App, Health, Pulse},
    billing::RemoteError,
    config::Config,
    domain::{Error, with_causes},
    identity::{Authentication, KeysError},
    media::StorageError,
    provider::{Unready, WordListError},
    rpc::{self, PortSettings},
    store::ConnectError,
    traces::TracesError,
};

pub use schema::{SchemaError, migrator};
use stopping::{Pace, Stages};
pub use wiring::{build_providers, fetcher, open_app, removal};

/// How often is looked for what Billing is to be told, should other processes have left it.
const BILLING_INTERVAL: Duration = Duration::from_secs(5);

/// Which parts run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Both of these.
    All,
    /// Answers clients.
    Api,
    /// Runs jobs.
    Worker,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }

    fn answers(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address to listen on is taken, or not one of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it is configured.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate of the clients' port cannot be used.
    #[error(transparent)]
    Tls(#[from] rpc::TlsError),
    /// The list of words cannot be read.
    #[error(transparent)]
    Words(#[from] WordListError),
    /// The service that judges cannot be spoken to as it is configured.
    #[error("moderation: {0}")]
    Moderation(#[from] Unready),
    /// Billing cannot be called as it is configured.
    #[error(transparent)]
    Billing(#[from] RemoteError),
    /// Spans cannot be sent as it is configured.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The keys that callers' tokens are checked by cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database is open, but this program cannot serve on it.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The media storage cannot be set up as it is configured.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database or the media storage did not answer.
    #[error("cannot find out whose the media storage is")]
    Claim(#[source] Error),
    /// The database did not give the keys of the installation, or take the first ones.
    #[error("cannot read the keys of the installation")]
    Secrets(#[source] Error),
    /// The folder cannot be made or written to, so outputs could not wait for the storage.
    #[error("cannot use the spool {folder}")]
    Spool {
        /// That of this database, below `executor.spool_folder`.
        folder: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database refused a part of it; an empty one gets it at the next start.
    #[error("cannot install the starter catalogue")]
    Catalogue(#[source] Error),
    /// The system does not tell the address that the port was opened on.
    #[error("cannot answer probes")]
    Probes(#[source] std::io::Error),
    /// There is no client to follow links with.
    #[error("cannot follow links; fetch.enabled = false does without")]
    Links(#[from] reqwest::Error),
    /// Links to media of the file storage begin with that address.
    #[error("the server's address does not make a URL")]
    Url(#[from] url::ParseError),
}

/// Why a running server ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the server broke down")]
pub struct Breakdown(#[source] Box<dyn std::error::Error + Send + Sync>);

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Task = JoinHandle<Outcome>;

/// A running server.
pub struct Server {
    address: Option<SocketAddr>,
    scheme: &'static str,
    app: App,
    installed: bool,
    stages: Stages,
    pace: Pace,
    api: Option<Task>,
    executor: Option<JoinHandle<()>>,
    relay: JoinHandle<()>,
    health: JoinHandle<()>,
    probes: Option<Probes>,
    metrics: Option<MetricsPort>,
    /// Gets the keys of tokens while the server runs.
    _keys: Option<AbortOnDropHandle<()>>,
    /// Reads the API keys while the server runs, and notes which are used.
    _api_keys: Option<AbortOnDropHandle<Infallible>>,
    /// Tells Billing what has become of jobs while the server runs.
    _billing: AbortOnDropHandle<()>,
    /// Keeps the schema from being taken back.
    _serving: Serving,
}

/// What answers probes beside the port of the clients, if it is to.
struct Probes {
    address: SocketAddr,
    task: AbortOnDropHandle<Outcome>,
}

/// What tells operators what they watch, if it is to.
struct MetricsPort {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// Starts the parts of `role`. When it returns, clients can connect; until then their port answers probes only.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs on then.
    pub async fn start(config: Config, role: Role) -> Result<Self, StartError> {
        let listener = listen(role.answers().then_some(config.server.listen)).await?;
        let probe_listener = listen(config.health.listen).await?;
        let metrics_listener = listen(config.metrics.listen).await?;
        let address = listener.as_ref().and_then(|port| port.local_addr().ok());
        let starting = Health::starting();
        let probes = probe_listener.map(|port| answer_probes(port, &starting, None));
        let probes = probes.transpose()?;
        let (listener, early) = listener.map(share).transpose()?.unzip();
        let authentication = wiring::authentication(&config)?;
        let keys = freshen(&authentication, config.auth.jwks_refresh);
        let clients = wiring::port(&config, authentication)?;
        let early = early.map(|port| answer_probes(port, &starting, Some(clients.clone())));
        let early = early.transpose()?;
        let stages = Stages::default();
        let (mut app, serving) =
            wiring::build_app(&config, role.name(), address, role.works(), &stages).await?;
        app.health = starting;
        app.traces = wiring::traces(&config, &app.metrics)?;
        let spool = role.works().then(|| wiring::open_spool(&config));
        let spool = spool.transpose()?;
        let installed = wiring::make_ready(&app, &config, spool.as_ref()).await?;

        let pulse = role.works().then(Pulse::start);
        health::look(&app, pulse.as_ref()).await;
        let health = tokio::spawn(health::watch(
            app.clone(),
            pulse.clone(),
            config.storage.probe_interval,
        ));
        let api_keys = config.auth.api_keys && role.answers();
        let api_keys = api_keys.then(|| tokio::spawn(health::follow_keys(app.clone())));
        let executor = match spool.zip(pulse) {
            Some((spool, pulse)) => {
                let executor =
                    wiring::build_executor(&config, &app, spool, (role.name(), pulse), &stages);
                executor.announce().await;
                Some(tokio::spawn(executor.run()))
            }
            None => None,
        };
        let billing = tell_billing(&app, config.executor.upkeep_interval);
        let (events, store) = (app.events.clone(), app.store.clone());
        let relay = tokio::spawn(async move { events.relay(&store).await });
        let metrics = metrics_listener.map(|port| tell_metrics(port, &app));
        let metrics = metrics.transpose()?;
        app.health.note_started();
        if let Some(early) = early {
            early.task.abort();
            let _ = early.task.await;
        }
        let api = listener.map(|port| answer_clients(port, &app, clients, &config));
        let metered = metrics.as_ref().map(|metrics| metrics.address);
        let probed = probes.as_ref().map(|probes| probes.address);
        tell_start(role, [address, probed, metered], &app, &config);
        Ok(Self {
            address,
            scheme: wiring::scheme(&config),
            app,
            installed,
            stages,
            pace: Pace::graceful(config.server.shutdown_delay, config.server.shutdown_grace),
            api,
            executor,
            relay,
            health,
            probes,
            metrics,
            _keys: keys,
            _api_keys: api_keys.map(AbortOnDropHandle::new),
            _billing: AbortOnDropHandle::new(billing),
            _serving: serving,
        })
    }

    /// The use cases that this server offers, on its own connections.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Whether the database has got the starter catalogue from it.
    pub fn installed_catalogue(&self) -> bool {
        self.installed
    }

    /// Where clients connect; `None` for a worker.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where clients connect, as a URL; `None` for a worker.
    pub fn url(&self) -> Option<String> {
        let scheme = self.scheme;
        self.address.map(|address| format!("{scheme}://{address}"))
    }

    /// Where probes are answered beside the clients' port, if they are.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(|probes| probes.address)
    }

    /// Where metrics are told, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// Waits until the server ends by itself, which it does only when it breaks down.
    pub async fn stopped(&mut self) -> Result<(), Breakdown> {
        let probes = self.probes.as_mut().map(|probes| &mut probes.task);
        let ended = tokio::select! {
            ended = end_of(probes) => flatten(ended),
            ended = end_of(self.api.as_mut()) => flatten(ended),
            ended = end_of(self.executor.as_mut()) => ended.map_err(Box::from),
            // Without these two the process would go on saying of itself what is so no longer, and hear late of what others do.
            Err(panic) = &mut self.health => Err(panic.into()),
            Err(panic) = &mut self.relay => Err(panic.into()),
        };
        ended.map_err(Breakdown)
    }

    /// Stops in stages within `server.shutdown_grace`. For `server.shutdown_delay` at least the port still answers while health
    /// says that the server stops. Running attempts go on until the grace is nearly over; those that have not ended then are
    /// handed back. What has not ended after the grace is cut off.
    pub async fn shutdown(self) {
        let pace = self.pace;
        self.stop(pace).await;
    }

    /// Stops as [`Self::shutdown`] does, but at once: running attempts are handed back where they are.
    pub async fn hand_back(self) {
        let pace = Pace::prompt(self.pace.grace);
        self.stop(pace).await;
    }

    async fn stop(mut self, pace: Pace) {
        tracing::info!("shutting down");
        let stopped = self
            .stages
            .pass(pace, self.api.as_mut(), self.executor.as_mut());
        if tokio::time::timeout(pace.grace, stopped).await.is_err() {
            let works = |task: bool| if task { "still works" } else { "has ended" };
            let executor = works(
                self.executor
                    .as_ref()
                    .is_some_and(|task| !task.is_finished()),
            );
            let api = works(self.api.as_ref().is_some_and(|task| !task.is_finished()));
            tracing::warn!(executor, api, "cut off what did not end in time");
        }
        self.abort();
        self.app.traces.finish().await;
        if let Err(error) = self.app.store.close().await {
            tracing::warn!(error = with_causes(&error), "cannot close the database");
        }
    }

    fn abort(&self) {
        self.stages.cancel();
        self.relay.abort();
        self.health.abort();
        if let Some(probes) = &self.probes {
            probes.task.abort();
        }
        if let Some(executor) = &self.executor {
            executor.abort();
        }
        if let Some(api) = &self.api {
            api.abort();
        }
    }
}

impl Drop for Server {
    /// A server that is dropped without a shutdown stops at once, as if it had been killed.
    fn drop(&mut self) {
        self.abort();
    }
}

/// The end of a task, if there is one.
async fn end_of<T>(
    task: Option<impl Future<Output = Result<T, tokio::task::JoinError>>>,
) -> Result<T, tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

fn flatten(ended: Result<Outcome, tokio::task::JoinError>) -> Outcome {
    ended.map_err(Box::from).and_then(|ended| ended)
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| StartError::Listen { address, source })?;
    Ok(Some(listener))
}

fn answer_probes(
    listener: TcpListener,
    health: &Health,
    clients: Option<PortSettings>,
) -> Result<Probes, StartError> {
    let address = listener.local_addr().map_err(StartError::Probes)?;
    let health = health.clone();
    let task =
        tokio::spawn(async move { match rpc::serve_health(health, listener, clients).await {} });
    let task = AbortOnDropHandle::new(task);
    Ok(Probes { address, task })
}

fn tell_metrics(listener: TcpListener, app: &App) -> Result<MetricsPort, StartError> {
    let address = listener.local_addr().map_err(StartError::Probes)?;
    let task = tokio::spawn(rpc::serve_metrics(app.clone(), listener));
    Ok(MetricsPort {
        address,
        _task: AbortOnDropHandle::new(task),
    })
}

/// The same port twice, for two that listen one after the other.
fn share(listener: TcpListener) -> Result<(TcpListener, TcpListener), StartError> {
    let shared = listener.into_std().and_then(|port| {
        let again = TcpListener::from_std(port.try_clone()?)?;
        Ok((TcpListener::from_std(port)?, again))
    });
    shared.map_err(StartError::Probes)
}

/// Gets keys that are published for as long as the task is held.
fn freshen(authentication: &Authentication, interval: Duration) -> Option<AbortOnDropHandle<()>> {
    let tokens = authentication.tokens.as_ref()?;
    let published = tokens.keys.published()?.clone();
    let task = tokio::spawn(published.keep_fresh(interval));
    Some(AbortOnDropHandle::new(task))
}

/// Ends at once where there is nobody to tell.
fn tell_billing(app: &App, upkeep_interval: Duration) -> JoinHandle<()> {
    let (app, interval) = (app.clone(), upkeep_interval.min(BILLING_INTERVAL));
    tokio::spawn(async move { app.keep_telling_billing(interval).await })
}

fn answer_clients(
    listener: TcpListener,
    app: &App,
    settings: PortSettings,
    config: &Config,
) -> Task {
    let app = app.clone();
    let front = config.front.enabled.then(|| wiring::front(config));
    tokio::spawn(async move { rpc::serve(app, listener, settings, front).await })
}

fn tell_start(role: Role, ports: [Option<SocketAddr>; 3], app: &App, config: &Config) {
    let exposures = config.exposures().join(", ");
    if role.answers() && !exposures.is_empty() {
        tracing::warn!(
            exposures,
            "whoever reaches this server may do everything: it asks nobody who he is"
        );
    }
    let database = &config.database;
    let urls = [Some(&database.url), database.listen_url.as_ref()];
    let unverified = urls.into_iter().flatten();
    for host in unverified.filter_map(crate::store::unverified_server) {
        tracing::warn!(
            host,
            "the database's certificate is not checked against its name, so what is sent there could be read or changed: \
             set sslmode=verify-full in its URL (database.url, database.listen_url)"
        );
    }
    let role = role.name();
    let [listening, probed, metered] = ports.map(|port| port.map(|address| address.to_string()));
    let database = config.database.url.redacted();
    let storage = app.storage.place();
    tracing::info!(
        role, listening, probed, metered, database, storage, "started"
    );
}
