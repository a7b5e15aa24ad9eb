//! What the workers can run, as they say it themselves, and the jobs that none of them can.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use crate::{
    domain::{
        Error, MediaType, QueuePart,
        job::{Capability, Failure, Transition},
    },
    entity::job::Model,
    store::Transaction,
};

use super::{
    Now,
    attempt::failure_values,
    dialect::Dialect,
    line::{Queue, READY, TURN, queued, queues},
    paused::{closes, pauses_job},
};

/// What a worker lacks whose provider has a service that does not answer.
pub const AWAY: &str = "its service does not answer";

/// What is known of the workers that have a provider for media of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Name of the provider.
    pub provider: String,
    /// The type of media.
    pub category: MediaType,
    /// Whether a worker has said of late that it can run such jobs.
    pub lately: bool,
    /// What a worker lacks that has the provider and cannot run it.
    pub missing: Option<String>,
}

impl Announced {
    /// Whether there is a worker that has the provider, ready or not.
    pub fn is_known(&self) -> bool {
        self.lately || self.missing.is_some()
    }

    /// Whether no worker has the provider but those whose service does not answer.
    pub fn is_away(&self) -> bool {
        !self.lately && self.missing.as_deref() == Some(AWAY)
    }
}

/// Writes down what a worker can run, or what it lacks to.
pub async fn announce(
    db: &impl ConnectionTrait,
    capabilities: &[(Capability, Result<(), String>)],
    now: Now,
) -> Result<(), Error> {
    if capabilities.is_empty() {
        return Ok(());
    }
    let sql = Dialect::of(db);
    let mut values: Vec<Value> = vec![now.into()];
    let rows = capabilities.iter().map(|(capability, ready)| {
        values.push(capability.provider.as_str().into());
        values.push(ready.clone().err().into());
        let seen_at = match ready {
            Ok(()) => sql.now("$1"),
            Err(_) => "NULL".to_owned(),
        };
        let (missing, provider) = (values.len(), values.len() - 1);
        let category = capability.category.as_str();
        format!("(${provider}, '{category}', {seen_at}, ${missing})")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let statement = format!(
        "INSERT INTO generation_capabilities (provider, category, seen_at, missing) VALUES {rows}
         ON CONFLICT (provider, category) DO UPDATE SET missing = excluded.missing,
             seen_at = COALESCE(excluded.seen_at, generation_capabilities.seen_at)"
    );
    sql.execute(db, statement, values).await?;
    Ok(())
}

/// What keeps jobs waiting, whichever they are.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// All that workers have ever announced.
    pub announced: Vec<Announced>,
    /// What operators have paused, each with why.
    pub pauses: Vec<(QueuePart, String)>,
}

/// What workers have announced, `lately` within `fresh`, and what is paused.
pub async fn situation(
    db: &impl ConnectionTrait,
    fresh: Duration,
    now: Now,
) -> Result<Situation, Error> {
    /// Of a worker if it has a category, else of a pause.
    #[derive(FromQueryResult)]
    struct Row {
        provider: Option<String>,
        category: Option<MediaType>,
        missing: Option<String>,
        lately: bool,
        feature_id: Option<i64>,
        reason: Option<String>,
    }
    let sql = Dialect::of(db);
    let statement = format!(
        "SELECT provider, CAST(category AS TEXT) AS category, missing, COALESCE(seen_at >= {since}, FALSE) AS lately,
             CAST(NULL AS BIGINT) AS feature_id, CAST(NULL AS TEXT) AS reason
         FROM generation_capabilities
         UNION ALL SELECT provider, NULL, NULL, FALSE, feature_id, reason FROM generation_pauses",
        since = sql.after("$1", "$2"),
    );
    let mut situation = Situation::default();
    let found: Vec<Row> = rows(db, statement, [now.into(), before(fresh)]).await?;
    for row in found {
        match row.category {
            Some(category) => situation.announced.push(Announced {
                provider: row.provider.unwrap_or_default(),
                category,
                lately: row.lately,
                missing: row.missing,
            }),
            None => situation.pauses.push((
                QueuePart::of(row.provider, row.feature_id),
                row.reason.unwrap_or_default(),
            )),
        }
    }
    Ok(situation)
}

/// What jobs wait for that no worker has said within `timeout` that it can run. Each is some looks into the index, however many
/// jobs there are.
pub async fn unclaimed(
    db: &impl ConnectionTrait,
    timeout: Duration,
    now: Now,
) -> Result<Vec<Capability>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        provider: String,
        category: MediaType,
    }
    let sql = Dialect::of(db);
    let queue = Queue::of_all();
    let statement = format!(
        "WITH RECURSIVE {queues}
         SELECT providers.value AS provider, CAST(categories.value AS TEXT) AS category FROM providers CROSS JOIN categories
         WHERE providers.value IS NOT NULL AND NOT {closed} AND NOT {served} AND (
             SELECT job.id FROM generation_jobs AS job {indexed} WHERE {queued} AND {of_queue}
             ORDER BY job.held, job.priority DESC LIMIT 1
         ) IS NOT NULL",
        queues = queues(sql),
        served = has_worker(&queue, &sql.after("$1", "$2")),
        closed = closes(&queue.provider),
        indexed = sql.indexed_by(READY),
        queued = queued(sql),
        of_queue = queue.holds(sql),
    );
    let found: Vec<Row> = rows(db, statement, [now.into(), before(timeout)]).await?;
    let capability = |Row { provider, category }| Capability { provider, category };
    Ok(found.into_iter().map(capability).collect())
}

