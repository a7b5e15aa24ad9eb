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
        let wanted = [(Claim::Run, slots)];
        let taken = self.claim(worker_id, &wanted, lease, capabilities).await?;
        Ok(taken.into_iter().flatten().collect())
    }

    /// The same for one reason after the other, each for so many slots and for those that the ones before leave. Returns what is
    /// taken for each.
    pub async fn claim(
        &self,
        worker_id: &str,
        wanted: &[(Claim, u32)],
        lease: Duration,
        capabilities: &[Capability],
    ) -> Result<Vec<Vec<job::Model>>, Error> {
        let token = Uuid::new_v4().to_string();
        let now = self.clock.queue();
        let claim = self.change_jobs(async |tx, changed| {
            let claimant = Claimant {
                worker_id,
                lease_token: &token,
                lease,
            };
            let (mut taken, mut free) = (Vec::new(), 0);
            let (mut more, mut unfinished) = (false, false);
            for (what, slots) in wanted {
                free += slots;
                let claimed = queue::claim(tx, claimant, free, *what, capabilities, now).await?;
                let jobs = claimed.jobs;
                changed.moved(&jobs, None)?;
                // The claim itself has made them processing.
                changed.requests_are_settled(&jobs);
                free = free.saturating_sub(u32::try_from(jobs.len()).unwrap_or(free));
                more |= claimed.more;
                unfinished |= claimed.unfinished;
                taken.push(jobs);
            }
            // What was created since then is not begun here any more.
            if self.draining.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            // Others that were woken by the same news may have passed over what was locked here.
            if more || free == 0 {
                changed.leave_work(capabilities);
            }
            Ok((taken, unfinished))
        });
        let (taken, unfinished) = claim.await?;
        if unfinished {
            self.events.wake_executor();
        }
        Ok(taken)
    }
}
