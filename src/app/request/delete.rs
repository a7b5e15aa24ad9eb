//! Deletion of a request with its jobs and media, see docs/domain.md#soft-delete.

use crate::{
    app::{App, job::Cancelling},
    domain::{Caller, Error, Resource, check_etag},
    store::{self, deletion, request::Counted},
};

impl App {
    /// Deletes a request with what is live of it, under one timestamp. Its jobs that wait or run are cancelled
    /// first. A request that is deleted already is returned as it is.
    pub async fn delete_request(
        &self,
        caller: Caller,
        id: i64,
        etag: &str,
    ) -> Result<Counted, Error> {
        self.change_jobs(async |tx, changed| {
            let deletion::LockedRequest { request, jobs } = deletion::lock(tx, caller, id).await?;
            if request.deleted_at.is_some() {
                return store::request::count(tx, request).await;
            }
            check_etag(Resource::Request, id, request.version, etag)?;
            changed.touched(&jobs);
            self.cancel_jobs(tx, &jobs, Cancelling::Deletion, changed)
                .await?;
            let now = self.clock.now();
            let at = deletion::timestamp(tx, id, now).await?;
            deletion::delete_members(tx, id, at).await?;
            changed.change_request(tx, request, Some(at), now).await
        })
        .await
    }
}
