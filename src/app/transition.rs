use crate::{
    domain::{Error, job::Cause},
    entity::job,
    store::{Transaction, job_event, queue, request},
};

use super::App;

impl App {
    /// Finishes the transaction in which these jobs made a transition: their events, their requests' statuses, commit,
    /// and then the wake-ups.
    pub(super) async fn commit_transition(
        &self,
        tx: Transaction,
        jobs: &[job::Model],
        cause: Option<Cause>,
    ) -> Result<(), Error> {
        let mut request_ids: Vec<i64> = jobs.iter().map(|job| job.request_id).collect();
        request_ids.sort_unstable();
        request_ids.dedup();
        job_event::record(&tx, jobs, cause).await?;
        request::refresh_status(&tx, &request_ids, self.clock.now()).await?;
        tx.commit().await?;
        self.events.publish(jobs);
        Ok(())
    }

    /// Takes those of these locked jobs that are pending off the queue, with their events, and returns them.
    pub(super) async fn cancel_pending(
        &self,
        tx: &Transaction,
        jobs: &[job::Model],
        cause: Option<Cause>,
    ) -> Result<Vec<job::Model>, Error> {
        let mut cancelled = Vec::new();
        for job in jobs {
            cancelled.extend(queue::cancel(tx, job.id, self.clock.queue()).await?);
        }
        job_event::record(tx, &cancelled, cause).await?;
        Ok(cancelled)
    }
}
