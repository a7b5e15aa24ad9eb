//! What jobs hold in the ledger that nobody has settled when they ended.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    domain::Error,
    store::{
        Transaction,
        one_of::{id_list, is_one_of},
    },
};

/// What a look at some of the jobs has found that have reserved something.
#[derive(Debug, Default)]
pub struct Left {
    /// Those that have ended, or are gone, and still hold something; ascending.
    pub jobs: Vec<i64>,
    /// The last that was looked at; `None` if there are no more.
    pub last: Option<i64>,
}

/// Looks at up to `limit` reservations of the jobs after this one.
pub async fn left(db: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Left, Error> {
    let looked_at = "SELECT held.job_id, CASE WHEN settled.id IS NULL
             AND (job.id IS NULL OR job.status IN ('completed', 'failed', 'cancelled')) THEN 1 ELSE 0 END AS is_left
         FROM (
             SELECT job_id, grant_id FROM generation_credit_transactions
             WHERE kind = 'reservation' AND job_id > $1 ORDER BY job_id LIMIT $2
         ) AS held
         LEFT JOIN generation_credit_transactions AS settled ON settled.job_id = held.job_id
             AND settled.grant_id = held.grant_id AND settled.kind IN ('commit', 'release')
         LEFT JOIN generation_jobs AS job ON job.id = held.job_id
         ORDER BY held.job_id";
    let limit = i64::try_from(limit).map_err(Error::internal)?;
    let values = [after.into(), limit.into()];
    let looked_at = Statement::from_sql_and_values(db.get_database_backend(), looked_at, values);
    let mut left = Left::default();
    for row in db.query_all_raw(looked_at).await? {
        let job: i64 = row.try_get("", "job_id")?;
        if row.try_get::<i32>("", "is_left")? == 1 && left.jobs.last() != Some(&job) {
            left.jobs.push(job);
        }
        left.last = Some(job);
    }
    Ok(left)
}

/// Has those of these jobs that are gone give back what they hold, once.
pub async fn release_vanished(
    tx: &Transaction,
    job_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let statement = format!(
        "INSERT INTO generation_credit_transactions
             (user_id, kind, debited, credited, amount, grant_id, job_id, request_id, created_at)
         SELECT user_id, 'release', credited, debited, amount, grant_id, job_id, request_id, {now}
         FROM generation_credit_transactions AS held
         WHERE kind = 'reservation' AND job_id {jobs}
             AND NOT EXISTS (SELECT 1 FROM generation_jobs AS job WHERE job.id = held.job_id)
         ORDER BY id
         ON CONFLICT DO NOTHING RETURNING grant_id, amount",
        now = match backend {
            sea_orm::DbBackend::Postgres => "CAST($2 AS timestamptz)",
            _ => "$2",
        },
        jobs = is_one_of(backend, "$1"),
    );
    let values = [id_list(backend, job_ids.iter().copied()), now.into()];
    let statement = Statement::from_sql_and_values(backend, statement, values);
    let mut released: BTreeMap<i64, i64> = BTreeMap::new();
    for row in tx.query_all_raw(statement).await? {
        let amount: i64 = row.try_get("", "amount")?;
        *released.entry(row.try_get("", "grant_id")?).or_default() += amount;
    }
    super::change_remaining(tx, released).await
}
