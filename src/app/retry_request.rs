use crate::{
    domain::{Caller, Error},
    store,
};

use super::{Accepted, App, lock_request::LockedRequest};

impl App {
    /// Makes new jobs in the places of all jobs of a live request that failed or were cancelled. Returns the request and
    /// the new jobs.
    pub async fn retry_request(&self, caller: Caller, id: i64) -> Result<Accepted, Error> {
        let LockedRequest {
            tx,
            request,
            mut jobs,
        } = self.lock_request(caller, id).await?;
        if request.deleted_at.is_some() {
            return Err(Error::RequestDeleted(id));
        }
        jobs.retain(|job| job.status.is_retryable() && job.superseded_by.is_none());
        if jobs.is_empty() {
            return Err(Error::RequestNotRetryable(id));
        }
        jobs.sort_unstable_by_key(|job| (job.variation, job.id));
        let successors = self.supersede(&tx, &jobs).await?;
        let request = store::request::change(&tx, request, None, self.clock.now()).await?;
        tx.commit().await?;
        jobs.extend(successors.iter().cloned());
        self.events.publish(&jobs);
        Ok((request, successors))
    }
}
