//! Who pays for what, see docs/credits.md: jobs hold their cost from when they are made until they end.

mod estimate;
mod expire;
mod grant;
mod hold;
mod settle;
mod tell;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    billing::{Billing, Remote},
    domain::{Error, JobStatus},
    entity::job,
    store::{Transaction, credit, reservation},
};

pub use estimate::Estimate;
pub(super) use hold::{Asked, Hold};

/// How long Billing is to hold something for a job that it has not heard of again.
const HELD_FOR: TimeDelta = TimeDelta::hours(24);
/// When it is told that the job goes on.
const RENEWED_AFTER: TimeDelta = TimeDelta::hours(12);

/// What a transaction does to credits: done last in it, so that nobody waits for the user's grants for longer than the limit
/// needs.
#[derive(Debug, Default)]
pub(super) struct Charges {
    /// Of jobs that are new.
    reserved: Vec<credit::Charge>,
    /// Jobs that have ended.
    ended: Vec<i64>,
    /// Whether Billing holds what the new ones take.
    held: Option<bool>,
}

impl Charges {
    /// Takes note of a job that has just made a transition, or is new.
    pub(super) fn note(&mut self, job: &job::Model) {
        if job.status.is_terminal() {
            self.ended.push(job.id);
        } else if is_new(job) {
            // None was kept for the jobs of older programs, nor for those that retry them.
            self.reserved.extend(charge(job));
        }
    }

    /// Whether jobs have ended, of which somebody else may have to hear.
    pub(super) fn settles(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The new jobs take what is held for them.
    pub(super) fn take_up(&mut self, hold: &Hold) {
        self.held = Some(hold.is_reserved);
    }

    /// Reserves, commits and releases, all keyed by job.
    pub(super) async fn settle(self, tx: &Transaction, billing: &Billing) -> Result<(), Error> {
        match billing {
            Billing::Off => Ok(()),
            Billing::Ledger => {
                if !self.ended.is_empty() {
                    credit::settle(tx, &self.ended).await?;
                }
                credit::reserve(tx, &self.reserved).await
            }
            Billing::Remote(remote) => {
                if !self.ended.is_empty() {
                    reservation::settle(tx, &self.ended).await?;
                }
                match self.reserved.last().map(|charge| charge.at) {
                    None => Ok(()),
                    Some(now) => self.take_held(tx, remote, now).await,
                }
            }
        }
    }

    async fn take_held(
        &self,
        tx: &Transaction,
        remote: &Remote,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let is_reserved = self.held.unwrap_or(false);
        // What Billing has not heard of, it is told at once.
        let due_at = match is_reserved {
            true => now + RENEWED_AFTER,
            false => now,
        };
        if !reservation::hold(tx, &self.reserved, is_reserved, due_at).await? {
            let words = "what was held is not what the jobs cost any more, or was given back";
            return Err(Error::BillingUnavailable(words.into()));
        }
        let most = remote.accept_unreserved();
        if !is_reserved && reservation::unreserved(tx).await? > most {
            let words = format!("jobs of {most} credits wait for Billing already");
            return Err(Error::BillingUnavailable(words.into()));
        }
        Ok(())
    }
}

/// The first revision of a job is its making.
fn is_new(job: &job::Model) -> bool {
    job.revision == 1 && job.status == JobStatus::Pending
}

fn charge(job: &job::Model) -> Option<credit::Charge> {
    let amount = job.cost.filter(|cost| *cost > 0)?;
    Some(credit::Charge {
        job_id: job.id,
        request_id: job.request_id,
        user_id: job.user_id,
        amount,
        at: job.created_at,
    })
}
