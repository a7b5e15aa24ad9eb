//! The job queue's own statements: the only SQL that differs between the databases.
//!
//! Time is the database's clock, so that leases do not depend on the clocks of the replicas. `now` replaces it in tests.
//! Every write of a running attempt is conditional on its lease token; none changed means that the lease is lost.

use std::{cmp::Reverse, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, Iterable, Statement, Value, sea_query::Iden as _,
};
use serde_json::Value as Json;

use crate::{
    domain::{Error, job::Failure},
    entity::job::{Column, Entity, Model},
};

use super::Transaction;

/// The clock of the queue: the database's unless a test gives a time.
pub type Now = Option<DateTime<Utc>>;

/// Which attempt writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job_id: i64,
    pub token: String,
}

/// Takes up to `slots` due jobs, highest priority first and oldest first among equals, for a worker.
pub async fn claim(
    tx: &Transaction,
    worker_id: &str,
    lease_token: &str,
    lease: Duration,
    slots: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH next AS MATERIALIZED (
             SELECT id FROM generation_jobs
             WHERE status = 'pending' AND deleted_at IS NULL AND run_after <= {now}
             ORDER BY priority DESC, id LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET
             status = 'processing', worker_id = $2, lease_token = $3, lease_expires_at = {lease_end},
             started_at = {now}, updated_at = {now}, attempt = attempt + 1, revision = revision + 1,
             progress = 0, progress_message = NULL, progress_preview = NULL, error_code = NULL, error_message = NULL, error_detail = NULL
         WHERE id IN (SELECT id FROM next) RETURNING {columns}",
        now = sql.now("$1"),
        lease_end = sql.after("$1", "$4"),
        skip_locked = sql.skip_locked(),
        columns = sql.columns(),
    );
    let values: [Value; 5] = [
        now.into(),
        worker_id.into(),
        lease_token.into(),
        lease.as_secs_f64().into(),
        i64::from(slots).into(),
    ];
    let mut jobs = sql.rows(tx, statement, values).await?;
    jobs.sort_by_key(|job| (Reverse(job.priority), job.id));
    Ok(jobs)
}

/// Cancels a job if it is still pending; `None` if it is not any more.
pub async fn cancel(tx: &Transaction, job_id: i64, now: Now) -> Result<Option<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "UPDATE generation_jobs SET
             status = 'cancelled', completed_at = {now}, updated_at = {now}, revision = revision + 1,
             error_code = NULL, error_message = NULL, error_detail = NULL
         WHERE id = $2 AND status = 'pending' RETURNING {columns}",
        now = sql.now("$1"),
        columns = sql.columns(),
    );
    let values: [Value; 2] = [now.into(), job_id.into()];
    Ok(sql.rows(tx, statement, values).await?.into_iter().next())
}

/// How far an attempt is, as the job's row tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// 0 to 1.
    pub progress: f64,
    pub message: Option<String>,
    /// A tiny picture as a data URL; the one before stays if there is none.
    pub preview: Option<String>,
}

/// Renews a lease and tells how far the attempt is; false if the lease is lost.
pub async fn heartbeat(
    db: &impl ConnectionTrait,
    lease: &Lease,
    length: Duration,
    report: Report,
    now: Now,
) -> Result<bool, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "UPDATE generation_jobs SET lease_expires_at = {lease_end}, progress = $5, progress_message = $6,
             progress_preview = COALESCE($7, progress_preview)
         WHERE id = $3 AND lease_token = $4 AND status = 'processing'",
        lease_end = sql.after("$1", "$2"),
    );
    let values: [Value; 7] = [
        now.into(),
        length.as_secs_f64().into(),
        lease.job_id.into(),
        lease.token.as_str().into(),
        report.progress.clamp(0.0, 1.0).into(),
        report.message.into(),
        report.preview.into(),
    ];
    Ok(sql.execute(db, statement, values).await? == 1)
}

