//! What operators have paused, in the words of the queue's statements, see docs/operations.md#holding-the-queue.
//!
//! A claim looks by itself whether the queue or a provider is paused, which is a look into a small table for each of its
//! providers. Jobs of a paused feature stand among all others: those that a claim meets it takes out of the queue, so that nobody
//! walks past them again, and they come back when the feature is resumed.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::{
    domain::{Error, MediaType},
    entity::job::Model,
    store::Transaction,
};

use super::{
    dialect::Dialect,
    line::{Queue, TURN, ready},
    steps::distinct,
};

/// The index of what is out of the queue.
const PAUSED: &str = "idx_generation_jobs_paused";

/// Most jobs at the head of a queue of which a claim takes those out that are paused, and most that one statement lets back.
const AT_ONCE: u32 = 2_000;

/// Whether the queue is paused, or this provider. The text is an expression.
pub(super) fn closes(provider: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM generation_pauses AS pause
             WHERE pause.feature_id IS NULL AND (pause.provider IS NULL OR pause.provider = {provider}))"
    )
}

/// Whether the feature of a job is paused.
pub(super) fn of_feature() -> &'static str {
    "job.feature_id IN (SELECT pause.feature_id FROM generation_pauses AS pause WHERE pause.feature_id IS NOT NULL)"
}

/// Whether a job is paused in whatever way.
pub(super) fn pauses_job(sql: Dialect) -> String {
    let closed = closes(&sql.provider_of("job"));
    format!("({} OR {closed})", of_feature())
}

/// Takes these out of the queue, which are of paused features, and others of such that stand near them. How many.
///
/// A feature that is being resumed is passed over, and who resumes one waits for those who have met its pause: nothing is taken
/// out of the queue by a pause that has ended.
pub(super) async fn set_aside(tx: &Transaction, met: &[Model]) -> Result<u64, Error> {
    let features = format!(
        "SELECT feature_id FROM generation_pauses WHERE feature_id IS NOT NULL {shared}",
        shared = Dialect::of(tx).shared_unless_locked(),
    );
    set_aside_of(tx, met, &features, None).await
}

/// The same of these `features`, a query by the parameter $2 if one is given.
pub(super) async fn set_aside_of(
    tx: &Transaction,
    met: &[Model],
    features: &str,
    given: Option<Value>,
) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    let mut values: Vec<Value> = vec![sql.list(met.iter().map(|job| job.id))];
    values.extend(given);
    let mut near = Vec::new();
    for (provider, category, priority) in queues_of(met) {
        values.push(provider.into());
        near.push(head(sql, values.len(), category, priority));
    }
    let statement = format!(
        "WITH pause AS MATERIALIZED ({features}),
         near AS MATERIALIZED (SELECT id FROM {met} AS met UNION {near}),
         free AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job JOIN near ON near.id = job.id
             WHERE {ready} AND job.feature_id IN (SELECT feature_id FROM pause) {skip_locked}
         )
         UPDATE generation_jobs SET paused = TRUE WHERE id IN (SELECT id FROM free)",
        met = sql.rows_of("$1"),
        near = near.join(" UNION "),
        ready = ready(sql),
        skip_locked = sql.skip_locked("job"),
    );
    sql.execute(tx, statement, values).await
}

fn queues_of(jobs: &[Model]) -> BTreeSet<(&str, MediaType, i32)> {
    fn queue(job: &Model) -> (&str, MediaType, i32) {
        (
            job.provider().unwrap_or_default(),
            job.category,
            job.priority,
        )
    }
    jobs.iter().map(queue).collect()
}

/// The first jobs of this priority of a queue, the provider of which is in that parameter.
fn head(sql: Dialect, provider: usize, category: MediaType, priority: i32) -> String {
    let queue = Queue {
        provider: format!("${provider}"),
        category: sql.category(category),
    };
    format!(
        "SELECT id FROM (
             SELECT job.id FROM generation_jobs AS job
             WHERE {ready} AND {of_queue} AND job.priority = {priority} ORDER BY {TURN}, job.id LIMIT {AT_ONCE}
         ) AS head",
        ready = ready(sql),
        of_queue = queue.holds(sql),
    )
}

/// The features of jobs that are out of the queue although nothing pauses them any more: one look into the index for each feature
/// of which there are some.
pub async fn resumed(db: &impl ConnectionTrait) -> Result<Vec<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        feature_id: i64,
    }
    let sql = Dialect::of(db);
    let indexed = sql.indexed_by(PAUSED);
    let statement = format!(
        "WITH RECURSIVE {features}
         SELECT value AS feature_id FROM features WHERE value IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM generation_pauses AS pause WHERE pause.feature_id = features.value)",
        features = distinct("features", "job.feature_id", &set_aside_by(sql, "job"), &indexed),
    );
    let statement = Statement::from_string(db.get_database_backend(), statement);
    let rows = Row::find_by_statement(statement).all(db).await?;
    Ok(rows.into_iter().map(|row| row.feature_id).collect())
}

/// Lets some of these back into the queue, unless their feature is paused again; how many.
pub async fn let_back(db: &impl ConnectionTrait, feature_id: i64) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "WITH back AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job
             WHERE {paused} AND job.feature_id = $1
                 AND NOT EXISTS (SELECT 1 FROM generation_pauses AS pause WHERE pause.feature_id = $1)
             LIMIT {AT_ONCE} {skip_locked}
         )
         UPDATE generation_jobs SET paused = FALSE WHERE id IN (SELECT id FROM back)",
        paused = set_aside_by(sql, "job"),
        skip_locked = sql.skip_locked("job"),
    );
    sql.execute(db, statement, [feature_id.into()]).await
}

/// What is out of the queue, in the words of its index.
fn set_aside_by(sql: Dialect, jobs: &str) -> String {
    format!("{jobs}.paused = TRUE AND {}", sql.waiting(jobs))
}
