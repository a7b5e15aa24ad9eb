//! Deletion of a request with its jobs and media, see docs/domain.md#soft-delete.

use std::collections::BTreeMap;

use crate::{
    app::{
        App,
        job::{Cancelling, ChangedJobs},
    },
    domain::{Caller, Entry, Error, Resource, by_id, check_etag},
    store::{self, Transaction, deletion, request::Counted},
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
            self.delete_request_in(tx, changed, caller, (id, etag))
                .await
        })
        .await
    }

    /// Deletes several requests, or none, each as [`Self::delete_request`] does.
    pub async fn delete_requests(
        &self,
        caller: Caller,
        entries: &[Entry],
    ) -> Result<Vec<Counted>, Error> {
        self.change_jobs(async |tx, changed| {
            let mut done = BTreeMap::new();
            for (index, Entry { id, etag }) in by_id(entries) {
                let request = self.delete_request_in(tx, changed, caller, (*id, etag));
                let request = request.await.map_err(|error| error.of_entry(index))?;
                done.insert(index, request);
            }
            Ok(done.into_values().collect())
        })
        .await
    }

    async fn delete_request_in(
        &self,
        tx: &Transaction,
        changed: &mut ChangedJobs,
        caller: Caller,
        (id, etag): (i64, &str),
    ) -> Result<Counted, Error> {
        let deletion::LockedRequest { request, jobs } = deletion::lock(tx, caller, id).await?;
        if request.deleted_at.is_some() {
            return store::request::count(tx, request).await;
        }
        check_etag(Resource::Request, id, request.version, etag)?;
        changed.touched(&jobs);
        self.cancel_jobs(tx, &jobs, Cancelling::Deletion, changed)
            .await?;
        let now = self.moment(tx).await?;
        let at = deletion::timestamp(tx, &request, now).await?;
        deletion::delete_members(tx, &request, at).await?;
        changed.change_request(tx, request, Some(at), now).await
    }
}
