use crate::{
    domain::{Caller, Error},
    entity::{job, request},
    store::{self, Transaction, deletion},
};

use super::App;

/// A request and the jobs that share its fate, locked: nobody else changes them, adds to them or takes from them.
pub(super) struct LockedRequest {
    pub(super) tx: Transaction,
    pub(super) request: request::Model,
    /// By id.
    pub(super) jobs: Vec<job::Model>,
}

impl App {
    /// Locks a request, deleted or not, with its jobs: the live ones, or those that were deleted with it.
    pub(super) async fn lock_request(
        &self,
        caller: Caller,
        id: i64,
    ) -> Result<LockedRequest, Error> {
        loop {
            let tx = self.store.begin().await?;
            let seen = store::request::find(&tx, caller, id).await?;
            // The jobs' locks come before the request's, everywhere: so the jobs may be others by the time it is had.
            let jobs = deletion::lock_members(&tx, &seen).await?;
            let request = store::request::lock(&tx, id).await?;
            let ids = deletion::member_ids(&tx, &request).await?;
            if jobs.iter().map(|job| job.id).eq(ids) {
                return Ok(LockedRequest { tx, request, jobs });
            }
            tx.rollback().await?;
        }
    }
}