/// Notes which provider runs the attempt and the key under which its task is about to be submitted; false if the lease is
/// lost.
pub async fn note_submission(
    db: &impl ConnectionTrait,
    lease: &Lease,
    provider: &str,
    key: &str,
) -> Result<bool, Error> {
    let statement =
        "UPDATE generation_jobs SET provider = $3, submission_key = $4, provider_task_id = NULL
                     WHERE id = $1 AND lease_token = $2 AND status = 'processing'";
    let values: [Value; 4] = [
        lease.job_id.into(),
        lease.token.as_str().into(),
        provider.into(),
        key.into(),
    ];
    Ok(Dialect::of(db)
        .execute(db, statement.to_owned(), values)
        .await?
        == 1)
}

/// Notes the provider's name of the submitted task; false if the lease is lost.
pub async fn note_task(
    db: &impl ConnectionTrait,
    lease: &Lease,
    task_id: &str,
) -> Result<bool, Error> {
    let statement = "UPDATE generation_jobs SET provider_task_id = $3
                     WHERE id = $1 AND lease_token = $2 AND status = 'processing'";
    let values: [Value; 3] = [
        lease.job_id.into(),
        lease.token.as_str().into(),
        task_id.into(),
    ];
    Ok(Dialect::of(db)
        .execute(db, statement.to_owned(), values)
        .await?
        == 1)
}

/// Ends an attempt with success; `None` if the lease is lost.
pub async fn complete(
    tx: &Transaction,
    lease: &Lease,
    output: Json,
    now: Now,
) -> Result<Option<Model>, Error> {
    let change =
        "status = 'completed', completed_at = {now}, progress = 1, progress_message = NULL, progress_preview = NULL,
                  output_metadata = $4";
    end_attempt(tx, lease, change, vec![output.into()], now).await
}

/// Ends an attempt and its job with a failure; `None` if the lease is lost.
pub async fn fail(
    tx: &Transaction,
    lease: &Lease,
    failure: &Failure,
    now: Now,
) -> Result<Option<Model>, Error> {
    let change =
        "status = 'failed', completed_at = {now}, progress_message = NULL, progress_preview = NULL,
                  error_code = $4, error_message = $5, error_detail = $6";
    end_attempt(tx, lease, change, failure_values(failure), now).await
}

/// Ends an attempt and queues the job again after a pause; `None` if the lease is lost.
///
/// `keep_task` says that the provider still works on the submitted task, so that the next attempt only asks for it.
pub async fn retry(
    tx: &Transaction,
    lease: &Lease,
    failure: &Failure,
    pause: Duration,
    keep_task: bool,
    now: Now,
) -> Result<Option<Model>, Error> {
    let forget_task = forget_task(keep_task);
    let change = format!(
        "status = 'pending', run_after = {{after:$7}}, progress = 0, progress_message = NULL, progress_preview = NULL,
         error_code = $4, error_message = $5, error_detail = $6{forget_task}"
    );
    let mut values = failure_values(failure);
    values.push(pause.as_secs_f64().into());
    end_attempt(tx, lease, &change, values, now).await
}

/// Puts a job back that its worker cannot go on with; the attempt does not count. `None` if the lease is lost.
pub async fn hand_back(
    tx: &Transaction,
    lease: &Lease,
    keep_task: bool,
    now: Now,
) -> Result<Option<Model>, Error> {
    let change = format!(
        "status = 'pending', run_after = {{now}}, attempt = attempt - 1, progress = 0, progress_message = NULL, progress_preview = NULL{}",
        forget_task(keep_task)
    );
    end_attempt(tx, lease, &change, Vec::new(), now).await
}

fn forget_task(keep_task: bool) -> &'static str {
    if keep_task {
        ""
    } else {
        ", submission_key = NULL, provider_task_id = NULL"
    }
}

fn failure_values(failure: &Failure) -> Vec<Value> {
    vec![
        failure.reason.as_str().into(),
        failure.message.as_str().into(),
        failure.detail.clone().into(),
    ]
}

