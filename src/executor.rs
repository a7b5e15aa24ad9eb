//! Runs jobs in the background: claims what is due, runs each apart from the others, and keeps the house in order.

mod attempt;
mod attempt_error;
mod attempt_outcome;
mod claim_loop;
mod derivations;
mod follow;
mod heartbeat;
mod output_writer;
mod pauses;
mod pictures;
mod recover;
mod run;
mod settings;
mod spool;
mod stopwatch;
mod submission;
mod upkeep;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, Pulse},
    domain::job::Capability,
    store::{queue::AWAY, report},
};

pub use settings::Settings;
pub use spool::Spool;

/// The executor's parts. Clones share them.
#[derive(Clone)]
pub struct Executor {
    /// The use cases.
    pub app: App,
    /// How this process works.
    pub settings: Settings,
    /// Outputs that the storage does not take yet.
    pub spool: Spool,
    /// Beats with every turn of the claim loop.
    pub pulse: Pulse,
    /// Cancelled, after `App::draining`, when running attempts are to be handed back.
    pub stop: CancellationToken,
    /// Providers that are told to give up tasks of jobs that have ended.
    pub cancellations: TaskTracker,
}

impl Executor {
    /// Works until `App::draining`, and then until every running job is finished or, from `stop` on, handed back.
    pub async fn run(mut self) {
        let told = std::mem::take(&mut self.stop);
        let worked = CancellationToken::new();
        let work = async {
            self.claim_loop(told).await;
            self.cancellations.close();
            self.cancellations.wait().await;
            worked.cancel();
        };
        tokio::join!(work, self.upkeep_loop(), self.count_loop(&worked));
    }

    /// Says what this process can run; before clients ask, so that none is told that nobody can.
    pub async fn announce(&self) {
        if let Err(error) = self.app.announce_capabilities(&self.announced()).await {
            // The upkeep says it again.
            report(&error, "cannot say what this worker can run");
        }
    }

    /// What this process runs now, and why it does not run the rest of what it has.
    fn announced(&self) -> Vec<(Capability, Result<(), String>)> {
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
