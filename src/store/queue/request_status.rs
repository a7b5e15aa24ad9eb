//! A request's status from those of its jobs, see docs/domain.md#request-status.

use sea_orm::Value;

use crate::{domain::Error, store::Transaction};

use super::{Now, dialect::Dialect};

/// Recomputes the statuses of requests whose jobs have changed, and whose rows are locked.
///
/// Locks are taken in this order everywhere: jobs by id, then requests by id. That leaves no way into a deadlock. The lock
/// comes in a statement before this one, so that this one sees what others have committed until then.
///
/// This is [`request_status`](crate::domain::request_status) in SQL, for any number of requests at once; a test holds one
/// against the other.
pub async fn refresh_requests(
    tx: &Transaction,
    ids: impl IntoIterator<Item = i64>,
    now: Now,
) -> Result<(), Error> {
    let sql = Dialect::of(tx);
    let of_request =
        "job.superseded_by IS NULL AND job.deleted_at IS NOT DISTINCT FROM request.deleted_at";
    let count = |status: &str| format!("COUNT(CASE WHEN job.status = '{status}' THEN 1 END)");
    let first = |which: &str, order: &str| {
        format!(
            "(SELECT id FROM generation_jobs AS job WHERE job.request_id = request.id AND {of_request} AND {which}
              ORDER BY job.id {order} LIMIT 1)",
        )
    };
    // Of a request of many jobs, most of which wait, all would be counted each time that some end: the last one tells enough.
    let goes_on = format!(
        "{} IS NOT NULL AND ({} IS NOT NULL OR request.purged_completed + request.purged_failed + request.purged_cancelled > 0)",
        first("job.status IN ('pending', 'processing')", "DESC"),
        first("job.status <> 'pending'", "ASC"),
    );
    let with_purged = |status: &str| format!("({} + request.purged_{status})", count(status));
    let statement = format!(
        "UPDATE generation_requests SET status = counted.status, updated_at = {now}, version = version + 1
         FROM (
             SELECT request.id, CASE
                 WHEN {all} = 0 AND request.status IN ('completed', 'failed') THEN request.status
                 WHEN {processing} > 0 OR ({pending} > 0 AND {pending} < {all}) THEN 'processing'
                 WHEN {pending} > 0 THEN 'pending'
                 WHEN {completed} > 0 THEN 'completed'
                 WHEN {failed} > 0 THEN 'failed'
                 ELSE 'cancelled' END AS status
             FROM generation_requests AS request
             LEFT JOIN generation_jobs AS job ON job.request_id = request.id AND {of_request}
             WHERE request.id {ids} AND NOT (request.status = 'processing' AND {goes_on})
             GROUP BY request.id, request.status, request.purged_completed, request.purged_failed, request.purged_cancelled
         ) AS counted
         WHERE generation_requests.id = counted.id AND generation_requests.status <> counted.status",
        now = sql.now("$1"),
        processing = count("processing"),
        pending = count("pending"),
        completed = with_purged("completed"),
        failed = with_purged("failed"),
        all = "(COUNT(job.id) + request.purged_completed + request.purged_failed + request.purged_cancelled)",
        ids = sql.one_of("$2"),
    );
    let values: [Value; 2] = [now.into(), sql.list(ids)];
    sql.execute(tx, statement, values).await?;
    Ok(())
}
