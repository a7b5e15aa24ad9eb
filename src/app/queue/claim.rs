//! A worker takes jobs, for as long as its lease, see docs/domain.md#attempts.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    app::App,
    domain::{Error, job::Capability},
    entity::job,
    store::queue::{self, Claim, Claimant},
};

impl App {
    /// Takes up to `slots` due jobs for a worker that can run them, and
    /// which must renew their leases before `lease` has passed.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`] if this process has begun to drain meanwhile.
    pub async fn claim_jobs(
        &self,
        worker_id: &str,
        slots: u32,
        lease: Duration,
        capabilities: &[Capability],
    ) -> Result<Vec<job::Model>, Error> {
        self.claim(worker_id, slots, lease, Claim::Run, capabilities)
            .await
    }

    /// The same, for one reason or the other.
    pub async fn claim(
        &self,
        worker_id: &str,
        slots: u32,
        lease: Duration,
        what: Claim,
        capabilities: &[Capability],
    ) -> Result<Vec<job::Model>, Error> {
        let token = Uuid::new_v4().to_string();
        let now = self.clock.queue();
        let claim = self.change_jobs(async |tx, changed| {
            let claimant = Claimant {
                worker_id,
                lease_token: &token,
                lease,
            };
            let claimed = queue::claim(tx, claimant, slots, what, capabilities, now).await?;
            let jobs = claimed.jobs;
            // What was created since then is not begun here any more.
            if self.draining.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            changed.moved(&jobs, None)?;
            // The claim itself has made them processing.
            changed.requests_are_settled(&jobs);
            // Others that were woken by the same news may have passed over what was locked here.
            if claimed.more || jobs.len() >= usize::try_from(slots).unwrap_or(usize::MAX) {
                changed.leave_work(capabilities);
            }
            Ok((jobs, claimed.unfinished))
        });
        let (jobs, unfinished) = claim.await?;
        if unfinished {
            self.events.wake_executor();
        }
        Ok(jobs)
    }
}
