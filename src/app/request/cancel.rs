//! Cancelling what waits of a request, or runs, see docs/domain.md#cancelling.

use crate::{
    app::{App, job::Cancelling},
    domain::{Caller, Error, JobStatus, Resource},
    entity::job,
    store::{self, deletion, request::Counted},
};

/// What has become of a request whose jobs were cancelled. Jobs that a retry has superseded are left out.
#[derive(Clone, Debug)]
pub struct Cancellation {
    /// As it stands after that.
    pub request: Counted,
    /// Cancelled now or before.
    pub cancelled: Vec<job::Model>,
    /// Those that had begun by then, and were not stopped.
    pub others: Vec<job::Model>,
}

impl App {
    /// Takes the pending jobs of a live request off the queue, and with `stop_processing` those that run from their workers.
    pub async fn cancel_request(
        &self,
        caller: Caller,
        id: i64,
        stop_processing: bool,
    ) -> Result<Cancellation, Error> {
        self.change_jobs(async |tx, changed| {
            let deletion::LockedRequest { request, jobs } = deletion::lock(tx, caller, id).await?;
            if request.deleted_at.is_some() {
                return Err(Error::not_found(Resource::Request, id));
            }
            let why = Cancelling::asked(stop_processing);
            let now_cancelled = self.cancel_jobs(tx, &jobs, why, changed).await?;
            let request = if now_cancelled.is_empty() {
                store::request::count(tx, request).await?
            } else {
                let now = self.moment(tx).await?;
                changed.change_request(tx, request, None, now).await?
            };
            Ok(divide(request, jobs, now_cancelled))
        })
        .await
    }
}

fn divide(request: Counted, jobs: Vec<job::Model>, now_cancelled: Vec<job::Model>) -> Cancellation {
    let jobs = jobs.into_iter().filter(|job| job.superseded_by.is_none());
    let is_new = |job: &job::Model| now_cancelled.iter().any(|cancelled| cancelled.id == job.id);
    let (others, mut cancelled): (Vec<_>, Vec<_>) = jobs
        .filter(|job| !is_new(job))
        .partition(|job| job.status != JobStatus::Cancelled);
    cancelled.extend(now_cancelled);
    cancelled.sort_unstable_by_key(|job| job.id);
    Cancellation {
        request,
        cancelled,
        others,
    }
}
