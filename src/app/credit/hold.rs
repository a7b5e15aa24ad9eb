//! Billing holds credits for jobs that are about to be stored: asked outside of any transaction, with an intent written before,
//! so that nothing stays held for jobs that never are.

use chrono::TimeDelta;

use crate::{
    app::App,
    billing::{Billing, Refusal, Remote},
    domain::{Error, with_causes},
    entity::{job, reservation},
    store::{self, credit::Charge, queue},
};

use super::HELD_FOR;

/// How long jobs may take to be stored for which Billing holds something. Storing them fails after that.
const INTENT: TimeDelta = TimeDelta::minutes(2);

/// Jobs that are about to be stored.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Asked {
    /// Theirs, if it is known yet.
    pub(in crate::app) request_id: Option<i64>,
    /// Who pays.
    pub(in crate::app) user_id: i64,
    /// How many.
    pub(in crate::app) jobs: usize,
    /// Of each.
    pub(in crate::app) cost_per_job: i64,
}

/// What is held for jobs that are about to be stored.
#[derive(Clone, Debug)]
pub(in crate::app) struct Hold {
    /// Theirs.
    pub(in crate::app) request_id: i64,
    /// One for each, ascending.
    pub(in crate::app) job_ids: Vec<i64>,
    /// Whether Billing holds it, or is only to hear of it later.
    pub(super) is_reserved: bool,
}

impl Hold {
    /// The ids of so many jobs.
    ///
    /// # Errors
    /// [`Error::BillingUnavailable`] if it is for another number of them.
    pub(in crate::app) fn ids_for(&self, jobs: usize) -> Result<&[i64], Error> {
        match self.job_ids.len() == jobs {
            true => Ok(&self.job_ids),
            false => Err(Error::BillingUnavailable(
                "other jobs are made by now than those that something is held for".into(),
            )),
        }
    }
}

impl App {
    /// Has Billing hold what jobs cost. `None` where it does not keep credits, or they cost nothing.
    ///
    /// # Errors
    /// [`Error::CreditsInsufficient`], [`Error::BillingRefused`] and [`Error::BillingUnavailable`]; nothing is held then, or
    /// not for long.
    pub(in crate::app) async fn hold(&self, asked: Asked) -> Result<Option<Hold>, Error> {
        let remote = match &self.settings.billing {
            Billing::Remote(remote) if asked.jobs > 0 && asked.cost_per_job > 0 => remote,
            _ => return Ok(None),
        };
        if remote.is_shut() && remote.accept_unreserved() == 0 {
            let away = Refusal::Away("Billing has not answered lately".to_owned());
            return Err(told(away, asked.user_id));
        }
        let intents = self.intend(asked).await?;
        let mut hold = Hold {
            request_id: intents.first().map_or(0, |intent| intent.request_id),
            job_ids: intents.iter().map(|intent| intent.job_id).collect(),
            is_reserved: true,
        };
        let refusal = match self.reserve(remote, &intents).await {
            Ok(()) => return Ok(Some(hold)),
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Away(_)) && remote.accept_unreserved() > 0 {
            hold.is_reserved = false;
            return Ok(Some(hold));
        }
        // What was refused is not held. What was not answered may be.
        match refusal {
            Refusal::Away(_) => self.let_go(&hold).await,
            _ => self.forget(&intents).await,
        }
        Err(told(refusal, asked.user_id))
    }

    /// The same for the successors of those of these jobs, which are of one request, that a retry gives one.
    pub(in crate::app) async fn hold_for_successors(
        &self,
        jobs: &[job::Model],
    ) -> Result<Option<Hold>, Error> {
        let is_retried = |job: &&job::Model| {
            job.status.is_retryable() && job.superseded_by.is_none() && job.deleted_at.is_none()
        };
        let retried: Vec<&job::Model> = jobs.iter().filter(is_retried).collect();
        let Some(first) = retried.first() else {
            return Ok(None);
        };
        self.hold(Asked {
            request_id: Some(first.request_id),
            user_id: first.user_id,
            jobs: retried.len(),
            cost_per_job: first.cost.unwrap_or_default(),
        })
        .await
    }

    /// Gives back what is held, unless it is for the jobs that were made.
    pub(in crate::app) async fn let_go_unless_taken(
        &self,
        hold: Option<&Hold>,
        mut made: impl Iterator<Item = i64>,
    ) {
        if let Some(hold) = hold
            && !made.any(|id| hold.job_ids.contains(&id))
        {
            self.let_go(hold).await;
        }
    }

    async fn intend(&self, asked: Asked) -> Result<Vec<reservation::Model>, Error> {
        let written = self.store.write(async |tx| {
            let now = queue::time(tx, self.clock.queue()).await?;
            let request_id = match asked.request_id {
                Some(id) => id,
                None => store::request::reserve_id(tx).await?,
            };
            let job_ids = store::job::reserve_ids(tx, asked.jobs).await?;
            let charge = |job_id| Charge {
                job_id,
                request_id,
                user_id: asked.user_id,
                amount: asked.cost_per_job,
                at: now,
            };
            let charges: Vec<Charge> = job_ids.into_iter().map(charge).collect();
            store::reservation::intend(tx, &charges, now + INTENT).await
        });
        let mut intents = written.await?;
        intents.sort_unstable_by_key(|intent| intent.job_id);
        Ok(intents)
    }

    async fn reserve(
        &self,
        remote: &Remote,
        intents: &[reservation::Model],
    ) -> Result<(), Refusal> {
        remote
            .reserve(intents, self.clock.now() + HELD_FOR)
            .await
            .inspect_err(|refusal| tracing::debug!(%refusal, "Billing holds nothing"))
    }

    /// Gives back what was held for jobs that were not stored after all; those that were keep it. Upkeep does so, if this
    /// cannot be written.
    pub(in crate::app) async fn let_go(&self, hold: &Hold) {
        let db = self.store.writer();
        let given_back = store::reservation::let_go(db, &hold.job_ids).await;
        self.tell_billing();
        note(given_back);
    }

    async fn forget(&self, intents: &[reservation::Model]) {
        note(store::reservation::forget(self.store.writer(), intents).await);
    }
}

fn note(written: Result<(), Error>) {
    if let Err(error) = written {
        let error = with_causes(&error);
        tracing::debug!(error, "what was intended is given back later");
    }
}

/// What a caller is told of what Billing says about a user.
pub(super) fn told(refusal: Refusal, user_id: i64) -> Error {
    match refusal {
        Refusal::Insufficient { needed, available } => Error::CreditsInsufficient {
            user_id,
            needed,
            available,
        },
        Refusal::Final(_) => Error::BillingRefused {
            user_id,
            source: refusal.into(),
        },
        Refusal::Away(_) => Error::BillingUnavailable(refusal.into()),
    }
}
