//! An end for jobs that have not started in time, see docs/domain.md#schedules.

use crate::{
    app::App,
    domain::{Error, Reason, job::Failure},
    store::queue,
};

use super::BATCH;

impl App {
    /// Cancels the jobs that have not started by the time that their requests name. Returns how many.
    pub async fn cancel_late_jobs(&self) -> Result<usize, Error> {
        let failure = Failure::new(
            Reason::StartDeadlineExceeded,
            "The job did not start in time.",
        );
        let now = self.clock.queue();
        let mut cancelled = 0;
        loop {
            let batch = self.change_jobs(async |tx, changed| {
                let jobs = queue::cancel_late(tx, &failure, BATCH, now).await?;
                changed.moved(&jobs, None)?;
                Ok(jobs.len())
            });
            match batch.await? {
                0 => return Ok(cancelled),
                jobs => cancelled += jobs,
            }
        }
    }
}
