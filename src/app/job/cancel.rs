//! Cancelling one job, see docs/domain.md#cancelling.

use std::slice;

use crate::{
    app::{App, job::Cancelling},
    domain::{Caller, Error, JobStatus, Resource},
    entity::job,
    store,
};

impl App {
    /// Takes a live job that is pending off the queue, and with `stop_processing` one that runs from its worker. One that is
    /// cancelled already is returned as it is.
    pub async fn cancel_job(
        &self,
        caller: Caller,
        id: i64,
        stop_processing: bool,
    ) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            if job.deleted_at.is_some() {
                return Err(Error::not_found(Resource::Job, id));
            }
            match job.status {
                JobStatus::Cancelled => return Ok(job),
                JobStatus::Processing if !stop_processing => {
                    return Err(Error::JobAlreadyProcessing(id));
                }
                JobStatus::Completed | JobStatus::Failed => {
                    let status = job.status.as_str();
                    return Err(Error::JobAlreadyFinished { id, status });
                }
                JobStatus::Pending | JobStatus::Processing => {}
            }
            store::request::lock(tx, &job).await?;
            let why = Cancelling::asked(stop_processing);
            let cancelled = self.cancel_jobs(tx, slice::from_ref(&job), why, changed);
            let cancelled = cancelled.await?.pop();
            cancelled.ok_or_else(|| Error::internal("a locked job was not cancelled"))
        })
        .await
    }
}
