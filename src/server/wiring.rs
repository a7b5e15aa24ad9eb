//! What the parts of a server are made of, from the configuration.

mod executor;
mod port;
mod provider;

use std::{net::SocketAddr, time::Duration};

use migration::Serving;

use super::{StartError, schema, stopping::Stages};
use crate::{
    app::{self, Ailment, App, Clock, Health, Receiving, UploadSettings},
    billing::{Billing, Remote, RemoteError, RemoteSettings},
    config::{BillingKind, Config, ExecutorConfig, StorageBackend, host_name},
    domain::{
        Error, IntakeLimits, Keyring, MediaType, Purpose, Retention, UploadLimits, with_causes,
    },
    entity::{feature, template},
    events::Events,
    executor::Spool,
    identity::ApiKeys,
    media::{self, LinkSettings, S3Settings, Storage, StorageSettings},
    memory,
    metrics::Metrics,
    store::{self, Store, report},
    traces::{TraceSettings, Traces, TracesError},
};
use uuid::Uuid;

pub use executor::removal;
pub(super) use executor::{build_executor, open_spool};
use port::server_url;
pub(super) use port::{authentication, front, port, scheme};
use provider::moderation;
pub use provider::{build_providers, fetcher};

/// Installed when the database has no feature yet.
const STARTER_CATALOGUE: &str = include_str!("../../catalogue/starter.toml");
/// How often a watcher looks for itself, should a wake-up be lost.
const WATCH_POLL: Duration = Duration::from_secs(2);

/// The use cases on the configured database and storage, without a server: for commands that are done when they end.
pub async fn open_app(config: &Config) -> Result<App, StartError> {
    let (app, _) = build_app(config, "command", None, false, &Stages::default()).await?;
    Ok(app)
}

/// `part` is what the process is for: its role, or a command.
pub(super) async fn build_app(
    config: &Config,
    part: &str,
    address: Option<SocketAddr>,
    runs_jobs: bool,
    stages: &Stages,
) -> Result<(App, Serving), StartError> {
    // What a database server shows for the connections of this process.
    let name = format!("atelier {part} {}", host_name());
    let preparing = || prepare_schema(config, &name);
    let serving = store::patiently(&config.database, preparing).await?;
    let store = Store::open(&config.database, &name).await?;
    let storage = Storage::open_below(
        &storage_settings(config)?,
        &config.storage.prefix,
        links(config, address)?,
        // Then it is this database's, or was.
        store::media::exist(store.reader())
            .await
            .map_err(StartError::Claim)?,
    )?;
    memory::allow(config.limits.decode_memory);
    let files = fetcher(config)?;
    let app = App::from(app::Parts {
        store,
        storage,
        token_keys: Keyring::new(Purpose::Tokens),
        api_keys: ApiKeys::default(),
        events: Events::default(),
        reads: app::Reads::default(),
        clock: Clock::system(),
        providers: build_providers(config, &files, runs_jobs),
        metrics: Metrics::default(),
        traces: Traces::default(),
        gathering: app::Gathering::default(),
        receiving: Receiving::default(),
        moderation: moderation(config, &files)?,
        links: config.follows_links().then_some(files),
        settings: app::Settings {
            runs_jobs,
            intake: IntakeLimits {
                prompt_chars: config.limits.prompt_chars,
                variations: usize::try_from(config.limits.variations).unwrap_or(usize::MAX),
            },
            max_attempts: i32::try_from(config.executor.max_attempts).unwrap_or(i32::MAX),
            billing: billing(config)?,
            plans: config.plans(),
            retention: retention(config),
            provision_users: config.provisions_users(),
            system_user: config.system_user(),
            total_concurrency: config.executor.total_concurrency,
            users: config.users_table(),
            uploads: uploads(config),
            trend_threshold: i32::try_from(config.trends.threshold).unwrap_or(i32::MAX),
            watch_heartbeat: config.server.watch_heartbeat,
            watch_poll: WATCH_POLL,
            stalled_below: stalled_below(&config.executor),
            url: server_url(config, address)?,
        },
        health: Health::default(),
        draining: stages.draining.clone(),
        stopping: stages.closing.clone(),
    });
    app.read_keys().await.map_err(StartError::Secrets)?;
    Ok((app, serving))
}

/// What is left of a lease whose worker was to renew it two and a half heartbeats after the last time.
fn stalled_below(settings: &ExecutorConfig) -> Duration {
    settings.lease.saturating_sub(settings.heartbeat * 5 / 2)
}

