//! Jobs of workers that have gone silent, see docs/domain.md#attempts.

use crate::{
    app::App,
    domain::{
        Error, Reason,
        job::{Cause, Failure},
    },
    store::queue::{self, Expired},
};

use super::BATCH;

impl App {
    /// Takes jobs from workers whose leases have run out: those with attempts left go back to the queue; the
    /// others fail, and deleted ones are cancelled.
    /// Returns how many.
    pub async fn rescue_jobs(&self) -> Result<usize, Error> {
        let mut rescued = 0;
        for (what, cause) in [
            (Expired::Requeue, Some(Cause::Rescue)),
            (Expired::StopDeleted, Some(Cause::Deleted)),
            (Expired::FailSpent, None),
        ] {
            rescued += self.rescue_all(what, cause).await?;
        }
        Ok(rescued)
    }

    async fn rescue_all(&self, what: Expired, cause: Option<Cause>) -> Result<usize, Error> {
        let failure = Failure::new(
            Reason::WorkerLost,
            "The worker was lost while it ran the job.",
        );
        let now = self.clock.queue();
        let mut rescued = 0;
        loop {
            let batch = self.change_jobs(async |tx, changed| {
                let jobs = queue::rescue(tx, what, &failure, BATCH, now).await?;
                changed.moved(&jobs, cause)?;
                Ok(jobs.len())
            });
            match batch.await? {
                0 => return Ok(rescued),
                jobs => {
                    self.metrics.rescued(jobs);
                    rescued += jobs;
                }
            }
        }
    }
}
