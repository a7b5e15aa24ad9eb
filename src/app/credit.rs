//! Who pays for what, see docs/credits.md: jobs hold their cost from when they are made until they end.

mod estimate;
mod expire;
mod grant;

use crate::{
    domain::{Billing, Error, JobStatus},
    entity::job,
    store::{Transaction, credit},
};

pub use estimate::Estimate;

/// What a transaction does to credits: done last in it, so that nobody waits for the user's grants for longer than the limit
/// needs.
#[derive(Debug, Default)]
pub(super) struct Charges {
    /// Of jobs that are new.
    reserved: Vec<credit::Charge>,
    /// Jobs that have ended.
    ended: Vec<i64>,
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

    /// Reserves, commits and releases, all keyed by job.
    pub(super) async fn settle(self, tx: &Transaction, billing: Billing) -> Result<(), Error> {
        match billing {
            Billing::Off => Ok(()),
            Billing::Ledger => {
                if !self.ended.is_empty() {
                    credit::settle(tx, &self.ended).await?;
                }
                credit::reserve(tx, &self.reserved).await
            }
        }
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
