//! The end of deleted templates and features.

use sea_orm::{ConnectionTrait, Statement};

use crate::{
    domain::{Deadline, Error, RetentionStep},
    store::{Transaction, queue::dialect::Dialect},
};

use super::{ids, values};

pub(super) fn due_templates(what: &str) -> String {
    format!(
        "SELECT {what} FROM generation_templates AS due
         WHERE due.deleted_at IS NOT NULL AND due.deleted_at < $1"
    )
}

/// A feature stays while a request or a job is of it, as the foreign keys demand, or a template that is not due.
/// One look into an index tells each: as EXISTS, PostgreSQL may read whole tables where one feature has nearly all rows.
pub(super) fn due_features(what: &str) -> String {
    format!(
        "SELECT {what} FROM generation_features AS due
         WHERE due.deleted_at IS NOT NULL AND due.deleted_at < $1
             AND (SELECT MAX(request.id) FROM generation_requests AS request WHERE request.feature_id = due.id) IS NULL
             AND (SELECT MAX(job.id) FROM generation_jobs AS job WHERE job.feature_id = due.id) IS NULL
             AND NOT EXISTS (
                 SELECT 1 FROM generation_templates AS template WHERE template.feature_id = due.id
                     AND (template.deleted_at IS NULL OR template.deleted_at >= $1))"
    )
}

/// The first template whose time is over.
pub async fn purgeable_template(
    db: &impl ConnectionTrait,
    deadline: &Deadline,
) -> Result<Option<i64>, Error> {
    let rows = super::due_rows(Dialect::of(db), RetentionStep::PurgeTemplates, "due.id");
    let first = format!("{rows} ORDER BY due.deleted_at, due.id LIMIT 1");
    let values = values(deadline);
    let first = Statement::from_sql_and_values(db.get_database_backend(), first, values);
    let row = db.query_one_raw(first).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}

/// Has up to `limit` requests forget a template, as the foreign key would all of them at once, and removes it when none is left that
/// has it. Whether it is gone, `None` while there are more; false if it is not due any more.
pub async fn purge_template(
    tx: &Transaction,
    id: i64,
    deadline: &Deadline,
    limit: u64,
) -> Result<Option<bool>, Error> {
    let sql = Dialect::of(tx);
    let rows = super::due_rows(sql, RetentionStep::PurgeTemplates, "due.id");
    let mut these = values(deadline);
    these.push(id.into());
    let lock = format!("{rows} AND due.id = $2 {}", sql.locked());
    if ids(tx, lock, these.clone()).await?.is_empty() {
        return Ok(Some(false));
    }
    let statement = format!(
        "WITH first AS MATERIALIZED (
             SELECT due.id FROM generation_requests AS due WHERE due.template_id = $1 LIMIT {limit} {skip_locked}
         )
         UPDATE generation_requests SET template_id = NULL WHERE id IN (SELECT id FROM first)",
        skip_locked = sql.skip_locked("due"),
    );
    if sql.execute(tx, statement, [id.into()]).await? > 0 {
        return Ok(None);
    }
    let statement =
        format!("DELETE FROM generation_templates WHERE id IN ({rows} AND due.id = $2)");
    Ok(Some(sql.execute(tx, statement, these).await? > 0))
}

/// Removes the first `limit` features for good, with what is left of their templates. Returns how many.
pub async fn purge_features(
    tx: &Transaction,
    deadline: &Deadline,
    limit: u64,
) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH first AS MATERIALIZED ({rows} ORDER BY due.deleted_at, due.id LIMIT {limit} {skip_locked})
         DELETE FROM generation_features WHERE id IN (SELECT id FROM first)",
        rows = super::due_rows(sql, RetentionStep::PurgeFeatures, "due.id"),
        skip_locked = sql.skip_locked("due"),
    );
    sql.execute(tx, statement, values(deadline)).await
}
