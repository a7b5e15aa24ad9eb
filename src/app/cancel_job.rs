use crate::{
    domain::{Caller, Error, Resource},
    entity::{JobStatus, job},
    store::{self, queue},
};

use super::App;

impl App {
    /// Takes a live job that is pending off the queue. One that is cancelled already is returned as it is.
    pub async fn cancel_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        let tx = self.store.begin().await?;
        let job = store::job::lock(&tx, caller, id).await?;
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
        let cancelled = queue::cancel(&tx, id, self.clock.queue()).await?;
        let job = cancelled.ok_or_else(|| Error::internal("a locked job was not cancelled"))?;
        self.commit_transition(tx, std::slice::from_ref(&job), None)
            .await?;
        Ok(job)
    }
}
