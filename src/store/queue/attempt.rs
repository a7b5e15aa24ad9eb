//! What a running attempt writes. All of it is conditional on its lease; none changed means that the lease is lost.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Statement,
    Value,
};
use serde_json::{Value as Json, json};

use crate::{
    domain::{
        Error,
        job::{AttemptEnd, Attempts, Failure, Transition},
    },
    entity::job::{Column, Entity, Model},
    store::{Transaction, one_of::one_of_ids},
};

use super::{
    Now,
    dialect::{Dialect, condition, condition_of},
};

/// Whatever ends an attempt of a live job can be made by the same jobs.
const RUNS: Transition = Transition::Complete;

/// Which attempt writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Which of these leases have not been taken away; they may have run out.
pub async fn held(
    db: &impl ConnectionTrait,
    leases: impl Iterator<Item = &Lease>,
) -> Result<BTreeSet<Lease>, Error> {
    let jobs = leases.map(|lease| lease.job_id);
    let held = Entity::find()
        .filter(one_of_ids(db.get_database_backend(), Column::Id, jobs))
        .filter(Column::LeaseToken.is_not_null())
        .select_only()
        .columns([Column::Id, Column::LeaseToken])
        .into_tuple();
    let held = held.all(db).await?.into_iter();
    Ok(held
        .map(|(job_id, token)| Lease { job_id, token })
        .collect())
}

/// A task that is about to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Of the attempt that submits it.
    pub lease: Lease,
    /// Which provider runs the attempt.
    pub provider: String,
    /// The key under which the provider knows the task.
    pub key: String,
}

/// Notes that a task is about to be submitted; false if the lease is lost.
pub async fn note_submission(
    db: &impl ConnectionTrait,
    submission: &Submission,
) -> Result<bool, Error> {
    let statement =
        "UPDATE generation_jobs SET provider = $3, submission_key = $4, provider_task_id = NULL
                     WHERE id = $1 AND lease_token = $2 AND status = 'processing'";
    let values: [Value; 4] = [
        submission.lease.job_id.into(),
        submission.lease.token.as_str().into(),
        submission.provider.as_str().into(),
        submission.key.as_str().into(),
    ];
    Ok(Dialect::of(db)
        .execute(db, statement.to_owned(), values)
        .await?
        == 1)
}

/// The same of several at once. Waits for no lock: of jobs that somebody has locked nothing is noted. Returns what was.
pub async fn note_submissions(
    db: &impl ConnectionTrait,
    submissions: &[Submission],
) -> Result<BTreeSet<Lease>, Error> {
    let sql = Dialect::of(db);
    let given = submissions
        .iter()
        .map(|it| of_lease(&it.lease, json!({ "provider": it.provider, "key": it.key })));
    let given = Json::from(given.collect::<Vec<_>>()).to_string();
    let statement = format!(
        "WITH given AS MATERIALIZED (SELECT * FROM {given}),
         free AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job JOIN given ON given.id = job.id {skip_locked}
         )
         UPDATE generation_jobs SET provider = given.provider, submission_key = given.key, provider_task_id = NULL FROM given
         WHERE generation_jobs.id = given.id AND generation_jobs.lease_token = given.token
             AND generation_jobs.status = 'processing' AND generation_jobs.id IN (SELECT id FROM free)
         RETURNING generation_jobs.id AS id, lease_token",
        given = sql.records("$1", "id bigint, token text, provider text, key text"),
        skip_locked = sql.skip_locked("job"),
    );
    let statement =
        Statement::from_sql_and_values(db.get_database_backend(), statement, [given.into()]);
    let mut noted = BTreeSet::new();
    for row in db.query_all_raw(statement).await? {
        noted.insert(Lease {
            job_id: row.try_get("", "id")?,
            token: row.try_get("", "lease_token")?,
        });
    }
    Ok(noted)
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
/// have lost their lease. The requests of the jobs are locked too.
pub async fn complete(
    tx: &Transaction,
    ended: &[(&Lease, Json)],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let given = ended
        .iter()
        .map(|(lease, output)| of_lease(lease, json!({ "output": output })));
    let change = format!(
        "{assignments}, progress = 1, output_metadata = given.output",
        assignments = Dialect::of(tx).assignments(Transition::Complete, "$1"),
    );
    end_all(tx, given.collect(), ("output jsonb", &change), now).await
}

/// Ends attempts that have made nothing, each in its own way, and returns their jobs as [`complete`] does. A job that waits for a
/// pause is out of the queue until then.
pub async fn end(
    tx: &Transaction,
    ended: &[(&Lease, &AttemptEnd)],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let given = ended
        .iter()
        .map(|(lease, end)| Ok(of_lease(lease, fields_of(end)?)));
    let given = given.collect::<Result<_, Error>>()?;
    let fields = "becomes text, ends_job boolean, taken_back integer, code text, message text, detail text, pause double precision, keeps_task boolean, provider text, input jsonb";
    let change = format!(
        "{assignments},
         run_after = CASE WHEN given.ends_job THEN run_after ELSE {due} END, parked = given.pause > 0,
         error_code = COALESCE(given.code, error_code), error_message = COALESCE(given.message, error_message),
         error_detail = CASE WHEN given.code IS NULL THEN error_detail ELSE given.detail END,
         submission_key = CASE WHEN given.keeps_task THEN submission_key END,
         provider_task_id = CASE WHEN given.keeps_task THEN provider_task_id END,
         provider = COALESCE(given.provider, generation_jobs.provider), input_json = COALESCE(given.input, input_json)",
        assignments = sql.assignments_of_each("$1"),
        due = sql.after("$1", "given.pause"),
    );
    end_all(tx, given, (fields, &change), now).await
}

/// What becomes of the job of an attempt that has made nothing.
fn fields_of(end: &AttemptEnd) -> Result<Json, Error> {
    let rule = end.transition().rule();
    let failure = end.failure();
    let input = end.input();
    Ok(json!({
        "becomes": rule.to.as_str(),
        "ends_job": rule.ends_job(),
        "taken_back": i32::from(rule.attempts == Attempts::TakeBack),
        "code": failure.map(|it| it.reason.as_str()),
        "message": failure.map(|it| &it.message),
        "detail": failure.and_then(|it| it.detail.as_ref()),
        "pause": end.pause().as_secs_f64(),
        "keeps_task": end.keeps_task(),
        "provider": input.map(|it| &it.provider),
        "input": serde_json::to_value(input).map_err(Error::internal)?,
    }))
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
         UPDATE generation_jobs SET {change} FROM given
         WHERE generation_jobs.id = given.id AND generation_jobs.lease_token = given.token AND {condition}
             AND generation_jobs.id IN (SELECT id FROM locked)",
        given = sql.records("$2", &format!("id bigint, token text, {fields}")),
        held = condition_of("job", RUNS),
        lock = sql.locked(),
        condition = condition(RUNS),
    );
    let values: [Value; 2] = [now.into(), ended.into()];
    let mut ended = sql
        .rows(tx, sql.locking_requests(&statement), values)
        .await?;
    ended.sort_unstable_by_key(|job| job.id);
    Ok(ended)
}
