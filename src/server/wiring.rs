//! What the parts of a server are made of, from the configuration.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use migration::Serving;
use url::Url;

use super::{
    StartError, schema,
    stopping::{Stages, stopping_time},
};
use crate::{
    app::{
        self, Ailment, App, Clock, Health, Pulse, Receiving, Removal, RemovalMode, UploadSettings,
    },
    billing::{Billing, Remote, RemoteError, RemoteSettings},
    config::{
        BillingKind, Config, ExecutorConfig, FetchConfig, ModerationKind, ProviderConfig,
        StorageBackend, StorageRemoval, host_name,
    },
    domain::{
        AddressRules, Error, IntakeLimits, Keyring, MediaType, Purpose, Retention, UploadLimits,
        sha256_hex, with_causes,
    },
    entity::{feature, template},
    events::Events,
    executor::{self, Executor, Leases, OwnPresence, Spool},
    identity::{
        ApiKeys, Authentication, Certificates, Keys, KeysError, Pace, PublishedKeys, Tokens,
    },
    media::{self, LinkSettings, S3Settings, Storage, StorageSettings},
    memory,
    metrics::Metrics,
    provider::{
        Moderation, ModerationService, Registry, WordList,
        builtin::Builtin,
        comfyui::ComfyUi,
        exec::Exec,
        fetch::{FetchLimits, Fetcher},
        openai::OpenAi,
        scripted::Scripted,
        sdapi::SdApi,
        task::TaskService,
        voice::Voice,
    },
    rpc::{
        AccessSettings, Bounds, FrontSettings, PortSettings, RateSettings, Tls, TlsError,
        TlsSettings,
    },
    store::{self, Store, report},
    traces::{TraceSettings, Traces, TracesError},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

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

fn moderation(config: &Config, files: &Fetcher) -> Result<Moderation, StartError> {
    let settings = &config.moderation;
    Ok(match (settings.kind, &settings.words) {
        (ModerationKind::Words, Some(file)) => Moderation::Words(Arc::new(WordList::read(file)?)),
        (ModerationKind::OpenAi, _) => {
            Moderation::Service(Arc::new(ModerationService::new(settings, files)?))
        }
        // A list without a file is refused with the configuration.
        (ModerationKind::None | ModerationKind::Words, _) => Moderation::Off,
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

fn server_url(config: &Config, address: Option<SocketAddr>) -> Result<Url, StartError> {
    let address = address.unwrap_or(config.server.listen);
    Ok(match &config.server.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("{}://{address}", scheme(config)))?,
    })
}

pub(super) fn front(config: &Config) -> FrontSettings {
    FrontSettings {
        user: config.front.user.and_then(|id| i64::try_from(id).ok()),
        wait: config.front.wait,
        limits: limits(config),
    }
}

/// How the clients' port is spoken to.
pub(super) fn scheme(config: &Config) -> &'static str {
    match config.tls.certificate {
        Some(_) => "https",
        None => "http",
    }
}

/// What finds out who calls.
pub(super) fn authentication(config: &Config) -> Result<Authentication, KeysError> {
    let auth = &config.auth;
    let mut authentication = Authentication {
        tokens: None,
        api_keys: auth.api_keys,
        certificates: Certificates::new(auth.certificates.clone()),
    };
    if !config.takes_tokens() {
        return Ok(authentication);
    }
    let pace = Pace {
        pause: auth.jwks_pause,
        keep: auth.jwks_keep,
    };
    let published = auth.jwks_url.clone();
    let published = published.map(|url| PublishedKeys::new(url, pace));
    let keys = Keys::new(
        auth.secret.as_ref(),
        auth.keys_file.as_ref(),
        published.transpose()?,
    )?;
    authentication.tokens = Some(Tokens {
        keys,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        skew: auth.clock_skew,
    });
    Ok(authentication)
}

pub(super) fn port(
    config: &Config,
    authentication: Authentication,
) -> Result<PortSettings, TlsError> {
    let server = &config.server;
    Ok(PortSettings {
        access: AccessSettings {
            allowed_hosts: server.allowed_hosts.clone(),
            public_url: server.public_url.clone(),
            origins: server.cors_origins.clone(),
        },
        authentication,
        connections: Bounds {
            in_all: server.max_connections,
            per_peer: server.max_connections_per_peer,
        },
        watches: Bounds {
            in_all: server.max_watches,
            per_peer: server.max_watches_per_peer,
        },
        rates: rates(config),
        tls: tls(config).map(Tls::load).transpose()?,
    })
}

/// 0 sets no limit.
fn rates(config: &Config) -> RateSettings {
    let rates = &config.rates;
    RateSettings {
        reads: NonZeroU32::new(rates.reads),
        writes: NonZeroU32::new(rates.writes),
        admin: NonZeroU32::new(rates.admin),
    }
}

/// One file without the other is refused with the configuration.
fn tls(config: &Config) -> Option<TlsSettings> {
    let tls = &config.tls;
    Some(TlsSettings {
        certificate: tls.certificate.clone()?,
        key: tls.key.clone()?,
        client_ca: tls.client_ca.clone(),
        reload_interval: tls.reload_interval,
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

/// Gets files from where the rules permit, of the size that a link of a request may lead to.
pub fn fetcher(config: &Config) -> Result<Fetcher, StartError> {
    let FetchConfig {
        allow,
        deny,
        max_bytes,
        timeout,
        ..
    } = config.fetch.clone();
    let limits = FetchLimits {
        bytes: max_bytes,
        time: timeout,
    };
    Ok(Fetcher::new(AddressRules { allow, deny }, limits)?)
}

/// The provider that speaks in clips.
const VOICE: &str = "voice";

/// What this configuration makes media with. `files` gets what services answer with, of the size that an output may have.
pub fn build_providers(config: &Config, files: &Fetcher, runs_jobs: bool) -> Registry {
    let files = &files.clone().up_to(config.limits.output_bytes);
    let mut providers = Registry::default();
    for (key, provider) in &config.providers {
        let name = key.clone();
        providers = match provider.clone() {
            ProviderConfig::Exec(exec) => {
                providers.with(Exec::new(name, exec, config.supervisor.clone()))
            }
            ProviderConfig::OpenAi(openai) => providers.with(OpenAi::new(name, openai, files)),
            ProviderConfig::Task(task) => {
                let now = || Clock::system().now().timestamp();
                providers.with(TaskService::new(name, task, files, now))
            }
            ProviderConfig::ComfyUi(comfyui) => providers.with(ComfyUi::new(name, comfyui, files)),
            ProviderConfig::SdApi(sdapi) => providers.with(SdApi::new(name, sdapi, files)),
            ProviderConfig::Voice(voice) => {
                let command = |name: &str| match config.providers.get(name) {
                    Some(ProviderConfig::Exec(exec)) => Some(exec),
                    _ => None,
                };
                providers.with(Voice::new(name, voice, command, config.supervisor.clone()))
            }
            ProviderConfig::Scripted(scripted) => providers.with(Scripted::new(name, scripted)),
        }
        .limited(key, provider.limits());
    }
    let time = config.limits.conversion_time;
    let voice = providers.get(VOICE);
    // What has a price is not called on the side.
    let voice = voice.filter(|voice| voice.makes(MediaType::Audio) && voice.may_resubmit());
    let providers = providers.with(Builtin::new(time, config.supervisor.clone(), voice));
    if runs_jobs {
        for (provider, missing) in providers.missing() {
            tracing::info!(provider, %missing, "a provider is not ready");
        }
    }
    match config.executor.providers.as_slice() {
        [] => providers,
        only => providers.only(only),
    }
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
pub(super) fn open_spool(config: &Config) -> Result<Spool, StartError> {
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

pub(super) fn build_executor(
    config: &Config,
    app: &App,
    spool: Spool,
    (role, pulse): (&'static str, Pulse),
    stages: &Stages,
) -> Executor {
    let settings = &config.executor;
    Executor {
        app: app.clone(),
        settings: Arc::new(executor::Settings {
            worker_id: settings.name_worker(),
            host: host_name(),
            role,
            slots: settings.slots(),
            total_slots: settings.total_concurrency,
            categories: settings.categories(),
            unclaimed_timeout: settings.unclaimed_timeout,
            poll_interval: settings.poll_interval,
            aging: settings.aging,
            lease: settings.lease,
            heartbeat: settings.heartbeat,
            job_timeout: settings.job_timeout,
            stopping_time: stopping_time(config.server.shutdown_grace),
            upkeep_interval: settings.upkeep_interval,
            removal: removal(config),
            probe_interval: config.storage.probe_interval,
            fold_interval: config.trends.fold_interval,
            retention_interval: config.retention.interval,
            limits: limits(config),
            conversion_time: config.limits.conversion_time,
        }),
        spool,
        pulse,
        leases: Leases::default(),
        stop: stages.handing_back.clone(),
        cancellations: TaskTracker::new(),
        presence: OwnPresence::begin(),
    }
}
