use crate::{
    domain::{Caller, Error},
    entity::{JobStatus, job},
    store::{self, queue},
};

use super::App;

impl App {
    /// Takes a pending job off the queue. One that is cancelled already is returned as it is.
    pub async fn cancel_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        let tx = self.store.begin().await?;
        store::job::find(&tx, caller, id).await?;
        if let Some(job) = queue::cancel(&tx, id, self.clock.queue()).await? {
            self.commit_transition(tx, std::slice::from_ref(&job), None)
                .await?;
            return Ok(job);
        }
        let job = store::job::find(&tx, caller, id).await?;
        tx.rollback().await?;
        match job.status {
            JobStatus::Cancelled => Ok(job),
            JobStatus::Pending | JobStatus::Processing => Err(Error::JobAlreadyProcessing(id)),
            JobStatus::Completed | JobStatus::Failed => Err(Error::JobAlreadyFinished {
                id,
                status: job.status.as_str(),
            }),
        }
    }
}
