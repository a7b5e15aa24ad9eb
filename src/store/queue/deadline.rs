//! Jobs that have to start in time, see docs/domain.md#schedules.

use sea_orm::Value;

use crate::{
    domain::{
        Error,
        job::{Failure, Transition},
    },
    entity::job::Model,
    store::Transaction,
};

use super::{Now, attempt::failure_values, dialect::Dialect};

/// Whether a job may still start at the time in parameter `given`, or has before.
pub(super) fn in_time(sql: Dialect, given: &str) -> String {
    let now = sql.now(given);
    format!(
        "(job.start_deadline IS NULL OR job.started_at IS NOT NULL OR job.start_deadline > {now})"
    )
}

/// Cancels up to `limit` of the jobs that have not started in time, and returns them in order of id.
pub async fn cancel_late(
    tx: &Transaction,
    failure: &Failure,
    limit: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH late AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job {indexed}
             WHERE {waits} AND job.started_at IS NULL AND job.start_deadline IS NOT NULL AND job.start_deadline <= {now}
             ORDER BY job.start_deadline LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET {assignments}, error_code = $2, error_message = $3, error_detail = $4
         WHERE id IN (SELECT id FROM late)",
        indexed = sql.indexed_by("idx_generation_jobs_start_deadline"),
        waits = sql.waiting("job"),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked("job"),
        assignments = sql.assignments(Transition::Cancel, "$1"),
    );
    let mut values: Vec<Value> = vec![now.into()];
    values.extend(failure_values(failure));
    values.push(i64::from(limit).into());
    sql.rows(tx, sql.locking_requests(&statement), values).await
}
