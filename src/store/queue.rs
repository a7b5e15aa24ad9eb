//! The job queue's own statements: the only SQL that differs between the databases.
//!
//! Time is the database's clock, so that leases do not depend on the clocks of the replicas. `now` replaces it in tests.
//! What a statement does to the status, and which rows it may change, comes from [`Transition`].

mod attempt;
mod dialect;

use std::{cmp::Reverse, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::Value;

use crate::{
    domain::{
        Error,
        job::{Failure, Transition},
    },
    entity::job::Model,
};

use super::Transaction;

use attempt::failure_values;
pub use attempt::{
    Lease, Report, complete, fail, hand_back, heartbeat, note_submission, note_task, retry,
};
use dialect::{Dialect, condition};

/// The clock of the queue: the database's unless a test gives a time.
pub type Now = Option<DateTime<Utc>>;

/// Takes up to `slots` due jobs, highest priority first and oldest first among equals, for a worker.
pub async fn claim(
    tx: &Transaction,
    worker_id: &str,
    lease_token: &str,
    lease: Duration,
    slots: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH next AS MATERIALIZED (
             SELECT id FROM generation_jobs
             WHERE {condition} AND run_after <= {now}
             ORDER BY priority DESC, id LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET {assignments},
             worker_id = $2, lease_token = $3, lease_expires_at = {lease_end},
             error_code = NULL, error_message = NULL, error_detail = NULL
         WHERE id IN (SELECT id FROM next) RETURNING {columns}",
        condition = condition(Transition::Claim),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked(),
        assignments = sql.assignments(Transition::Claim, "$1"),
        lease_end = sql.after("$1", "$4"),
        columns = sql.columns(),
    );
    let values: [Value; 5] = [
        now.into(),
        worker_id.into(),
        lease_token.into(),
        lease.as_secs_f64().into(),
        i64::from(slots).into(),
    ];
    let mut jobs = sql.rows(tx, statement, values).await?;
    jobs.sort_by_key(|job| (Reverse(job.priority), job.id));
    Ok(jobs)
}

/// Cancels a job if it is still pending; `None` if it is not any more.
pub async fn cancel(tx: &Transaction, job_id: i64, now: Now) -> Result<Option<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "UPDATE generation_jobs SET {assignments},
             error_code = NULL, error_message = NULL, error_detail = NULL
         WHERE id = $2 AND {condition} RETURNING {columns}",
        assignments = sql.assignments(Transition::Cancel, "$1"),
        condition = condition(Transition::Cancel),
        columns = sql.columns(),
    );
    let values: [Value; 2] = [now.into(), job_id.into()];
    Ok(sql.rows(tx, statement, values).await?.into_iter().next())
}

/// What to do with jobs whose lease has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Queue those that have attempts left.
    Requeue,
    /// Fail those that were deleted meanwhile: they do not wait for another attempt.
    FailDeleted,
    /// Fail those that have no attempt left.
    FailSpent,
}

/// Takes up to `limit` jobs from workers whose lease has run out.
pub async fn rescue(
    tx: &Transaction,
    what: Expired,
    failure: &Failure,
    limit: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let (transition, which) = match what {
        Expired::Requeue => (Transition::Rescue, "attempt < max_attempts"),
        Expired::FailDeleted => (Transition::Fail, "deleted_at IS NOT NULL"),
        Expired::FailSpent => (
            Transition::Fail,
            "deleted_at IS NULL AND attempt >= max_attempts",
        ),
    };
    let queue = match what {
        Expired::Requeue => format!(", run_after = {}", sql.now("$1")),
        Expired::FailDeleted | Expired::FailSpent => String::new(),
    };
    let statement = format!(
        "WITH expired AS MATERIALIZED (
             SELECT id FROM generation_jobs
             WHERE {condition} AND lease_expires_at < {now} AND {which}
             ORDER BY id LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET {assignments}{queue},
             error_code = $2, error_message = $3, error_detail = $4
         WHERE id IN (SELECT id FROM expired) RETURNING {columns}",
        condition = condition(transition),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked(),
        assignments = sql.assignments(transition, "$1"),
        columns = sql.columns(),
    );
    let mut values: Vec<Value> = vec![now.into()];
    values.extend(failure_values(failure));
    values.push(i64::from(limit).into());
    sql.rows(tx, statement, values).await
}