fn billing(config: &Config) -> Result<Billing, RemoteError> {
    let settings = &config.billing;
    Ok(match (settings.kind, &settings.url) {
        (BillingKind::Remote, Some(url)) => Billing::Remote(Remote::new(RemoteSettings {
            url: url.clone(),
            token: settings.token.clone(),
            deadline: settings.deadline,
            accept_unreserved: i64::try_from(settings.accept_unreserved).unwrap_or(i64::MAX),
        })?),
        (BillingKind::Ledger, _) => Billing::Ledger,
        // A service that is not named is refused with the configuration.
        (BillingKind::None | BillingKind::Remote, _) => Billing::Off,
    })
}

/// Where spans go, if they are to go anywhere.
pub(super) fn traces(config: &Config, metrics: &Metrics) -> Result<Traces, TracesError> {
    let settings = config.traces.clone();
    let Some(endpoint) = settings.endpoint else {
        return Ok(Traces::default());
    };
    let settings = TraceSettings {
        endpoint,
        headers: settings.headers,
        one_in: settings.one_in,
        service: settings.service,
        host: host_name(),
        instance: Uuid::new_v4().to_string(),
    };
    Traces::new(&settings, metrics)
}

async fn prepare_schema(config: &Config, name: &str) -> Result<Serving, StartError> {
    let database = store::connect_now(&config.database, name).await?;
    let serving = schema::prepare(&database, config).await;
    // Closed before the pools open, and before others are waited for: a server may have connections to spare for these alone.
    if let Err(error) = database.close().await {
        let error = store::Told::from(error);
        tracing::debug!(%error, "cannot close the connection of the migrations");
    }
    Ok(serving?)
}

/// Finds out whether the storage is there and ours, and fills a database that is new or of an older program. Returns whether
/// it has got the starter catalogue.
pub(super) async fn make_ready(
    app: &App,
    config: &Config,
    spool: Option<&Spool>,
) -> Result<bool, StartError> {
    match app.storage.check().await {
        Ok(()) => {
            if let Err(error) = app.claim_empty_storage().await {
                report(&error, "cannot find out whose the media storage is");
            }
        }
        // It was well before; one that never was is a mistake in the configuration.
        Err(error) if app.storage.is_expected() || spool.is_some_and(|spool| !spool.is_empty()) => {
            tracing::error!(%error, "starting without the media storage");
            let cause = with_causes(&Error::from(error));
            let away = Ailment::StorageAway;
            app.health.note(&[away], Some((away, cause)));
        }
        Err(error) => return Err(error.into()),
    }
    let installed = config.catalogue.install_starter
        && app
            .install_catalogue(STARTER_CATALOGUE)
            .await
            .map_err(StartError::Catalogue)?;
    app.fold_for_search::<feature::Entity>().await;
    app.fold_for_search::<template::Entity>().await;
    Ok(installed)
}

fn links(config: &Config, address: Option<SocketAddr>) -> Result<LinkSettings, StartError> {
    Ok(LinkSettings {
        server_url: server_url(config, address)?,
        public_url: config.storage.public_url.clone(),
        signing_key: config.storage.signing_key.clone(),
        lifetime: config.storage.download_url_ttl,
    })
}

fn limits(config: &Config) -> media::Limits {
    media::Limits {
        max_bytes: config.limits.output_bytes,
        max_pixels: config.limits.output_pixels,
        max_frames: config.limits.output_frames,
        max_length: config.limits.output_duration,
        max_duration: config.limits.decode_time,
    }
}

fn uploads(config: &Config) -> UploadSettings {
    let uploads = &config.uploads;
    let types = match uploads.types.as_slice() {
        [] => vec![MediaType::Image, MediaType::Video, MediaType::Audio],
        some => some.to_vec(),
    };
    UploadSettings {
        limits: UploadLimits {
            file_bytes: uploads.max_bytes,
            files: uploads.max_files,
            bytes: uploads.max_total,
            types,
        },
        reading: media::Limits {
            max_bytes: uploads.max_bytes,
            ..limits(config)
        },
        keeps_location: uploads.keep_location,
        idle: uploads.unused_ttl,
        url_ttl: uploads.url_ttl,
    }
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
            link_endpoint: storage.link_endpoint,
            path_style: storage.path_style,
            access_key_id: storage.access_key_id,
            secret_access_key: storage.secret_access_key,
            session_token: storage.session_token,
        }),
    })
}

fn retention(config: &Config) -> Retention {
    let settings = &config.retention;
    Retention {
        archive_requests: settings.archive_requests,
        purge_jobs: settings.purge_jobs,
        deleted_media: settings.deleted_media,
        idempotency_keys: settings.idempotency_keys,
        purge_requests: settings.purge_requests,
        purge_catalogue: settings.purge_catalogue,
    }
}
