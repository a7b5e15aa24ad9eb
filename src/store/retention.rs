//! What is kept no longer, see docs/retention.md. Each step looks for its rows with one text, be it to count them or to take the
//! next: so what was said to be due is what goes. Rows that others have locked are passed over; the next run finds them.

mod catalogue;
mod jobs;
mod media;
mod requests;
mod turn;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::domain::{Deadline, Error, RetentionStep};

use super::{Transaction, queue::dialect::Dialect};

pub use catalogue::{purge_features, purge_template, purgeable_template};
pub use jobs::purge as purge_jobs;
pub use media::{Abandoned, give_up as give_up_media, given_up as given_up_media, note_removed};
pub use requests::purge as purge_requests;
pub use turn::{end_turn, last_runs, renew_turn, take_turn};

/// Requests that have ended.
const ENDED: &str =
    "deleted_at IS NULL AND status IN ('completed', 'failed', 'cancelled') AND updated_at < $1";

/// The rows that a step looks for, without an order: from `SELECT` on for `what` of them.
fn due_rows(sql: Dialect, step: RetentionStep, what: &str) -> String {
    match step {
        RetentionStep::PlanRequests => {
            format!("SELECT {what} FROM generation_requests AS due WHERE plan = $2 AND {ENDED}")
        }
        RetentionStep::ArchiveRequests => format!(
            "SELECT {what} FROM generation_requests AS due {by_time} WHERE archived_at IS NULL AND {ENDED}",
            by_time = sql.indexed_by("idx_generation_requests_unarchived"),
        ),
        RetentionStep::PurgeJobs => jobs::due_rows(what),
        RetentionStep::DeletedMedia => media::due_rows(what),
        RetentionStep::PurgeTemplates => catalogue::due_templates(what),
        RetentionStep::PurgeFeatures => catalogue::due_features(what),
        RetentionStep::PurgeRequests => requests::due_rows(what),
        RetentionStep::IdempotencyKeys => {
            format!("SELECT {what} FROM generation_idempotency_keys AS due WHERE created_at < $1")
        }
    }
}

/// What a statement about due rows is given: the time, and the plan if there is one. How many rows it is about stands in the
/// statement itself, so that PostgreSQL plans for as many.
fn values(deadline: &Deadline) -> Vec<Value> {
    let mut values: Vec<Value> = vec![deadline.before.into()];
    values.extend(deadline.plan.clone().map(Value::from));
    values
}

/// The statements that [`due`] counts by, without a limit.
pub fn select_due(backend: DbBackend, step: RetentionStep) -> Vec<String> {
    let sql = Dialect::of_backend(backend);
    let mut statements = vec![due_rows(sql, step, "1 AS due")];
    if step == RetentionStep::DeletedMedia {
        statements.extend([media::along(sql), media::GIVEN_UP.to_owned()]);
    }
    statements
}

/// How many rows a step would touch, as far as `limit`.
pub async fn due(
    db: &impl ConnectionTrait,
    step: RetentionStep,
    deadline: &Deadline,
    limit: u64,
) -> Result<i64, Error> {
    let mut due = 0;
    for rows in select_due(db.get_database_backend(), step) {
        let values = match rows.contains("$1") {
            true => values(deadline),
            false => Vec::new(),
        };
        due += count(db, &rows, values, limit).await?;
    }
    Ok(due)
}

async fn count(
    db: &impl ConnectionTrait,
    rows: &str,
    values: Vec<Value>,
    limit: u64,
) -> Result<i64, Error> {
    let limit = limit.min(i64::MAX.unsigned_abs());
    let counted = format!("SELECT COUNT(*) AS due FROM ({rows} LIMIT {limit}) AS counted");
    let counted = Statement::from_sql_and_values(db.get_database_backend(), counted, values);
    let row = db.query_one_raw(counted).await?;
    row.map_or(Ok(0), |row| Ok(row.try_get("", "due")?))
}

/// The first `limit` requests that their plan keeps no longer, each with the version that was looked at.
pub async fn plan_requests(
    db: &impl ConnectionTrait,
    deadline: &Deadline,
    limit: u64,
) -> Result<Vec<(i64, i64)>, Error> {
    let rows = due_rows(Dialect::of(db), RetentionStep::PlanRequests, "id, version");
    let first = format!("{rows} ORDER BY updated_at, id LIMIT {limit}");
    let values = values(deadline);
    let first = Statement::from_sql_and_values(db.get_database_backend(), first, values);
    let rows = db.query_all_raw(first).await?;
    let read = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get("", "version")?));
    rows.iter().map(read).collect()
}

/// Hides the first `limit` requests that nobody has touched since, from lists. Returns how many.
pub async fn archive_requests(
    db: &impl ConnectionTrait,
    deadline: &Deadline,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "WITH first AS MATERIALIZED ({rows} ORDER BY updated_at, id LIMIT {limit} {skip_locked})
         UPDATE generation_requests SET archived_at = $2 WHERE id IN (SELECT id FROM first)",
        rows = due_rows(sql, RetentionStep::ArchiveRequests, "id"),
        skip_locked = sql.skip_locked("due"),
    );
    let mut values = values(deadline);
    values.push(now.into());
    sql.execute(db, statement, values).await
}

/// Forgets the first `limit` keys. Returns how many.
pub async fn forget_keys(
    db: &impl ConnectionTrait,
    deadline: &Deadline,
    limit: u64,
) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "WITH first AS MATERIALIZED ({rows} ORDER BY created_at LIMIT {limit} {skip_locked})
         DELETE FROM generation_idempotency_keys WHERE (user_id, key) IN (SELECT user_id, key FROM first)",
        rows = due_rows(sql, RetentionStep::IdempotencyKeys, "user_id, key"),
        skip_locked = sql.skip_locked("due"),
    );
    sql.execute(db, statement, values(deadline)).await
}

/// The identifiers that a statement returns.
async fn ids(
    tx: &Transaction,
    statement: String,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<i64>, Error> {
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let rows = tx.query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id"));
    Ok(ids.collect::<Result<_, _>>()?)
}
