use crate::{
    domain::{Caller, Error, Resource},
    entity::{JobStatus, job, request},
    store,
};

use super::{App, lock_request::LockedRequest};

/// What has become of a request whose pending jobs were cancelled. Jobs that a retry has superseded are left out.
#[derive(Clone, Debug)]
pub struct Cancellation {
    pub request: request::Model,
    /// Cancelled now or before.
    pub cancelled: Vec<job::Model>,
    /// Those that had begun by then.
    pub others: Vec<job::Model>,
}

impl App {
    /// Takes the pending jobs of a live request off the queue.
    pub async fn cancel_request(&self, caller: Caller, id: i64) -> Result<Cancellation, Error> {
        let LockedRequest {
            tx,
            mut request,
            jobs,
        } = self.lock_request(caller, id).await?;
        if request.deleted_at.is_some() {
            return Err(Error::not_found(Resource::Request, id));
        }
        let now_cancelled = self.cancel_pending(&tx, &jobs, None).await?;
        if !now_cancelled.is_empty() {
            request = store::request::change(&tx, request, None, self.clock.now()).await?;
        }
        tx.commit().await?;
        self.events.publish(&now_cancelled);

        let jobs = jobs.into_iter().filter(|job| job.superseded_by.is_none());
        let (others, mut cancelled): (Vec<_>, Vec<_>) = jobs
            .filter(|job| job.status != JobStatus::Pending)
            .partition(|job| job.status != JobStatus::Cancelled);
        cancelled.extend(now_cancelled);
        cancelled.sort_unstable_by_key(|job| job.id);
        Ok(Cancellation {
            request,
            cancelled,
            others,
        })
    }
}
