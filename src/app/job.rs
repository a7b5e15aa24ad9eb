//! How jobs change: whatever changes a job goes through [`App::change_jobs`], so that none of what belongs to it is
//! forgotten or comes in the wrong order.

mod cancel;
mod delete;
mod diagnose;
mod outlook;
mod retry;
mod undelete;
mod watch;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::{
    billing::Billing,
    domain::{
        Error, JobStatus,
        job::{Capability, Cause, Transition},
    },
    entity::{job, job_event, request},
    store::{
        self, Transaction,
        queue::{self, Now},
        request::Counted,
        wake_up::WakeUp,
    },
};

use super::{
    App,
    credit::{Charges, Hold},
};

pub use diagnose::Diagnosis;
pub use outlook::{Outlook, Outlooks};
pub use webhook::{Addressee, Untaken};

/// What a transaction has changed so far.
#[derive(Debug, Default)]
pub(super) struct ChangedJobs {
    events: Vec<job_event::ActiveModel>,
    /// Requests whose status may no longer be the sum of their jobs.
    outdated: BTreeSet<i64>,
    charges: Charges,
    /// Users whose jobs are limited of whom one has left the queue or its worker, and how many may run.
    limited: BTreeMap<i64, i32>,
    /// Features with a limit of which a job has left the queue or its worker, and whose it was.
    bounded: BTreeMap<i64, i64>,
    /// Whether a job waits for its time.
    parks: bool,
    wake_up: WakeUp,
}

impl ChangedJobs {
    /// These jobs have just made a transition, or are new. Their requests are locked.
    pub(super) fn moved(&mut self, jobs: &[job::Model], cause: Option<Cause>) -> Result<(), Error> {
        for job in jobs {
            self.events.push(store::job_event::event_of(job, cause)?);
            self.charges.note(job);
            self.note_place(job);
        }
        self.touched(jobs);
        Ok(())
    }

    /// Takes note of a job of a user or a feature with a limit that makes room for others of them.
    fn note_place(&mut self, job: &job::Model) {
        let is_new = job.revision == 1;
        if job.status == JobStatus::Processing || is_new {
            return;
        }
        if let Some(limit) = job.concurrency {
            self.leave_place(job.user_id, limit);
        }
        if job.counted {
            self.leave_place_of_feature(job.feature_id, job.user_id);
        }
    }

    /// There may be room for jobs of this feature, of which one of this user was the last.
    pub(super) fn leave_place_of_feature(&mut self, feature_id: i64, user_id: i64) {
        self.bounded.insert(feature_id, user_id);
    }

    /// There may be room for jobs of this user, so many of which run at once.
    pub(super) fn leave_place(&mut self, user_id: i64, limit: i32) {
        let most = self.limited.entry(user_id).or_default();
        *most = limit.max(*most);
    }

    /// These jobs have changed without a transition. Their requests are locked.
    pub(super) fn touched(&mut self, jobs: &[job::Model]) {
        self.outdated.extend(jobs.iter().map(|job| job.request_id));
        let waiting = |job: &&job::Model| job.status == JobStatus::Pending;
        let (parked, queued): (Vec<_>, Vec<_>) =
            jobs.iter().filter(waiting).partition(|job| job.parked);
        self.parks |= !parked.is_empty();
        self.wake_up.merge(WakeUp {
            jobs: jobs.iter().map(|job| job.id).collect(),
            requests: jobs.iter().map(|job| job.request_id).collect(),
            users: jobs.iter().map(|job| job.user_id).collect(),
            ..WakeUp::default()
        });
        // What is parked is announced when its time has come.
        for job in queued.into_iter().filter(|job| !job.held) {
            self.wake_up.add_due(kind(job), 1);
        }
    }

    /// The statuses of the requests of these jobs are what they should be already.
    pub(super) fn requests_are_settled(&mut self, jobs: &[job::Model]) {
        for job in jobs {
            self.outdated.remove(&job.request_id);
        }
    }

    /// The new jobs take what Billing holds for them.
    pub(super) fn take_up(&mut self, hold: Option<&Hold>) {
        if let Some(hold) = hold {
            self.charges.take_up(hold);
        }
    }

    /// There may be more of this work, which this process leaves to others.
    pub(super) fn leave_work(&mut self, kinds: &[Capability]) {
        for kind in kinds {
            self.wake_up.add_due(kind.clone(), 1);
        }
        self.wake_up.leaves = true;
    }

    /// Writes down that a client has changed a locked request, or its jobs, or that it is deleted or live now. All of its
    /// jobs have changed by then.
    pub(super) async fn change_request(
        &mut self,
        tx: &Transaction,
        request: request::Model,
        deleted_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Counted, Error> {
        self.outdated.remove(&request.id);
        store::request::change(tx, request, deleted_at, now).await
    }

    /// Writes what follows from the changes, and returns what to tell once they are committed.
    async fn finish(
        mut self,
        tx: &Transaction,
        now: Now,
        billing: &Billing,
    ) -> Result<WakeUp, Error> {
        store::job_event::insert(tx, self.events).await?;
        if !self.outdated.is_empty() {
            queue::refresh_requests(tx, self.outdated, now).await?;
        }
        for (user_id, limit) in self.limited {
            queue::release_held(tx, user_id, limit).await?;
            // Whoever claimed meanwhile has passed over this user's jobs, of whatever kind they are.
            self.wake_up.merge(WakeUp::of_any_work());
        }
        for (feature_id, user_id) in self.bounded {
            queue::let_next_back(tx, feature_id, user_id).await?;
            self.wake_up.merge(WakeUp::of_any_work());
        }
        self.charges.settle(tx, billing).await?;
        Ok(self.wake_up)
    }
}

/// What a worker must run to take the job.
fn kind(job: &job::Model) -> Capability {
    Capability {
        provider: job.provider().unwrap_or_default().to_owned(),
        category: job.category,
    }
}

/// Why jobs are cancelled, see docs/domain.md#cancelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancelling {
    /// A client wants what waits no more.
    Waiting,
    /// A client wants what runs no more either.
    Running,
    /// They are about to be deleted.
    Deletion,
}

