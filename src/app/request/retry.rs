//! Successors for all jobs of a request that failed or were cancelled, see docs/domain.md#variations-and-roles.

use crate::{
    app::App,
    domain::{Caller, Error},
    store::deletion,
};

use super::Accepted;

impl App {
    /// Makes new jobs in the places of all jobs of a live request that failed or were cancelled. Returns the request and
    /// the new jobs.
    pub async fn retry_request(&self, caller: Caller, id: i64) -> Result<Accepted, Error> {
        self.change_jobs(async |tx, changed| {
            let deletion::LockedRequest { request, mut jobs } =
                deletion::lock(tx, caller, id).await?;
            if request.deleted_at.is_some() {
                return Err(Error::RequestDeleted(id));
            }
            jobs.retain(|job| job.status.is_retryable() && job.superseded_by.is_none());
            if jobs.is_empty() {
                return Err(Error::RequestNotRetryable(id));
            }
            let successors = self.supersede(tx, &jobs, changed).await?;
            let now = self.clock.now();
            let request = changed.change_request(tx, request, None, now).await?;
            Ok((request, successors))
        })
        .await
    }
}
