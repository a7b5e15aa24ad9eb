//! The way back for a deleted job, as long as its request is live, see docs/domain.md#soft-delete.

use std::slice;

use crate::{
    app::App,
    domain::{Caller, Error},
    entity::job,
    store,
};

impl App {
    /// Brings a job of a live request back. A live job is returned as it is.
    pub async fn undelete_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            let request = store::request::lock(tx, &job).await?;
            if request.deleted_at.is_some() {
                return Err(Error::RequestDeleted(request.id));
            }
            if job.deleted_at.is_none() {
                return Ok(job);
            }
            let now = self.moment(tx).await?;
            let job = store::job::set_deleted(tx, &job, None, now).await?;
            changed.touched(slice::from_ref(&job));
            Ok(job)
        })
        .await
    }
}
