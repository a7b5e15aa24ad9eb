//! The end of deleted requests, with all that is of them: the foreign keys take it along.

use crate::{
    domain::{Deadline, Error, RetentionStep},
    store::{Transaction, queue::dialect::Dialect},
};

use super::{ids, jobs::holds_credits, values};

/// None goes while a job of it may still change or holds credits, nor while the file of a media stands in the storage.
pub(super) fn due_rows(what: &str) -> String {
    format!(
        "SELECT {what} FROM generation_requests AS due
         WHERE due.deleted_at IS NOT NULL AND due.deleted_at < $1
             AND NOT EXISTS (
                 SELECT 1 FROM generation_jobs AS job WHERE job.request_id = due.id
                     AND (job.completed_at IS NULL OR {holds_credits}))
             AND NOT EXISTS (
                 SELECT 1 FROM generation_media AS media WHERE media.request_id = due.id
                     AND (media.content_deleted_at IS NULL OR media.storage_key IS NOT NULL))",
        holds_credits = holds_credits("job"),
    )
}

/// Removes the first `limit` requests for good. Returns how many.
pub async fn purge(tx: &Transaction, deadline: &Deadline, limit: u64) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    let rows = super::due_rows(sql, RetentionStep::PurgeRequests, "due.id");
    let first = format!("{rows} ORDER BY due.deleted_at, due.id LIMIT {limit}");
    let first = ids(tx, first, values(deadline)).await?;
    // The jobs' locks come before the request's, everywhere.
    for (table, column) in [
        ("generation_jobs", "request_id"),
        ("generation_requests", "id"),
    ] {
        let lock = format!(
            "SELECT id FROM {table} WHERE {column} {these} ORDER BY id {lock}",
            these = sql.one_of("$1"),
            lock = sql.locked(),
        );
        ids(tx, lock, [sql.list(first.iter().copied())]).await?;
    }
    let statement = format!(
        "DELETE FROM generation_requests WHERE id IN ({rows} AND due.id {these})",
        these = sql.one_of("$2"),
    );
    let mut values = values(deadline);
    values.push(sql.list(first));
    sql.execute(tx, statement, values).await
}
