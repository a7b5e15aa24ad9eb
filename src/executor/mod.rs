//! Runs jobs in the background: claims what is due, runs each apart from the others, and keeps the house in order.

mod attempt;
mod claim_loop;
mod derivations;
mod failure;
mod heartbeat;
mod ingest;
mod recover;
mod run;
mod spool;
mod stopwatch;
mod upkeep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Pulse, Removal},
    domain::{MediaType, job::Capability},
    media::Limits,
    store::report,
};

pub use spool::Spool;

/// How this process works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this process in the jobs' rows.
    pub worker_id: String,
    /// Jobs that run at once.
    pub slots: usize,
    /// Types of media that it makes.
    pub categories: Vec<MediaType>,
    /// How long a job waits while no worker can run it.
    pub unclaimed_timeout: Duration,
    /// How often to look for work that no wake-up announced.
    pub poll_interval: Duration,
    /// How long a job stays with a worker that has gone silent.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub heartbeat: Duration,
    /// Longest duration of an attempt.
    pub job_timeout: Duration,
    /// How long attempts that are handed back get to stop.
    pub stopping_time: Duration,
    pub upkeep_interval: Duration,
    /// What may be removed from the storage.
    pub removal: Removal,
    /// How often a storage that failed is asked whether it is back.
    pub probe_interval: Duration,
    /// How often templates' counters and trends are brought up to date.
    pub fold_interval: Duration,
    /// Bounds of what a provider may deliver.
    pub limits: Limits,
    /// How long converting one output to another format may take.
    pub conversion_time: Duration,
}

/// The executor's parts. Clones share them.
#[derive(Clone)]
pub struct Executor {
    pub app: App,
    pub settings: Settings,
    /// Outputs that the storage does not take yet.
    pub spool: Spool,
    /// Beats with every turn of the claim loop.
    pub pulse: Pulse,
    /// Cancelled, after `App::draining`, when running attempts are to be handed back.
    pub stop: CancellationToken,
}

impl Executor {
    /// Works until `App::draining`, and then until every running job is finished or, from `stop` on, handed back.
    pub async fn run(mut self) {
        let told = std::mem::take(&mut self.stop);
        tokio::join!(self.claim_loop(told), self.upkeep_loop());
    }

    /// Says what this process can run; before clients ask, so that none is told that nobody can.
    pub async fn announce(&self) {
        if let Err(error) = self.app.announce_capabilities(&self.capabilities()).await {
            // The upkeep says it again.
            report(&error, "cannot say what this worker can run");
        }
    }

    /// What this process can run now, and what it could if it did not lack something.
    fn capabilities(&self) -> Vec<(Capability, Result<(), String>)> {
        self.app.providers.capabilities(&self.settings.categories)
    }
}
