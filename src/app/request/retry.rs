//! Successors for all jobs of a request that failed or were cancelled, see docs/domain.md#variations-and-roles.

use std::collections::BTreeSet;

use crate::{
    app::{App, credit::Hold},
    billing::Billing,
    domain::{Caller, Error},
    store::{self, deletion},
};

use super::Accepted;

impl App {
    /// Makes new jobs in the places of all jobs of a live request that failed or were cancelled. Returns the request and
    /// the new jobs; where there is nothing to retry, those that an earlier call made, so that it may be repeated. Refused once
    /// one of them has been purged: what it was to do went with it.
    pub async fn retry_request(&self, caller: Caller, id: i64) -> Result<Accepted, Error> {
        let hold = match self.settings.billing {
            Billing::Remote(_) => {
                let db = self.store.reader();
                let request = store::request::find(db, caller, id).await?;
                let jobs = deletion::current_jobs(db, &request).await?;
                self.hold_for_successors(&jobs).await?
            }
            Billing::Off | Billing::Ledger => None,
        };
        let retried = self.retry_all_held(caller, id, hold.as_ref()).await;
        let successors = retried.iter().flat_map(|(_, jobs)| jobs);
        self.let_go_unless_taken(hold.as_ref(), successors.map(|job| job.id))
            .await;
        retried
    }

    async fn retry_all_held(
        &self,
        caller: Caller,
        id: i64,
        hold: Option<&Hold>,
    ) -> Result<Accepted, Error> {
        self.change_jobs(async |tx, changed| {
            let deletion::LockedRequest { request, mut jobs } =
                deletion::lock(tx, caller, id).await?;
            if request.deleted_at.is_some() {
                return Err(Error::RequestDeleted(id));
            }
            if request.purged_failed > 0 || request.purged_cancelled > 0 {
                return Err(Error::RequestNotRetryable(id));
            }
            let superseding: BTreeSet<i64> =
                jobs.iter().filter_map(|job| job.superseded_by).collect();
            jobs.retain(|job| job.superseded_by.is_none());
            if !jobs.iter().any(|job| job.status.is_retryable()) {
                jobs.retain(|job| superseding.contains(&job.id));
                jobs.sort_by_key(|job| (job.variation, job.id));
                return match jobs.is_empty() {
                    true => Err(Error::RequestNotRetryable(id)),
                    false => Ok((store::request::count(tx, request).await?, jobs)),
                };
            }
            jobs.retain(|job| job.status.is_retryable());
            let successors = self.supersede(tx, &request, &jobs, hold, changed).await?;
            let now = self.moment(tx).await?;
            let request = changed.change_request(tx, request, None, now).await?;
            Ok((request, successors))
        })
        .await
    }
}
