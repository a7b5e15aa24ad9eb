use std::time::Duration;

use uuid::Uuid;

use crate::{domain::Error, entity::job, store::queue};

use super::App;

impl App {
    /// Takes up to `slots` due jobs for a worker, which must renew their leases before `lease` has passed.
    pub async fn claim_jobs(
        &self,
        worker_id: &str,
        slots: u32,
        lease: Duration,
    ) -> Result<Vec<job::Model>, Error> {
        let token = Uuid::new_v4().to_string();
        let tx = self.store.begin().await?;
        let jobs = queue::claim(&tx, worker_id, &token, lease, slots, self.clock.queue()).await?;
        if jobs.is_empty() {
            tx.rollback().await?;
            return Ok(jobs);
        }
        self.commit_transition(tx, &jobs, None).await?;
        Ok(jobs)
    }
}
