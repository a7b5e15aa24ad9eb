//! What users may have at once and in a time, see docs/plans.md.

use chrono::{DateTime, Utc};

use crate::{
    domain::{Error, Exceeded, Plan, RequestDraft, Use},
    entity::request,
    store::{self, Transaction, plan::Wish, queue},
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

    /// What the plans leave no room in for each of these wishes, as if all before it came true. Nobody takes the room until the
    /// transaction ends.
    pub(super) async fn exceeded(
        &self,
        tx: &Transaction,
        wishes: &[Wish<'_>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<Exceeded>>, Error> {
        let users = wishes.iter().map(|wish| wish.user_id).collect();
        store::plan::lock(tx, users).await?;
        store::plan::exceeded(tx, wishes, now).await
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
        let user_id = request.user_id;
        let wish = Wish {
            plan,
            user_id,
            jobs,
        };
        if let Some(exceeded) = self
            .exceeded(tx, &[wish], now)
            .await?
            .into_iter()
            .next()
            .flatten()
        {
            return Err(Error::QuotaExceeded(exceeded));
        }
        if plan.rates().next().is_some() {
            store::plan::note_retry(tx, user_id, now).await?;
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
