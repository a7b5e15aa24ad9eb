//! Runs jobs in the background: claims what is due, runs each apart from the others, and keeps the house in order.

mod attempt;
mod attempt_error;
mod attempt_outcome;
mod claim_loop;
mod derivations;
mod follow;
mod heartbeat;
mod leases;
mod output_writer;
mod pictures;
mod recover;
mod run;
mod settings;
mod spool;
mod stopwatch;
mod submission;
mod unpark;
mod upkeep;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    app::{App, Crew, Pulse},
    domain::{
        Error,
        job::{Capability, Skill},
    },
    provider::part_of,
    store::{
        queue::{AWAY, Presence},
        report,
    },
};

pub use leases::Leases;
pub use settings::Settings;
pub use spool::Spool;

/// What a worker lacks that operators drain.
const DRAINED: &str = "its worker is drained";

/// The executor's parts. Clones share them.
#[derive(Clone)]
pub struct Executor {
    /// The use cases.
    pub app: App,
    /// How this process works.
    pub settings: Arc<Settings>,
    /// Outputs that the storage does not take yet.
    pub spool: Spool,
    /// Beats with every turn of the claim loop.
    pub pulse: Pulse,
    /// Of the attempts that run.
    pub leases: Leases,
    /// Cancelled, after `App::draining`, when running attempts are to be handed back.
    pub stop: CancellationToken,
    /// Providers that are told to give up tasks of jobs that have ended.
    pub cancellations: TaskTracker,
    /// This process among all of its name.
    pub presence: OwnPresence,
}

/// What makes a process that runs jobs itself, and whether operators drain it. Clones share it.
#[derive(Clone, Debug)]
pub struct OwnPresence {
    instance: Arc<str>,
    is_drained: Arc<AtomicBool>,
    /// Processes that share what all of them may run, this one among them; 0 is this one alone.
    workers: Arc<AtomicU32>,
}

impl OwnPresence {
    /// Of a process that begins.
    pub fn begin() -> Self {
        Self {
            instance: Uuid::new_v4().to_string().into(),
            is_drained: Arc::default(),
            workers: Arc::default(),
        }
    }
}

impl Executor {
    /// Works until `App::draining`, and then until every running job is finished or, from `stop` on, handed back.
    pub async fn run(mut self) {
        let told = std::mem::take(&mut self.stop);
        let worked = CancellationToken::new();
        let work = async {
            tokio::select! {
                () = self.claim_loop(told) => {}
                () = self.watch_leases() => {}
            }
            self.cancellations.close();
            self.cancellations.wait().await;
            worked.cancel();
        };
        tokio::join!(work.boxed(), self.upkeep_loop(), self.count_loop(&worked));
        let (name, instance) = (&self.settings.worker_id, &self.presence.instance);
        if let Err(error) = self.app.forget_worker(name, instance).await {
            report(&error, "cannot say that this worker ends");
        }
    }

    /// Says what this process can run; before clients ask, so that none is told that nobody can.
    pub async fn announce(&self) {
        if let Err(error) = self.say_what_runs().await {
            // The upkeep says it again.
            report(&error, "cannot say what this worker can run");
        }
        // The others have to share with it.
        self.app.tell_workers();
    }

    /// Says that this process is there and what it can run, and hears whether operators drain it.
    async fn say_what_runs(&self) -> Result<(), Error> {
        let is_drained = self.app.note_worker(&self.presence()).await?;
        if self.presence.is_drained.swap(is_drained, Ordering::Relaxed) != is_drained {
            tracing::info!(is_drained, "operators drain this worker, or do no more");
            self.app.events.wake_executor();
        }
        self.share_limits().await?;
        self.app.announce_capabilities(&self.announced()).await
    }

    /// Takes this process's part of what all may run, of a provider and in all.
    async fn share_limits(&self) -> Result<(), Error> {
        let shared: Vec<&str> = self.app.providers.shared().collect();
        if shared.is_empty() && self.settings.total_slots == 0 {
            return Ok(());
        }
        let crew = self.app.crew().await?;
        self.share_slots(&crew);
        for provider in shared {
            let workers = crew.takers(provider)?;
            self.app.providers.share_among(provider, workers);
        }
        Ok(())
    }

    fn share_slots(&self, crew: &Crew) {
        let workers = crew.working();
        if self.presence.workers.swap(workers, Ordering::Relaxed) > workers {
            // There is room that another has left.
            self.app.events.wake_executor();
        }
    }

    /// How many jobs may run here at once now.
    fn slots(&self) -> usize {
        let workers = self.presence.workers.load(Ordering::Relaxed);
        match part_of(self.settings.total_slots, workers) {
            0 => self.settings.slots,
            part => self
                .settings
                .slots
                .min(part.try_into().unwrap_or(usize::MAX)),
        }
    }

    fn presence(&self) -> Presence {
        let Settings {
            worker_id,
            host,
            role,
            slots,
            ..
        } = &*self.settings;
        let skill = |(Capability { provider, category }, ready): (_, Result<(), String>)| Skill {
            provider,
            category,
            missing: ready.err(),
        };
        Presence {
            name: worker_id.clone(),
            instance: self.presence.instance.to_string(),
            host: host.clone(),
            role: (*role).to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: self.able().into_iter().map(skill).collect(),
            slots: i32::try_from(*slots).unwrap_or(i32::MAX),
        }
    }

    /// Whether operators have this process take no jobs.
    fn is_drained(&self) -> bool {
        self.presence.is_drained.load(Ordering::Relaxed)
    }

    /// What this process runs now, and why it does not run the rest of what it has.
    fn announced(&self) -> Vec<(Capability, Result<(), String>)> {
        let mut able = self.able();
        if self.is_drained() {
            for (_, ready) in &mut able {
                *ready = Err(DRAINED.to_owned());
            }
        }
        able
    }

    /// The same, were it not drained.
    fn able(&self) -> Vec<(Capability, Result<(), String>)> {
        let mut capabilities = self.capabilities();
        for (Capability { provider, .. }, ready) in &mut capabilities {
            if ready.is_ok() && self.app.providers.is_away(provider) {
                *ready = Err(AWAY.to_owned());
            }
        }
        capabilities
    }

    /// What this process can run now, and what it could if it did not lack something.
    fn capabilities(&self) -> Vec<(Capability, Result<(), String>)> {
        self.app.providers.capabilities(&self.settings.categories)
    }
}
