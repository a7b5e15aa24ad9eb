//! The end of jobs that have long ended. Their events go with them; what they have made stays.

use crate::{
    domain::{Deadline, Error, RetentionStep},
    store::{Transaction, queue::dialect::Dialect},
};

use super::{ids, values};

/// A job that still holds credits, or of which Billing has not heard to the end, is needed.
pub(super) fn holds_credits(job: &str) -> String {
    format!(
        "(EXISTS (SELECT 1 FROM generation_reservations AS open WHERE open.job_id = {job}.id)
         OR EXISTS (
             SELECT 1 FROM generation_credit_transactions AS held
             WHERE held.job_id = {job}.id AND held.kind = 'reservation' AND NOT EXISTS (
                 SELECT 1 FROM generation_credit_transactions AS settled
                 WHERE settled.job_id = held.job_id AND settled.grant_id = held.grant_id
                     AND settled.kind IN ('commit', 'release'))))"
    )
}

/// What a retry has superseded goes before its successor or with it: it would count for its request again otherwise.
pub(super) fn due_rows(what: &str) -> String {
    format!(
        "SELECT {what} FROM generation_jobs AS due
         WHERE due.completed_at IS NOT NULL AND due.completed_at < $1 AND NOT {holds_credits}
             AND NOT EXISTS (
                 SELECT 1 FROM generation_jobs AS before WHERE before.superseded_by = due.id
                     AND (before.completed_at IS NULL OR before.completed_at >= $1 OR {before_holds}))",
        holds_credits = holds_credits("due"),
        before_holds = holds_credits("before"),
    )
}

/// Removes the first `limit` jobs for good, and has their requests keep how they had ended. Returns how many.
pub async fn purge(tx: &Transaction, deadline: &Deadline, limit: u64) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "{rows} ORDER BY due.completed_at, due.id LIMIT {limit} {skip_locked}",
        rows = super::due_rows(sql, RetentionStep::PurgeJobs, "due.id"),
        skip_locked = sql.skip_locked("due"),
    );
    let locked = ids(tx, statement, values(deadline)).await?;
    let locked = without_orphans(tx, sql, locked).await?;
    if locked.is_empty() {
        return Ok(0);
    }
    lock_requests(tx, sql, &locked).await?;
    keep_counts(tx, sql, &locked).await?;
    let statement = format!("DELETE FROM generation_jobs WHERE id {}", sql.one_of("$1"));
    sql.execute(tx, statement, [sql.list(locked)]).await
}

/// Those of the locked jobs that supersede none which is not among them, since another has locked it.
async fn without_orphans(
    tx: &Transaction,
    sql: Dialect,
    mut locked: Vec<i64>,
) -> Result<Vec<i64>, Error> {
    loop {
        let statement = format!(
            "SELECT DISTINCT superseded_by AS id FROM generation_jobs
             WHERE superseded_by {these} AND NOT (id {these})",
            these = sql.one_of("$1"),
        );
        let left = ids(tx, statement, [sql.list(locked.iter().copied())]).await?;
        if left.is_empty() {
            return Ok(locked);
        }
        locked.retain(|id| !left.contains(id));
    }
}

/// After the jobs, as everywhere.
async fn lock_requests(tx: &Transaction, sql: Dialect, jobs: &[i64]) -> Result<(), Error> {
    let statement = format!(
        "SELECT id FROM generation_requests WHERE id IN (SELECT request_id FROM generation_jobs WHERE id {these})
         ORDER BY id {lock}",
        these = sql.one_of("$1"),
        lock = sql.locked(),
    );
    ids(tx, statement, [sql.list(jobs.iter().copied())]).await?;
    Ok(())
}

async fn keep_counts(tx: &Transaction, sql: Dialect, jobs: &[i64]) -> Result<(), Error> {
    let counting = |status: &str| {
        format!(
            "COUNT(CASE WHEN job.status = '{status}' AND job.superseded_by IS NULL
                 AND job.deleted_at IS NOT DISTINCT FROM request.deleted_at THEN 1 END) AS {status}"
        )
    };
    let statement = format!(
        "UPDATE generation_requests SET purged_jobs = purged_jobs + purged.jobs,
             purged_completed = purged_completed + purged.completed,
             purged_failed = purged_failed + purged.failed,
             purged_cancelled = purged_cancelled + purged.cancelled
         FROM (
             SELECT request.id, COUNT(*) AS jobs, {completed}, {failed}, {cancelled}
             FROM generation_jobs AS job JOIN generation_requests AS request ON request.id = job.request_id
             WHERE job.id {these} GROUP BY request.id
         ) AS purged
         WHERE generation_requests.id = purged.id",
        completed = counting("completed"),
        failed = counting("failed"),
        cancelled = counting("cancelled"),
        these = sql.one_of("$1"),
    );
    let jobs = sql.list(jobs.iter().copied());
    sql.execute(tx, statement, [jobs]).await?;
    Ok(())
}
