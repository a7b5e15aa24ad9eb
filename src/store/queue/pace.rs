//! How fast the queues move, from what runs and what has ended last: both are few, and found by an index.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::domain::{
    Error, MediaType,
    job::{Capability, Pace},
};

use super::{Now, dialect::Dialect};

/// So many jobs that have ended are looked at, of all queues.
const LOOKED_AT: u32 = 500;
/// Those that have ended in this time are counted.
const PERIOD: Duration = Duration::from_secs(60);
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// How fast each queue moves of which something runs or has ended of late.
#[derive(Clone, Debug)]
pub struct Paces {
    /// When that was found out, by the database's clock.
    pub now: DateTime<Utc>,
    of: BTreeMap<Capability, Pace>,
}

impl Paces {
    /// That of one queue; `None` if nothing is known of it.
    pub fn of(&self, queue: &Capability) -> Option<Pace> {
        self.of.get(queue).copied()
    }
}

/// Of one queue. Times are in microseconds.
#[derive(FromQueryResult)]
struct Row {
    provider: String,
    category: MediaType,
    running: i64,
    took: Option<i64>,
    ended: i64,
    /// When the first of those ended that were looked at.
    first_end: Option<i64>,
}

/// How fast the queues move.
pub async fn paces(db: &impl ConnectionTrait, now: Now) -> Result<Paces, Error> {
    let sql = Dialect::of(db);
    let time = super::time(db, now).await?;
    let statement = format!(
        "SELECT provider, category, CAST(SUM(running) AS BIGINT) AS running, CAST(AVG(took) AS BIGINT) AS took,
             CAST(SUM(ended) AS BIGINT) AS ended, MIN(ended_at) AS first_end
         FROM (
             SELECT {provider} AS provider, CAST(job.category AS TEXT) AS category, 1 AS running,
                 CAST(NULL AS BIGINT) AS took, 0 AS ended, CAST(NULL AS BIGINT) AS ended_at
             FROM generation_jobs AS job {by_running} WHERE job.status = 'processing'
             UNION ALL
             SELECT provider, category, 0, ended_at - started_at, CASE WHEN ended_at > $1 THEN 1 ELSE 0 END, ended_at
             FROM (
                 SELECT {provider} AS provider, CAST(job.category AS TEXT) AS category, job.status,
                     {started_at} AS started_at, {ended_at} AS ended_at
                 FROM generation_jobs AS job {by_end} WHERE job.completed_at IS NOT NULL
                 ORDER BY job.completed_at DESC, job.id DESC LIMIT {LOOKED_AT}
             ) AS last WHERE status IN ('completed', 'failed') AND started_at IS NOT NULL
         ) AS jobs GROUP BY provider, category",
        provider = sql.provider_of("job"),
        by_running = sql.indexed_by("idx_generation_jobs_running"),
        started_at = sql.microseconds_of("job.started_at"),
        ended_at = sql.microseconds_of("job.completed_at"),
        by_end = sql.indexed_by("idx_generation_jobs_completed_at"),
    );
    let since = (time - PERIOD).timestamp_micros();
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, statement, [since.into()]);
    let rows = Row::find_by_statement(statement).all(db).await?;
    // Where more have ended in that time than are looked at, it is as long as those reach back.
    let first_end = rows.iter().filter_map(|row| row.first_end).min();
    let reach = first_end.map_or(0, |end| time.timestamp_micros() - end);
    let reach = Duration::from_micros(u64::try_from(reach).unwrap_or_default());
    let period = reach.clamp(SHORTEST_PERIOD, PERIOD);
    let of = rows.into_iter().map(|row| row.pace(period)).collect();
    Ok(Paces { now: time, of })
}

impl Row {
    fn pace(self, period: Duration) -> (Capability, Pace) {
        let took = self.took.and_then(|took| u64::try_from(took).ok());
        let pace = Pace {
            running: u32::try_from(self.running).unwrap_or(u32::MAX),
            took: took.map(Duration::from_micros),
            ended: u32::try_from(self.ended).unwrap_or(u32::MAX),
            period,
        };
        let queue = Capability {
            provider: self.provider,
            category: self.category,
        };
        (queue, pace)
    }
}
