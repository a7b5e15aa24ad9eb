use crate::{
    domain::{Caller, Error, Resource},
    entity::job,
    store::{self, Transaction, queue},
};

use super::{App, changed_jobs::ChangedJobs};

impl App {
    /// Makes a new job in the place of one that failed or was cancelled. One that has a successor already is not retried
    /// again: its successor is returned, whatever has become of that.
    pub async fn retry_job(&self, caller: Caller, id: i64) -> Result<job::Model, Error> {
        self.change_jobs(async |tx, changed| {
            let job = store::job::lock(tx, caller, id).await?;
            let request = store::request::lock(tx, job.request_id).await?;
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
            let successor = self.supersede(tx, &[job], changed).await?.pop();
            let now = self.clock.now();
            changed.change_request(tx, request, None, now).await?;
            successor.ok_or_else(|| Error::internal("a retried job has no successor"))
        })
        .await
    }

    /// Fails if this process has the provider and knows that it cannot work.
    pub(super) fn check_ready(&self, provider: &str) -> Result<(), Error> {
        match self.providers.get(provider).map(|found| found.ready()) {
            Some(Err(missing)) => Err(Error::ProviderNotReady {
                provider: provider.to_owned(),
                missing,
            }),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Makes a new job in the place of each of these, whose rows and whose request's are locked.
    pub(super) async fn supersede(
        &self,
        tx: &Transaction,
        jobs: &[job::Model],
        changed: &mut ChangedJobs,
    ) -> Result<Vec<job::Model>, Error> {
        let attempts = self.settings.max_attempts;
        let now = queue::time(tx, self.clock.queue()).await?;
        for job in jobs {
            // A job without one does not come from here.
            if let Some(provider) = job.input_json["provider"].as_str() {
                self.check_ready(provider)?;
            }
        }
        let successors = store::job::insert_successors(tx, jobs, attempts, now).await?;
        // After the new rows, whose reference to the feature keeps it from being deleted until they are committed.
        if let Some(job) = jobs.first() {
            let feature = store::feature::find(tx, job.feature_id).await?;
            if feature.deleted_at.is_some() {
                return Err(Error::FeatureDeleted(feature.id));
            }
            if !feature.is_active {
                return Err(Error::FeatureInactive(feature.id));
            }
        }
        changed.touched(jobs);
        changed.moved(&successors, None)?;
        Ok(successors)
    }
}
