//! What runs jobs, and keeps the house in order.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::{
    app::{App, Pulse, Removal, RemovalMode},
    config::{Config, StorageRemoval, host_name},
    domain::sha256_hex,
    executor::{Executor, Leases, OwnPresence, Settings, Spool},
    server::{
        StartError,
        stopping::{Stages, stopping_time},
    },
};

use super::limits;

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
pub(in crate::server) fn open_spool(config: &Config) -> Result<Spool, StartError> {
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

pub(in crate::server) fn build_executor(
    config: &Config,
    app: &App,
    spool: Spool,
    (role, pulse): (&'static str, Pulse),
    stages: &Stages,
) -> Executor {
    let settings = &config.executor;
    Executor {
        app: app.clone(),
        settings: Arc::new(Settings {
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
