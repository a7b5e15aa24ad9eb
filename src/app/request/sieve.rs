//! The requests of a batch, on their way to be stored or refused.

use chrono::{DateTime, Utc};

use crate::{
    domain::{Error, Plan, RequestDraft, Resolved},
    entity::request,
    store::{feature::Offered, job::NewJobs, plan::Wish, request::NewRequest},
};

use super::{
    create::cost_per_job,
    intake::{Intake, Verdict},
};

/// Those of a batch that nothing speaks against yet, and what has become of the others.
pub(super) struct Sieve<'a> {
    pub(super) open: Vec<Candidate<'a>>,
    /// By their places in the batch.
    pub(super) verdicts: Vec<Option<Verdict>>,
}

impl<'a> Sieve<'a> {
    pub(super) fn of(requests: usize) -> Self {
        Self {
            open: Vec::new(),
            verdicts: (0..requests).map(|_| None).collect(),
        }
    }

    /// What there is of the request at this place, unless that is refused.
    ///
    /// # Errors
    /// The database's, which is no matter of the request.
    pub(super) fn keep<T>(
        &mut self,
        place: usize,
        found: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_of_database() => Err(error),
            Err(error) => {
                self.verdicts[place] = Some(Verdict::Refused(error));
                Ok(None)
            }
        }
    }

    /// Puts aside whatever gets a verdict.
    pub(super) fn sift(&mut self, mut judge: impl FnMut(&Candidate<'a>) -> Option<Verdict>) {
        self.open.retain(|candidate| {
            let verdict = judge(candidate);
            let stays = verdict.is_none();
            if !stays {
                self.verdicts[candidate.place] = verdict;
            }
            stays
        });
    }

    /// Whether a statement that fails is the failure of one request alone.
    pub(super) fn is_of_one(&self) -> bool {
        self.verdicts.len() == 1
    }
}

/// A request that nothing speaks against yet.
pub(super) struct Candidate<'a> {
    /// In the batch.
    pub(super) place: usize,
    pub(super) intake: &'a Intake,
    /// With the ids of the feature and the template that it names.
    pub(super) asked: RequestDraft,
    pub(super) offered: Offered,
    pub(super) resolved: Resolved,
    pub(super) plan: Option<&'a Plan>,
}

impl Candidate<'_> {
    /// What its plan must leave room for.
    pub(super) fn wish(&self) -> Option<Wish<'_>> {
        let plan = self.plan.filter(|plan| plan.has_quotas())?;
        Some(Wish {
            plan,
            user_id: self.asked.user_id,
            jobs: self.resolved.jobs.len(),
        })
    }

    /// Credits for all of its jobs.
    pub(super) fn cost(&self) -> i64 {
        let jobs = i64::try_from(self.resolved.jobs.len()).unwrap_or(i64::MAX);
        cost_per_job(&self.intake.draft, &self.resolved).saturating_mul(jobs)
    }

    /// Its user and its key, as it is stored.
    pub(super) fn key(&self) -> Option<(i64, String)> {
        let draft = &self.intake.draft;
        (!draft.idempotency_key.is_empty()).then(|| (draft.user_id, draft.stored_key()))
    }

    /// The same as it was stored once, which holds for every client: a new one does not take its place.
    pub(super) fn key_of_before(&self) -> Option<(i64, String)> {
        let draft = &self.intake.draft;
        let has_client = draft.client.is_some() && !draft.idempotency_key.is_empty();
        has_client.then(|| (draft.user_id, draft.idempotency_key.clone()))
    }

    pub(super) fn new_request(&self) -> NewRequest<'_> {
        NewRequest {
            id: self.intake.id,
            draft: &self.asked,
            resolved: &self.resolved,
            system_prompt: self.offered.feature.system_prompt.clone(),
            plan: self.plan.map(|plan| plan.name.clone()),
        }
    }

    pub(super) fn jobs<'b>(
        &'b self,
        request: &'b request::Model,
        max_attempts: i32,
        now: DateTime<Utc>,
    ) -> NewJobs<'b> {
        let draft = &self.intake.draft;
        NewJobs {
            request,
            inputs: &self.resolved.jobs,
            category: self.offered.feature.category,
            cost: cost_per_job(draft, &self.resolved),
            priority: match (draft.priority, self.plan) {
                (0, Some(plan)) => plan.priority,
                (priority, _) => priority,
            },
            concurrency: self.plan.and_then(Plan::concurrency),
            schedule: draft.schedule,
            max_attempts: self.resolved.max_attempts.unwrap_or(max_attempts),
            now,
            trace: &draft.trace,
        }
    }
}
