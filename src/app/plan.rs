//! What users may have at once and in a time, see docs/plans.md.

use chrono::{DateTime, Utc};

use crate::{
    domain::{Error, Plan, RequestDraft, Use},
    entity::request,
    store::{self, Transaction, queue},
};

use super::App;

/// What a user may have, and how much of it he has.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `None` where nothing limits him.
    pub plan: Option<Plan>,
    /// What counts for it.
    pub used: Use,
}

impl App {
    /// The plan by whose limits a request goes; `None` where nothing limits it, as what only tries a template.
    pub(super) fn plan_of(&self, draft: &RequestDraft) -> Result<Option<&Plan>, Error> {
        match draft.preview {
            Some(_) => Ok(None),
            None => self.plan_named(draft.plan.as_deref()),
        }
    }

    fn plan_named(&self, name: Option<&str>) -> Result<Option<&Plan>, Error> {
        self.settings.plans.find(name).map_err(Error::PlanUnknown)
    }

    /// Fails if the plan leaves no room for one more request of so many jobs. Nobody takes the room until the transaction
    /// ends.
    pub(super) async fn admit(
        &self,
        tx: &Transaction,
        (plan, user_id): (Option<&Plan>, i64),
        jobs: usize,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let Some(plan) = plan.filter(|plan| plan.has_quotas()) else {
            return Ok(());
        };
        store::plan::lock(tx, user_id).await?;
        match store::plan::exceeded(tx, (plan, user_id), jobs, now).await? {
            Some(exceeded) => Err(Error::QuotaExceeded(exceeded)),
            None => Ok(()),
        }
    }

    /// The same for new jobs of a request that is there already: a retry counts as a request does. Its plan is what it was; one
    /// that is not configured any more limits nothing.
    pub(super) async fn admit_again(
        &self,
        tx: &Transaction,
        request: &request::Model,
        jobs: usize,
    ) -> Result<(), Error> {
        let plan = request.plan.as_ref();
        let plan = plan.and_then(|name| self.settings.plans.by_name.get(name));
        let Some(plan) = plan.filter(|plan| plan.has_quotas()) else {
            return Ok(());
        };
        let now = queue::time(tx, self.clock.queue()).await?;
        let admitted = self.admit(tx, (Some(plan), request.user_id), jobs, now);
        admitted.await?;
        if plan.rates().next().is_some() {
            store::plan::note_retry(tx, request.user_id, now).await?;
        }
        Ok(())
    }

    /// Forgets retries that count for nobody any more.
    pub async fn forget_retries(&self) -> Result<(), Error> {
        let db = self.store.writer();
        let now = queue::time(db, self.clock.queue()).await?;
        store::plan::forget_retries(db, now).await
    }

    /// What a user may have under the plan of this name, or the one of who has none, and how much of it he has.
    pub async fn limits(&self, user_id: i64, plan: Option<&str>) -> Result<Limits, Error> {
        let plan = self.plan_named(plan)?.cloned();
        let db = self.store.reader();
        let now = queue::time(db, self.clock.queue()).await?;
        let used = store::plan::used(db, user_id, now).await?;
        Ok(Limits { plan, used })
    }
}