/// Fails up to `limit` of the jobs that wait for this in vain, and returns them in order of id.
pub async fn fail_unclaimed(
    tx: &Transaction,
    capability: &Capability,
    timeout: Duration,
    failure: &Failure,
    limit: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let queue = Queue {
        provider: "$3".to_owned(),
        category: sql.category(capability.category),
    };
    let statement = format!(
        "WITH unclaimed AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job {indexed}
             WHERE {queued} AND {of_queue} AND {in_vain}
             ORDER BY job.held, job.priority DESC, {TURN}, job.id LIMIT (SELECT CAST($7 AS bigint)) {skip_locked}
         )
         UPDATE generation_jobs SET {assignments}, error_code = $4, error_message = $5, error_detail = $6
         WHERE id IN (SELECT id FROM unclaimed)",
        indexed = sql.indexed_by(READY),
        queued = queued(sql),
        of_queue = queue.holds(sql),
        in_vain = waits_in_vain(sql, &queue, &sql.after("$1", "$2")),
        skip_locked = sql.skip_locked("job"),
        assignments = sql.assignments(Transition::Expire, "$1"),
    );
    let mut values: Vec<Value> = vec![now.into(), before(timeout)];
    values.push(capability.provider.as_str().into());
    values.extend(failure_values(failure));
    values.push(i64::from(limit).into());
    sql.rows(tx, sql.locking_requests(&statement), values).await
}

/// Whether a job of this queue has been due since before `then`, and no worker could run it in that time. Its last transition
/// made it wait. What operators have paused does not wait for a worker.
fn waits_in_vain(sql: Dialect, queue: &Queue, then: &str) -> String {
    format!(
        "job.run_after < {then} AND job.updated_at < {then} AND NOT {paused} AND NOT {served}",
        paused = pauses_job(sql),
        served = has_worker(queue, then),
    )
}

/// Whether a worker has said since `then` that it can run what is in this queue.
fn has_worker(Queue { provider, category }: &Queue, then: &str) -> String {
    format!(
        "EXISTS (
             SELECT 1 FROM generation_capabilities AS capability
             WHERE capability.provider = {provider} AND capability.category = {category} AND capability.seen_at >= {then}
         )"
    )
}

/// A time in the past, for [`Dialect::after`].
fn before(time: Duration) -> Value {
    (-time.as_secs_f64()).into()
}

async fn rows<R: FromQueryResult>(
    db: &impl ConnectionTrait,
    statement: String,
    values: [Value; 2],
) -> Result<Vec<R>, Error> {
    let backend: DbBackend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, statement, values);
    Ok(R::find_by_statement(statement).all(db).await?)
}
