//! What a running attempt writes. All of it is conditional on its lease; none changed means that the lease is lost.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Value,
};
use serde_json::{Value as Json, json};

use crate::{
    domain::{
        Error,
        job::{Failure, Transition},
    },
    entity::job::{Column, Entity, Model},
    store::Transaction,
};

use super::{
    Now,
    dialect::{Dialect, condition, condition_of},
};

/// Which attempt writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job that it runs.
    pub job_id: i64,
    /// Drawn anew for each claim; a row with another has been taken away.
    pub token: String,
}

/// How far an attempt is, as the job's row tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// 0 to 1.
    pub progress: f64,
    /// What it does now, as the provider says it; `None` if it says nothing.
    pub message: Option<String>,
    /// A tiny picture as a data URL, if it is a new one; the one before stays otherwise.
    pub preview: Option<String>,
}

/// Shortest time between two writes of an attempt's progress: the newest replaces those between. SQLite has one writer, and each
/// write waits for the disk.
pub fn progress_interval(db: &impl ConnectionTrait) -> Duration {
    match db.get_database_backend() {
        DbBackend::Sqlite => Duration::from_secs(1),
        _ => Duration::from_millis(200),
    }
}

/// Renews a lease and tells how far the attempt is; false if the lease is lost.
///
/// No column that it writes is in an index, or in the condition of one: a test holds that PostgreSQL has no index to change.
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

/// Whether the lease has not been taken away; it may have run out.
pub async fn holds(db: &impl ConnectionTrait, lease: &Lease) -> Result<bool, Error> {
    let held = Entity::find_by_id(lease.job_id)
        .filter(Column::LeaseToken.eq(&lease.token))
        .select_only()
        .column(Column::Id)
        .into_tuple::<i64>();
    Ok(held.one(db).await?.is_some())
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

/// Ends attempts with success, each with what is known of its output, and returns their jobs in order of id; none of those that
/// have lost their lease. Here and below the requests of the jobs are locked too.
pub async fn complete(
    tx: &Transaction,
    ended: &[(&Lease, Json)],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let given = ended
        .iter()
        .map(|(lease, output)| of_lease(lease, json!({ "output": output })));
    let change = "progress = 1, output_metadata = given.output";
    let given = given.collect();
    end_all(
        tx,
        Transition::Complete,
        given,
        ("output jsonb", change),
        now,
    )
    .await
}

/// Ends attempts and their jobs, each with a failure, and returns these as [`complete`] does.
pub async fn fail(
    tx: &Transaction,
    ended: &[(&Lease, &Failure)],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let failure = |it: &Failure| json!({ "code": it.reason.as_str(), "message": it.message, "detail": it.detail });
    let given = ended.iter().map(|(lease, it)| of_lease(lease, failure(it)));
    let fields = "code text, message text, detail text";
    let change =
        "error_code = given.code, error_message = given.message, error_detail = given.detail";
    let given = given.collect();
    end_all(tx, Transition::Fail, given, (fields, change), now).await
}

/// Ends an attempt and queues the job again after a pause, until which it is out of the queue; `None` if the lease is lost or the job deleted.
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
    let change = format!(
        "run_after = {}, parked = $8, error_code = $4, error_message = $5, error_detail = $6{}",
        Dialect::of(tx).after("$1", "$7"),
        forget_task(keep_task),
    );
    let mut values = failure_values(failure);
    values.extend([pause.as_secs_f64().into(), (!pause.is_zero()).into()]);
    end(tx, lease, Transition::Retry, &change, values, now).await
}

/// Puts a job back that its worker cannot go on with; the attempt does not count. `None` if the lease is lost or the job
/// deleted.
pub async fn hand_back(
    tx: &Transaction,
    lease: &Lease,
    keep_task: bool,
    now: Now,
) -> Result<Option<Model>, Error> {
    let change = Dialect::of(tx).due_at_once("$1") + forget_task(keep_task);
    end(tx, lease, Transition::HandBack, &change, Vec::new(), now).await
}

/// Puts a job back for another provider; the attempt does not count. `None` if the lease is lost or the job deleted.
pub async fn fall_back(
    tx: &Transaction,
    lease: &Lease,
    provider: &str,
    input: Json,
    failure: &Failure,
    now: Now,
) -> Result<Option<Model>, Error> {
    let change = format!(
        "{}, error_code = $4, error_message = $5, error_detail = $6, provider = $7, input_json = $8{}",
        Dialect::of(tx).due_at_once("$1"),
        forget_task(false)
    );
    let mut values = failure_values(failure);
    values.extend([provider.into(), input.into()]);
    end(tx, lease, Transition::HandBack, &change, values, now).await
}

fn forget_task(keep_task: bool) -> &'static str {
    if keep_task {
        ""
    } else {
        ", submission_key = NULL, provider_task_id = NULL"
    }
}

pub(super) fn failure_values(failure: &Failure) -> Vec<Value> {
    vec![
        failure.reason.as_str().into(),
        failure.message.as_str().into(),
        failure.detail.clone().into(),
    ]
}

fn of_lease(lease: &Lease, mut fields: Json) -> Json {
    fields["id"] = lease.job_id.into();
    fields["token"] = lease.token.as_str().into();
    fields
}

/// Changes the rows of running attempts, each by fields of its own, and takes the leases off them. The jobs are locked in order
/// of their ids. The text is the same however many they are.
async fn end_all(
    tx: &Transaction,
    transition: Transition,
    given: Vec<Json>,
    (fields, change): (&str, &str),
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let ended = Json::from(given).to_string();
    let statement = format!(
        "WITH given AS MATERIALIZED (SELECT * FROM {given}),
         locked AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job JOIN given ON given.id = job.id AND given.token = job.lease_token
             WHERE {held} ORDER BY job.id {lock}
         )
         UPDATE generation_jobs SET {assignments}, {change} FROM given
         WHERE generation_jobs.id = given.id AND generation_jobs.lease_token = given.token AND {condition}
             AND generation_jobs.id IN (SELECT id FROM locked)",
        given = sql.records("$2", &format!("id bigint, token text, {fields}")),
        held = condition_of("job", transition),
        lock = sql.locked(),
        assignments = sql.assignments(transition, "$1"),
        condition = condition(transition),
    );
    let values: [Value; 2] = [now.into(), ended.into()];
    let mut ended = sql
        .rows(tx, sql.locking_requests(&statement), values)
        .await?;
    ended.sort_unstable_by_key(|job| job.id);
    Ok(ended)
}

/// Changes the row of a running attempt and takes the lease off it. The values of `change` begin at $4.
async fn end(
    tx: &Transaction,
    lease: &Lease,
    transition: Transition,
    change: &str,
    values: Vec<Value>,
    now: Now,
) -> Result<Option<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "UPDATE generation_jobs SET {assignments}, {change}
         WHERE id = $2 AND lease_token = $3 AND {condition}",
        assignments = sql.assignments(transition, "$1"),
        condition = condition(transition),
    );
    let mut all: Vec<Value> = vec![now.into(), lease.job_id.into(), lease.token.as_str().into()];
    all.extend(values);
    let ended = sql.rows(tx, sql.locking_requests(&statement), all);
    Ok(ended.await?.into_iter().next())
}