impl Cancelling {
    /// What a client asks for.
    pub(super) fn asked(stop_processing: bool) -> Self {
        match stop_processing {
            true => Self::Running,
            false => Self::Waiting,
        }
    }

    fn transitions(self) -> &'static [(Transition, Option<Cause>)] {
        const DELETED: Option<Cause> = Some(Cause::Deleted);
        match self {
            Self::Waiting => &[(Transition::Cancel, None)],
            Self::Running => &[
                (Transition::Cancel, None),
                (Transition::Stop, Some(Cause::Stopped)),
            ],
            Self::Deletion => &[(Transition::Cancel, DELETED), (Transition::Stop, DELETED)],
        }
    }
}

impl App {
    /// Does the work in one transaction: the jobs that it changes, their events, their requests' statuses, commit, and only
    /// then the wake-ups. What the work returns is all that is told of it: nothing is read after the commit, which could
    /// fail although all is stored.
    ///
    /// # Errors
    /// What the work fails with, or the database; nothing has changed then.
    pub(super) async fn change_jobs<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction, &mut ChangedJobs) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.attempt_on_jobs(work).await?
    }

    /// The same, with what has failed told apart as [`Store::attempt`](store::Store::attempt) does.
    ///
    /// # Errors
    /// The database, when it cannot begin or commit.
    pub(super) async fn attempt_on_jobs<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction, &mut ChangedJobs) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        let (now, billing) = (self.clock.queue(), &self.settings.billing);
        let attempted = self.store.attempt(async |tx| {
            let mut changed = ChangedJobs::default();
            let done = work(tx, &mut changed).await?;
            let (settles, parks) = (changed.charges.settles(), changed.parks);
            Ok((
                done,
                settles,
                parks,
                changed.finish(tx, now, billing).await?,
            ))
        });
        let (done, settles, parks, wake_up) = match attempted.await? {
            Ok(written) => written,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.events.publish(wake_up);
        if parks {
            self.events.wake_pause();
        }
        if settles {
            self.tell_billing();
        }
        Ok(Ok(done))
    }

    /// Cancels those of these locked jobs that `why` reaches, and returns them. Their requests are locked.
    pub(super) async fn cancel_jobs(
        &self,
        tx: &Transaction,
        jobs: &[job::Model],
        why: Cancelling,
        changed: &mut ChangedJobs,
    ) -> Result<Vec<job::Model>, Error> {
        let mut all = Vec::new();
        for (transition, cause) in why.transitions() {
            let reached = jobs
                .iter()
                .filter(|job| job.status == transition.rule().from);
            let ids: Vec<i64> = reached.map(|job| job.id).collect();
            if ids.is_empty() {
                continue;
            }
            let cancelled = queue::cancel(tx, *transition, &ids, self.clock.queue()).await?;
            changed.moved(&cancelled, *cause)?;
            all.extend(cancelled);
        }
        Ok(all)
    }

    /// Fails if this process would run these providers, of which one is enough, and knows that none of them can work.
    pub(super) fn check_ready<'a>(
        &self,
        providers: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        if !self.settings.runs_jobs {
            return Ok(());
        }
        let mut refusal = Ok(());
        for name in providers {
            match self.providers.get(name).map(|found| found.ready()) {
                Some(Err(unready)) if refusal.is_ok() => {
                    let (provider, missing) = (name.to_owned(), unready.lack.to_string());
                    refusal = Err(Error::ProviderNotReady { provider, missing });
                }
                Some(Err(_)) => {}
                Some(Ok(())) | None => return Ok(()),
            }
        }
        refusal
    }

    /// Makes a new job in the place of each of these, whose rows and whose request's are locked.
    pub(super) async fn supersede(
        &self,
        tx: &Transaction,
        request: &request::Model,
        jobs: &[job::Model],
        hold: Option<&Hold>,
        changed: &mut ChangedJobs,
    ) -> Result<Vec<job::Model>, Error> {
        self.admit_again(tx, request, jobs.len()).await?;
        let now = queue::time(tx, self.clock.queue()).await?;
        for job in jobs {
            self.check_ready(job.providers())?;
        }
        let ids = hold.map(|hold| hold.ids_for(jobs.len())).transpose()?;
        let successors = store::job::insert_successors(tx, ids, jobs, now).await?;
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
        changed.take_up(hold);
        changed.touched(jobs);
        changed.moved(&successors, None)?;
        Ok(successors)
    }
}
