//! Jobs that wait for a time are out of the queue until then, see docs/domain.md#the-queue: nobody walks past them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::domain::Error;

use super::{Now, dialect::Dialect};

/// Most jobs that one statement lets back into the queue.
const AT_ONCE: u32 = 1_000;

/// How long until the next pause ends; nothing if one has ended already, and `None` if nobody waits for one.
pub async fn next_due(db: &impl ConnectionTrait, now: Now) -> Result<Option<Duration>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        run_after: DateTime<Utc>,
        now: DateTime<Utc>,
    }
    let sql = Dialect::of(db);
    let statement = format!(
        "SELECT job.run_after, {now} AS now FROM generation_jobs AS job WHERE {parked} ORDER BY job.run_after LIMIT 1",
        now = sql.now("$1"),
        parked = parked(sql),
    );
    let values = [now.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let next = Row::find_by_statement(statement).one(db).await?;
    Ok(next.map(|row| (row.run_after - row.now).to_std().unwrap_or_default()))
}

/// Lets jobs back into the queue whose pause has ended, the first of them at most; how many. What another lets go right now is
/// passed over.
pub async fn unpark_due(db: &impl ConnectionTrait, now: Now) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "WITH due AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job WHERE {parked} AND job.run_after <= {now}
             ORDER BY job.run_after LIMIT {AT_ONCE} {skip_locked}
         )
         UPDATE generation_jobs SET parked = FALSE WHERE id IN (SELECT id FROM due)",
        parked = parked(sql),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked("job"),
    );
    sql.execute(db, statement, [now.into()]).await
}

/// In the words of its index.
fn parked(sql: Dialect) -> String {
    format!("job.parked = TRUE AND {}", sql.waiting("job"))
}