/// Changes the row of a running attempt and takes the lease off it. The values of `change` begin at $4.
async fn end_attempt(
    tx: &Transaction,
    lease: &Lease,
    change: &str,
    values: Vec<Value>,
    now: Now,
) -> Result<Option<Model>, Error> {
    let sql = Dialect::of(tx);
    let change = change
        .replace("{now}", &sql.now("$1"))
        .replace("{after:$7}", &sql.after("$1", "$7"));
    let statement = format!(
        "UPDATE generation_jobs SET {change}, revision = revision + 1, updated_at = {now},
             lease_token = NULL, lease_expires_at = NULL
         WHERE id = $2 AND lease_token = $3 AND status = 'processing' RETURNING {columns}",
        now = sql.now("$1"),
        columns = sql.columns(),
    );
    let mut all: Vec<Value> = vec![now.into(), lease.job_id.into(), lease.token.as_str().into()];
    all.extend(values);
    Ok(sql.rows(tx, statement, all).await?.into_iter().next())
}

/// What to do with jobs whose lease has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Queue those that have attempts left.
    Requeue,
    /// Fail those that have none.
    Fail,
}

/// Takes up to `limit` jobs from workers whose lease has run out.
pub async fn rescue(
    tx: &Transaction,
    what: Expired,
    failure: &Failure,
    limit: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let (attempts, change) = match what {
        Expired::Requeue => (
            "attempt < max_attempts",
            "status = 'pending', run_after = {now}, progress = 0",
        ),
        Expired::Fail => (
            "attempt >= max_attempts",
            "status = 'failed', completed_at = {now}",
        ),
    };
    let statement = format!(
        "WITH expired AS MATERIALIZED (
             SELECT id FROM generation_jobs
             WHERE status = 'processing' AND lease_expires_at < {now} AND {attempts}
             ORDER BY id LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET {change}, revision = revision + 1, updated_at = {now}, progress_message = NULL, progress_preview = NULL,
             lease_token = NULL, lease_expires_at = NULL,
             error_code = $2, error_message = $3, error_detail = $4
         WHERE id IN (SELECT id FROM expired) RETURNING {columns}",
        now = sql.now("$1"),
        change = change.replace("{now}", &sql.now("$1")),
        skip_locked = sql.skip_locked(),
        columns = sql.columns(),
    );
    let mut values: Vec<Value> = vec![now.into()];
    values.extend(failure_values(failure));
    values.push(i64::from(limit).into());
    sql.rows(tx, statement, values).await
}

/// How the two databases say the same.
#[derive(Clone, Copy)]
struct Dialect {
    backend: DbBackend,
}

impl Dialect {
    fn of(db: &impl ConnectionTrait) -> Self {
        Self {
            backend: db.get_database_backend(),
        }
    }

    /// The time in parameter `given`, or the database's when it is NULL.
    fn now(self, given: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("COALESCE({given}::timestamptz, statement_timestamp())"),
            _ => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', COALESCE({given}, 'now'))"),
        }
    }

    /// That time and the seconds in parameter `seconds`.
    fn after(self, given: &str, seconds: &str) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!("({} + make_interval(secs => {seconds}))", self.now(given))
            }
            _ => format!(
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', COALESCE({given}, 'now'), {seconds} || ' seconds')"
            ),
        }
    }

    /// SQLite has one writer and so nothing to skip.
    fn skip_locked(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "FOR UPDATE SKIP LOCKED",
            _ => "",
        }
    }

    /// All columns, the enums as text, which is how the entity reads them.
    fn columns(self) -> String {
        let column = |column: Column| match column {
            Column::Status | Column::Category => {
                format!("CAST({0} AS TEXT) AS {0}", column.unquoted())
            }
            _ => column.unquoted().to_owned(),
        };
        Column::iter().map(column).collect::<Vec<_>>().join(", ")
    }

    async fn rows(
        self,
        tx: &Transaction,
        statement: String,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Model>, Error> {
        let statement = Statement::from_sql_and_values(self.backend, statement, values);
        Ok(Entity::find().from_raw_sql(statement).all(tx).await?)
    }

    async fn execute(
        self,
        db: &impl ConnectionTrait,
        statement: String,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, Error> {
        let statement = Statement::from_sql_and_values(self.backend, statement, values);
        Ok(db.execute_raw(statement).await?.rows_affected())
    }
}
