//! The composition root: builds every part from the configuration and runs them together. The program and the tests start
//! the same server.

mod health;
mod schema;
mod stopping;

use std::{net::SocketAddr, time::Duration};

use migration::Serving;

use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::server::TcpIncoming;
use url::Url;

use crate::{
    app::{self, App, Clock, Health, Pulse, Removal, RemovalMode},
    config::{Config, StorageBackend, StorageRemoval, host_name},
    domain::{Error, IntakeLimits, sha256_hex, with_causes},
    entity::{feature, template},
    events::Events,
    executor::{self, Executor, Spool},
    media::{self, LinkSettings, S3Settings, Storage, StorageError, StorageSettings},
    provider::{Provider, Registry, builtin::Builtin, exec::Exec, scripted::Scripted},
    rpc,
    store::{self, ConnectError, Store},
};

pub use schema::{SchemaError, migrator};
use stopping::{Pace, Stages, stopping_time};

/// Installed when the database has no feature yet.
const STARTER_CATALOGUE: &str = include_str!("../catalogue/starter.toml");
/// How often a watcher looks for itself, should a wake-up be lost.
const WATCH_POLL: Duration = Duration::from_secs(2);

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
    #[error("cannot tell where probes are answered")]
    Probes(#[source] std::io::Error),
    /// Links to media of the file storage begin with that address.
    #[error("the server's address does not make a URL")]
    Url(#[from] url::ParseError),
}

/// Why a running server ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the server broke down")]
pub struct Breakdown(#[source] Box<dyn std::error::Error + Send + Sync>);

type Task = JoinHandle<Result<(), Box<dyn std::error::Error + Send + Sync>>>;

/// A running server.
pub struct Server {
    address: Option<SocketAddr>,
    app: App,
    stages: Stages,
    pace: Pace,
    api: Option<Task>,
    executor: Option<JoinHandle<()>>,
    relay: JoinHandle<()>,
    health: JoinHandle<()>,
    probes: Option<Probes>,
    /// Keeps the schema from being taken back.
    _serving: Serving,
}

/// What answers probes beside the port of the clients, if it is to.
struct Probes {
    address: SocketAddr,
    task: Task,
}

impl Server {
    /// Starts the parts of `role`. When it returns, clients can connect.
    pub async fn start(config: Config, role: Role) -> Result<Self, StartError> {
        let listener = match role {
            Role::All | Role::Api => Some(listen(config.server.listen).await?),
            Role::Worker => None,
        };
        let probe_listener = match config.health.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let stages = Stages::default();
        let name = application_name(role.name());
        let (mut app, serving) = build_app(&config, &name, address, &stages).await?;
        if role != Role::Api {
            app.providers = build_providers(&config);
        }
        let spool = match role {
            Role::All | Role::Worker => Some(open_spool(&config)?),
            Role::Api => None,
        };
        match app.storage.check().await {
            Ok(()) => app.claim_empty_storage().await.map_err(StartError::Claim)?,
            // A worker that holds outputs was well before the storage went away, and goes on waiting for it.
            Err(error) if spool.as_ref().is_some_and(|spool| !spool.is_empty()) => {
                tracing::error!(%error, "starting without the media storage, for outputs wait for it");
            }
            Err(error) => return Err(error.into()),
        }
        if config.catalogue.install_starter {
            app.install_catalogue(STARTER_CATALOGUE)
                .await
                .map_err(StartError::Catalogue)?;
        }
        app.fold_for_search::<feature::Entity>().await;
        app.fold_for_search::<template::Entity>().await;

        let database = config.database.url.redacted();
        let storage = app.storage.place().to_owned();
        let pulse = (role != Role::Api).then(Pulse::start);
        health::look(&app, pulse.as_ref()).await;
        let health = tokio::spawn(health::watch(app.clone(), pulse.clone()));
        let probes = match probe_listener {
            Some(listener) => Some(answer_probes(listener, &app)?),
            None => None,
        };
        let executor = pulse
            .clone()
            .zip(spool)
            .map(|(pulse, spool)| build_executor(&config, &app, spool, pulse, &stages));
        if let Some(executor) = &executor {
            executor.announce().await;
        }
        let executor = executor.map(|executor| tokio::spawn(executor.run()));
        let (events, store) = (app.events.clone(), app.store.clone());
        let relay = tokio::spawn(async move { events.relay(&store).await });
        let served = app.clone();
        let origins = config.server.cors_origins.clone();
        let api = listener.map(|listener| {
            tokio::spawn(async move {
                rpc::serve(
                    served,
                    TcpIncoming::from(listener).with_nodelay(Some(true)),
                    &origins,
                )
                .await
            })
        });
        let listening = address.map(|address| address.to_string());
        let probed = probes.as_ref().map(|probes| probes.address.to_string());
        let role = role.name();
        tracing::info!(role, listening, probed, database, storage, "started");
        Ok(Self {
            address,
            app,
            stages,
            pace: Pace::graceful(config.server.shutdown_delay, config.server.shutdown_grace),
            api,
            executor,
            relay,
            health,
            probes,
            _serving: serving,
        })
    }

    /// The use cases that this server offers, on its own connections.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Where clients connect; `None` for a worker.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where clients connect, as a URL; `None` for a worker.
    pub fn url(&self) -> Option<String> {
        self.address.map(|address| format!("http://{address}"))
    }

    /// Where probes are answered beside the clients' port, if they are.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(|probes| probes.address)
    }

    /// Waits until the server ends by itself, which it does only when it breaks down.
    pub async fn stopped(&mut self) -> Result<(), Breakdown> {
        let api = async {
            match self.api.as_mut() {
                Some(api) => flatten(api.await),
                None => std::future::pending().await,
            }
        };
        let executor = async {
            match self.executor.as_mut() {
                Some(executor) => executor.await.map_err(Into::into),
                None => std::future::pending().await,
            }
        };
        let probes = async {
            match self.probes.as_mut() {
                Some(probes) => flatten((&mut probes.task).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = probes => ended.map_err(Breakdown),
            ended = api => ended.map_err(Breakdown),
            ended = executor => ended.map_err(Breakdown),
        }
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

fn flatten(
    ended: Result<Result<(), Box<dyn std::error::Error + Send + Sync>>, tokio::task::JoinError>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ended.map_err(Box::from).and_then(|ended| ended)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn answer_probes(listener: TcpListener, app: &App) -> Result<Probes, StartError> {
    let address = listener.local_addr().map_err(StartError::Probes)?;
    let (health, incoming) = (app.health.clone(), TcpIncoming::from(listener));
    let task = tokio::spawn(rpc::serve_health(health, incoming));
    Ok(Probes { address, task })
}

/// The use cases on the configured database and storage, without a server: for commands that are done when they end.
pub async fn open_app(config: &Config) -> Result<App, StartError> {
    let name = application_name("command");
    let (app, _) = build_app(config, &name, None, &Stages::default()).await?;
    Ok(app)
}

/// What a database server shows for the connections of this process.
fn application_name(part: &str) -> String {
    format!("atelier {part} {}", host_name())
}

async fn build_app(
    config: &Config,
    name: &str,
    address: Option<SocketAddr>,
    stages: &Stages,
) -> Result<(App, Serving), StartError> {
    let database = store::connect(&config.database, name).await?;
    let serving = schema::prepare(&database, config).await?;
    // Closed before the pools open: a server may have connections to spare for these alone.
    if let Err(error) = database.close().await {
        tracing::debug!(%error, "cannot close the connection of the migrations");
    }
    let store = Store::open(&config.database, name).await?;
    let storage = Storage::open_below(
        &storage_settings(config)?,
        &config.storage.prefix,
        links(config, address)?,
    )?;
    let app = App {
        store,
        storage,
        events: Events::default(),
        clock: Clock::system(),
        providers: Registry::default(),
        settings: app::Settings {
            intake: IntakeLimits {
                prompt_chars: config.limits.prompt_chars,
                variations: usize::try_from(config.limits.variations).unwrap_or(usize::MAX),
            },
            max_attempts: i32::try_from(config.executor.max_attempts).unwrap_or(i32::MAX),
            provision_users: config.provisions_users(),
            users: config.users_table(),
            trend_threshold: i32::try_from(config.trends.threshold).unwrap_or(i32::MAX),
            watch_heartbeat: config.server.watch_heartbeat,
            watch_poll: WATCH_POLL,
        },
        health: Health::default(),
        draining: stages.draining.clone(),
        stopping: stages.closing.clone(),
    };
    Ok((app, serving))
}

fn links(config: &Config, address: Option<SocketAddr>) -> Result<LinkSettings, StartError> {
    let address = address.unwrap_or(config.server.listen);
    let server_url = match &config.server.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("http://{address}"))?,
    };
    Ok(LinkSettings {
        server_url,
        public_url: config.storage.public_url.clone(),
        signing_key: config.storage.signing_key.clone(),
        lifetime: config.storage.download_url_ttl,
    })
}

fn storage_settings(config: &Config) -> Result<StorageSettings, StartError> {
    let storage = config.storage.clone();
    Ok(match storage.backend {
        StorageBackend::Local => StorageSettings::Local {
            folder: storage.folder,
        },
        StorageBackend::S3 => StorageSettings::S3(S3Settings {
            bucket: storage.bucket.unwrap_or_default(),
            region: storage.region,
            endpoint: storage.endpoint,
            path_style: storage.path_style,
            access_key_id: storage.access_key_id,
            secret_access_key: storage.secret_access_key,
            session_token: storage.session_token,
        }),
    })
}

fn build_providers(config: &Config) -> Registry {
    let mut providers = Registry::default().with(Builtin);
    if config.providers.scripted {
        providers = providers.with(Scripted);
    }
    let supervisor = &config.exec.supervisor;
    for (name, command) in &config.exec.commands {
        let exec = Exec::new(name.clone(), command.clone(), supervisor.clone());
        if let Err(missing) = exec.ready() {
            tracing::info!(provider = name, missing, "a provider is not ready");
        }
        providers = providers.with(exec);
    }
    match config.executor.providers.as_slice() {
        [] => providers,
        only => providers.only(only),
    }
}

/// What upkeep may remove from the storage by itself.
pub fn removal(config: &Config) -> Removal {
    Removal {
        age: config.executor.orphan_age,
        mode: match config.storage.removal {
            StorageRemoval::On => RemovalMode::On,
            StorageRemoval::DryRun => RemovalMode::DryRun,
            StorageRemoval::Off => RemovalMode::Off,
        },
        share: Some(config.storage.removal_share),
    }
}

/// A folder for each database: the keys of one are nothing to another.
fn open_spool(config: &Config) -> Result<Spool, StartError> {
    let database = sha256_hex(config.database.url.redacted().as_bytes());
    let folder = config.executor.spool_folder.join(&database[..16]);
    let opened = Spool::open(
        &folder,
        config.executor.spool_bytes,
        config.limits.output_bytes,
    );
    opened.map_err(|source| StartError::Spool {
        folder: folder.display().to_string(),
        source,
    })
}

fn build_executor(
    config: &Config,
    app: &App,
    spool: Spool,
    pulse: Pulse,
    stages: &Stages,
) -> Executor {
    let settings = &config.executor;
    Executor {
        app: app.clone(),
        settings: executor::Settings {
            worker_id: settings.name_worker(),
            slots: settings.slots(),
            categories: settings.categories(),
            unclaimed_timeout: settings.unclaimed_timeout,
            poll_interval: settings.poll_interval,
            lease: settings.lease,
            heartbeat: settings.heartbeat,
            job_timeout: settings.job_timeout,
            stopping_time: stopping_time(config.server.shutdown_grace),
            upkeep_interval: settings.upkeep_interval,
            removal: removal(config),
            probe_interval: config.storage.probe_interval,
            fold_interval: config.trends.fold_interval,
            limits: media::Limits {
                max_bytes: config.limits.output_bytes,
                max_pixels: config.limits.output_pixels,
                max_frames: config.limits.output_frames,
                max_length: config.limits.output_duration,
                max_duration: config.limits.decode_time,
            },
            conversion_time: config.limits.conversion_time,
        },
        spool,
        pulse,
        stop: stages.handing_back.clone(),
    }
}
