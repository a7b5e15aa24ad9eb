//! How much waits in the queue. Each pending job is counted, so this is not for what is done often.

use std::time::Duration;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::domain::{
    Error,
    job::{Band, Transition},
};

use super::{
    Now,
    dialect::{Dialect, condition_of},
    paused::pauses_job,
};

/// All that waits, by provider and priority.
pub async fn depth(db: &impl ConnectionTrait, now: Now) -> Result<Vec<Band>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        provider: String,
        priority: i32,
        ready: i64,
        paused: i64,
        oldest: Option<i64>,
    }
    let sql = Dialect::of(db);
    let ready = format!(
        "job.held = FALSE AND job.parked = FALSE AND job.paused = FALSE AND job.run_after <= {} AND NOT {}",
        sql.now("$1"),
        pauses_job(sql),
    );
    let statement = format!(
        "SELECT {provider} AS provider, job.priority, COUNT(CASE WHEN {ready} THEN 1 END) AS ready,
             COUNT(CASE WHEN NOT ({ready}) THEN 1 END) AS paused,
             {now} - MIN(CASE WHEN {ready} THEN {begin} END) AS oldest
         FROM generation_jobs AS job WHERE {pending} GROUP BY {provider}, job.priority",
        provider = sql.provider_of("job"),
        now = sql.microseconds("$1"),
        begin = sql.microseconds_of(
            "CASE WHEN job.run_after > job.created_at THEN job.run_after ELSE job.created_at END"
        ),
        pending = condition_of("job", Transition::Claim),
    );
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, statement, [now.into()]);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let band = |row: Row| Band {
        oldest: Duration::from_micros(
            u64::try_from(row.oldest.unwrap_or_default()).unwrap_or_default(),
        ),
        provider: row.provider,
        priority: row.priority,
        ready: row.ready,
        paused: row.paused,
    };
    Ok(rows.into_iter().map(band).collect())
}
