//! Cancelling one job, which must be pending, see docs/domain.md#cancelling.

use std::slice;

use crate::{
    app::App,
    domain::{Caller, Error, JobStatus, Resource},
    entity::job,
    store,
};

impl App {
    /// Takes a live job that is pending off the queue. One that is cancelled already is returned as it is.
    pub async fn cancel_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            if job.deleted_at.is_some() {
                return Err(Error::not_found(Resource::Job, id));
            }
            match job.status {
                JobStatus::Cancelled => return Ok(job),
                JobStatus::Processing => return Err(Error::JobAlreadyProcessing(id)),
                JobStatus::Completed | JobStatus::Failed => {
                    let status = job.status.as_str();
                    return Err(Error::JobAlreadyFinished { id, status });
                }
                JobStatus::Pending => {}
            }
            store::request::lock(tx, job.request_id).await?;
            let cancelled = self.cancel_pending(tx, slice::from_ref(&job), None, changed);
            let cancelled = cancelled.await?.pop();
            cancelled.ok_or_else(|| Error::internal("a locked job was not cancelled"))
        })
        .await
    }
}
