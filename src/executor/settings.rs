//! The part of the configuration that the executor works by.

use std::time::Duration;

use crate::{app::Removal, domain::MediaType, media::Limits};

/// How this process works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this process in the jobs' rows.
    pub worker_id: String,
    /// Name of the machine.
    pub host: String,
    /// What this process is for: `worker`, or `all` where it answers clients too.
    pub role: &'static str,
    /// Jobs that run at once.
    pub slots: usize,
    /// Jobs that run at once in all workers together; 0: as many as each lets.
    pub total_slots: u32,
    /// Types of media that it makes.
    pub categories: Vec<MediaType>,
    /// How long a job waits while no worker can run it.
    pub unclaimed_timeout: Duration,
    /// How often to look for work that no wake-up announced.
    pub poll_interval: Duration,
    /// Of how many jobs taken one is of the priority whose next job is the oldest; 0: none.
    pub aging: u32,
    /// How long a job stays with a worker that has gone silent.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub heartbeat: Duration,
    /// Longest duration of an attempt.
    pub job_timeout: Duration,
    /// How long attempts that are handed back get to stop.
    pub stopping_time: Duration,
    /// How often jobs of lost workers are looked for.
    pub upkeep_interval: Duration,
    /// What may be removed from the storage.
    pub removal: Removal,
    /// How often a storage that failed is asked whether it is back.
    pub probe_interval: Duration,
    /// How often templates' counters and trends are brought up to date.
    pub fold_interval: Duration,
    /// How often it is looked for what is kept no longer.
    pub retention_interval: Duration,
    /// Bounds of what a provider may deliver.
    pub limits: Limits,
    /// How long converting one output to another format may take.
    pub conversion_time: Duration,
}
