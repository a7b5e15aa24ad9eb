//! Keeps the slots of this worker filled until the server drains, and then sees to the end of what runs.

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{domain::Error, store::Trouble};

use super::Executor;

impl Executor {
    /// Takes jobs as slots become free. Wakes up for announced work, for a finished job, and at the poll interval.
    /// Ends when nothing runs any more; what runs is stopped once `told` says so.
    pub(super) async fn claim_loop(&self, told: CancellationToken) {
        let mut running = JoinSet::new();
        let mut trouble = Trouble::new("cannot claim jobs");
        self.resume_spooled(&mut running).await;
        while !self.app.draining.is_cancelled() {
            self.pulse.beat();
            self.fill_slots(&mut running, &mut trouble).await;
            let full = running.len() >= self.settings.slots;
            tokio::select! {
                () = self.app.draining.cancelled() => {}
                Some(finished) = running.join_next() => log_crash(finished),
                () = self.app.events.work(), if !full => {}
                () = tokio::time::sleep(self.settings.poll_interval) => {}
            }
        }
        // Not before: a claim under way would take again what is handed back.
        let stop_the_rest = async {
            told.cancelled().await;
            self.stop.cancel();
            std::future::pending::<()>().await;
        };
        let ended = async {
            while let Some(finished) = running.join_next().await {
                log_crash(finished);
            }
        };
        tokio::select! {
            () = ended => {}
            () = stop_the_rest => {}
        }
    }

    async fn fill_slots(&self, running: &mut JoinSet<()>, trouble: &mut Trouble) {
        while let Some(finished) = running.try_join_next() {
            log_crash(finished);
        }
        let free =
            u32::try_from(self.settings.slots.saturating_sub(running.len())).unwrap_or(u32::MAX);
        // What would be made now could not be stored.
        if free == 0 || self.app.storage.is_away() || self.spool.is_full() {
            return;
        }
        let capabilities = self.capabilities().into_iter();
        let ready =
            capabilities.filter_map(|(capability, ready)| ready.is_ok().then_some(capability));
        let ready: Vec<_> = ready.collect();
        let asked = Instant::now();
        let (worker_id, lease) = (&self.settings.worker_id, self.settings.lease);
        let claimed = self.app.claim_jobs(worker_id, free, lease, &ready).await;
        if matches!(claimed, Err(Error::ShuttingDown)) {
            return;
        }
        for job in trouble.pass(claimed).unwrap_or_default() {
            running.spawn(self.clone().run_job(job, asked));
        }
    }
}

/// A provider's panic is caught with its attempt, so this would be a defect of the executor itself. The job's lease runs
/// out then, and the job is rescued.
fn log_crash(finished: Result<(), tokio::task::JoinError>) {
    if let Err(error) = finished {
        tracing::error!(%error, "a job's task crashed");
    }
}
