use crate::{
    domain::{Caller, Error, Resource, check_etag, job::Cause},
    entity::{JobStatus, request},
    store::{self, deletion},
};

use super::{App, lock_request::LockedRequest};

impl App {
    /// Deletes a request with what is live of it, under one timestamp. Its pending jobs are cancelled first; one that runs
    /// is left to end. A request that is deleted already is returned as it is.
    pub async fn delete_request(
        &self,
        caller: Caller,
        id: i64,
        etag: &str,
    ) -> Result<request::Model, Error> {
        let LockedRequest {
            tx,
            request,
            mut jobs,
        } = self.lock_request(caller, id).await?;
        if request.deleted_at.is_some() {
            return Ok(request);
        }
        check_etag(Resource::Request, id, request.version, etag)?;
        let cancelled = self
            .cancel_pending(&tx, &jobs, Some(Cause::Deleted))
            .await?;
        let now = self.clock.now();
        let at = deletion::timestamp(&tx, id, now).await?;
        deletion::delete_members(&tx, id, at).await?;
        let request = store::request::change(&tx, request, Some(at), now).await?;
        tx.commit().await?;
        jobs.retain(|job| job.status != JobStatus::Pending);
        jobs.extend(cancelled);
        self.events.publish(&jobs);
        Ok(request)
    }
}
