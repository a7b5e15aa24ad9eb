//! Deletion of one job apart from its request, for which it counts no more, see docs/domain.md#soft-delete.

use std::slice;

use crate::{
    app::{App, job::Cancelling},
    domain::{Caller, Error},
    entity::job,
    store,
};

impl App {
    /// Deletes a job by itself; its media stay. One that waits or runs is cancelled first. A job that is deleted already
    /// is returned as it is.
    pub async fn delete_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            if job.deleted_at.is_some() {
                return Ok(job);
            }
            store::request::lock(tx, &job).await?;
            self.cancel_jobs(tx, slice::from_ref(&job), Cancelling::Deletion, changed)
                .await?;
            let now = self.moment(tx).await?;
            let job = store::job::set_deleted(tx, &job, Some(now), now).await?;
            changed.touched(slice::from_ref(&job));
            Ok(job)
        })
        .await
    }
}
