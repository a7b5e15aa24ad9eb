//! A second life for one job: a successor, for the job itself stays as it is, see docs/domain.md#variations-and-roles.

use crate::{
    app::{App, credit::Hold},
    billing::Billing,
    domain::{Caller, Error, Resource},
    entity::job,
    store,
};

impl App {
    /// Makes a new job in the place of one that failed or was cancelled. One that has a successor already is not retried
    /// again: its successor is returned, whatever has become of that.
    pub async fn retry_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        let hold = match self.settings.billing {
            Billing::Remote(_) => {
                let job = store::job::find(self.store.reader(), caller, id).await?;
                self.hold_for_successors(&[job]).await?
            }
            Billing::Off | Billing::Ledger => None,
        };
        let retried = self.retry_held(caller, id, hold.as_ref()).await;
        let successor = retried.iter().map(|job| job.id);
        self.let_go_unless_taken(hold.as_ref(), successor).await;
        retried
    }

    async fn retry_held(
        &self,
        caller: Caller,
        id: i64,
        hold: Option<&Hold>,
    ) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            let request = store::request::lock(tx, &job).await?;
            if request.deleted_at.is_some() {
                return Err(Error::RequestDeleted(request.id));
            }
            if job.deleted_at.is_some() {
                return Err(Error::not_found(Resource::Job, id));
            }
            if let Some(successor) = job.superseded_by {
                return store::job::find(tx, caller, successor).await;
            }
            if !job.status.is_retryable() {
                let status = job.status.as_str();
                return Err(Error::JobNotRetryable { id, status });
            }
            let successor = self
                .supersede(tx, &request, &[job], hold, changed)
                .await?
                .pop();
            let now = self.moment(tx).await?;
            changed.change_request(tx, request, None, now).await?;
            successor.ok_or_else(|| Error::internal("a retried job has no successor"))
        })
        .await
    }
}
