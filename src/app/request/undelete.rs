//! The way back for a deleted request and what went along, see docs/domain.md#soft-delete.

use std::collections::BTreeMap;

use crate::{
    app::{App, job::ChangedJobs},
    domain::{Caller, Entry, Error, Resource, by_id, check_etag},
    store::{self, Transaction, deletion, request::Counted},
};

impl App {
    /// Brings a request back with exactly what was deleted with it. A live one is returned as it is.
    pub async fn undelete_request(&self, caller: Caller, id: i64) -> Result<Counted, Error> {
        self.change_jobs(async |tx, changed| {
            self.undelete_request_in(tx, changed, caller, (id, ""))
                .await
        })
        .await
    }

    /// Brings several requests back, or none, each as [`Self::undelete_request`] does. An etag that does not fit is refused.
    pub async fn undelete_requests(
        &self,
        caller: Caller,
        entries: &[Entry],
    ) -> Result<Vec<Counted>, Error> {
        self.change_jobs(async |tx, changed| {
            let mut done = BTreeMap::new();
            for (index, Entry { id, etag }) in by_id(entries) {
                let request = self.undelete_request_in(tx, changed, caller, (*id, etag));
                let request = request.await.map_err(|error| error.of_entry(index))?;
                done.insert(index, request);
            }
            Ok(done.into_values().collect())
        })
        .await
    }

    async fn undelete_request_in(
        &self,
        tx: &Transaction,
        changed: &mut ChangedJobs,
        caller: Caller,
        (id, etag): (i64, &str),
    ) -> Result<Counted, Error> {
        let deletion::LockedRequest { request, jobs } = deletion::lock(tx, caller, id).await?;
        let Some(at) = request.deleted_at else {
            return store::request::count(tx, request).await;
        };
        check_etag(Resource::Request, id, request.version, etag)?;
        let now = self.moment(tx).await?;
        deletion::restore_members(tx, &request, at, now).await?;
        store::upload::renew_of(tx, id, now).await?;
        changed.touched(&jobs);
        changed.change_request(tx, request, None, now).await
    }
}
