//! An end for jobs that would wait for ever because no worker can run them, see docs/domain.md#attempts.

use std::time::Duration;

use crate::{
    app::App,
    domain::{
        Error, Reason,
        job::{Capability, Failure},
    },
    store::queue,
};

use super::BATCH;

impl App {
    /// Fails the jobs that have been due for longer than `timeout` while no worker said that it can run them. A job whose
    /// provider there is waits on, however long its queue. Returns how many.
    pub async fn fail_unclaimed_jobs(&self, timeout: Duration) -> Result<usize, Error> {
        let (db, now) = (self.store.reader(), self.clock.queue());
        let mut failed = 0;
        for capability in queue::unclaimed(db, timeout, now).await? {
            failed += self.fail_unclaimed(&capability, timeout).await?;
        }
        Ok(failed)
    }

    async fn fail_unclaimed(
        &self,
        capability: &Capability,
        timeout: Duration,
    ) -> Result<usize, Error> {
        let failure = failure(capability, timeout);
        let now = self.clock.queue();
        let mut failed = 0;
        loop {
            let batch = self.change_jobs(async |tx, changed| {
                let jobs =
                    queue::fail_unclaimed(tx, capability, timeout, &failure, BATCH, now).await?;
                changed.moved(&jobs, None)?;
                Ok(jobs.len())
            });
            match batch.await? {
                0 => return Ok(failed),
                jobs => failed += jobs,
            }
        }
    }
}

fn failure(Capability { provider, category }: &Capability, timeout: Duration) -> Failure {
    let (category, seconds) = (category.as_str(), timeout.as_secs());
    let sentence = format!("No worker had this generator within {seconds} seconds.");
    let detail = format!("No worker had a generator named {provider:?} that makes {category}.");
    Failure::new(Reason::ProviderUnavailable, sentence).with_detail(detail)
}
