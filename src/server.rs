//! The composition root: builds every part from the configuration and runs them together. The program and the tests start
//! the same server.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use url::Url;

use crate::{
    app::{self, App, Clock, Pulse},
    config::{Config, StorageBackend},
    domain::{Error, IntakeLimits, with_causes},
    events::Events,
    executor::{self, Executor},
    media::{self, LinkSettings, S3Settings, Storage, StorageError, StorageSettings},
    provider::{Provider, Registry, builtin::Builtin, exec::Exec, scripted::Scripted},
    rpc,
    store::{ConnectError, Store},
};

/// Installed when the database has no feature yet.
const STARTER_CATALOGUE: &str = include_str!("../catalogue/starter.toml");
/// How often a watcher looks for itself, should a wake-up be lost.
const WATCH_POLL: Duration = Duration::from_secs(2);

/// Which parts run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
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
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot bring the database's schema up to date")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the database's schema is not up to date: run `atelier migrate up`, or set database.migrate_on_start"
    )]
    OutdatedSchema,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("cannot install the starter catalogue")]
    Catalogue(#[source] Error),
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
    store: Store,
    stop: CancellationToken,
    api: Option<Task>,
    executor: Option<JoinHandle<()>>,
    relay: JoinHandle<()>,
}

impl Server {
    /// Starts the parts of `role`. When it returns, clients can connect.
    pub async fn start(config: Config, role: Role) -> Result<Self, StartError> {
        let listener = match role {
            Role::All | Role::Api => Some(listen(config.server.listen).await?),
            Role::Worker => None,
        };
        let address = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let stop = CancellationToken::new();
        let mut app = build_app(&config, address, stop.clone()).await?;
        if role != Role::Api {
            app.providers = build_providers(&config);
        }
        app.storage.check().await?;
        if config.catalogue.install_starter {
            app.install_catalogue(STARTER_CATALOGUE)
                .await
                .map_err(StartError::Catalogue)?;
        }

        let pulse = (role != Role::Api).then(Pulse::start);
        let executor = pulse
            .clone()
            .map(|pulse| tokio::spawn(build_executor(&config, &app, pulse, &stop).run()));
        let (events, store) = (app.events.clone(), app.store.clone());
        let relay = tokio::spawn(async move { events.relay(&store).await });
        let store = app.store.clone();
        let origins = config.server.cors_origins.clone();
        let api = listener.map(|listener| {
            tokio::spawn(async move {
                rpc::serve(
                    app,
                    TcpIncoming::from(listener).with_nodelay(Some(true)),
                    &origins,
                    pulse,
                )
                .await
            })
        });
        let listening = address.map(|address| address.to_string());
        tracing::info!(role = role.name(), listening, "started");
        Ok(Self {
            address,
            store,
            stop,
            api,
            executor,
            relay,
        })
    }

    /// Where clients connect; `None` for a worker.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where clients connect, as a URL; `None` for a worker.
    pub fn url(&self) -> Option<String> {
        self.address.map(|address| format!("http://{address}"))
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
        tokio::select! {
            ended = api => ended.map_err(Breakdown),
            ended = executor => ended.map_err(Breakdown),
        }
    }

    /// Stops accepting, ends streams, hands running jobs back; what has not ended after `grace` is cut off.
    pub async fn shutdown(mut self, grace: Duration) {
        tracing::info!("shutting down");
        self.stop.cancel();
        let ended = async {
            // One that has ended by itself has been waited for already.
            if let Some(executor) = self.executor.as_mut().filter(|task| !task.is_finished()) {
                let _ = executor.await;
            }
            if let Some(api) = self.api.as_mut().filter(|task| !task.is_finished()) {
                let _ = api.await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
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
        if let Err(error) = self.store.close().await {
            tracing::warn!(error = with_causes(&error), "cannot close the database");
        }
    }

    fn abort(&self) {
        self.stop.cancel();
        self.relay.abort();
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

/// The use cases on the configured database and storage, without a server: for commands that are done when they end.
pub async fn open_app(config: &Config) -> Result<App, StartError> {
    build_app(config, None, CancellationToken::new()).await
}

async fn build_app(
    config: &Config,
    address: Option<SocketAddr>,
    stopping: CancellationToken,
) -> Result<App, StartError> {
    let store = Store::open(&config.database).await?;
    if config.database.migrate_on_start {
        migration::up(store.writer(), None)
            .await
            .map_err(|error| StartError::Migrate(error.into()))?;
    } else {
        let status = migration::status(store.reader()).await;
        let status = status.map_err(|error| StartError::Migrate(error.into()))?;
        if status.iter().any(|(_, applied)| !applied) {
            return Err(StartError::OutdatedSchema);
        }
    }
    let storage = Storage::open(&storage_settings(config)?, links(config, address)?)?;
    Ok(App {
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
            trend_threshold: i32::try_from(config.trends.threshold).unwrap_or(i32::MAX),
            watch_heartbeat: config.server.watch_heartbeat,
            watch_poll: WATCH_POLL,
        },
        stopping,
    })
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

fn build_executor(config: &Config, app: &App, pulse: Pulse, stop: &CancellationToken) -> Executor {
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
            // The rest of the grace is for recording how the attempts ended.
            stopping_time: config.server.shutdown_grace.mul_f64(0.8),
            upkeep_interval: settings.upkeep_interval,
            orphan_age: settings.orphan_age,
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
        pulse,
        stop: stop.clone(),
    }
}
