//! Who runs jobs, as each worker says it of itself, and which of them operators drain, see docs/operations.md#draining-a-worker.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Statement,
    Value, sea_query::Expr,
};

use crate::{
    domain::{
        Error, Resource,
        job::{Skill, Transition},
    },
    entity::worker::{Column, Entity, Model},
    store::Transaction,
};

use super::{
    Now,
    dialect::{Dialect, condition},
};

/// One that has said nothing for so long was lost, and is told of no more.
const KEPT_SECONDS: f64 = 24.0 * 60.0 * 60.0;

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub struct Presence {
    /// As jobs have it in `worker_id`.
    pub name: String,
    /// Drawn at each start.
    pub instance: String,
    /// The machine's name.
    pub host: String,
    /// What its process is for.
    pub role: String,
    /// Of its program.
    pub version: String,
    /// What it runs, and what it lacks to.
    pub capabilities: Vec<Skill>,
    /// Jobs that it runs at once at most.
    pub slots: i32,
}

/// Whether this worker, the name of which is an expression, takes no job.
pub(super) fn is_drained(worker: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM generation_workers AS worker WHERE worker.name = {worker} AND worker.drained_at IS NOT NULL)"
    )
}

/// Notes that a worker is there, and forgets those that have been lost for long. Returns whether operators drain it: a process
/// that has begun anew they do not.
pub async fn note_worker(
    db: &impl ConnectionTrait,
    presence: &Presence,
    now: Now,
) -> Result<bool, Error> {
    let sql = Dialect::of(db);
    let forget = format!(
        "DELETE FROM generation_workers WHERE seen_at < {}",
        sql.after("$1", "$2")
    );
    sql.execute(db, forget, [now.into(), (-KEPT_SECONDS).into()])
        .await?;
    let kept = |column: &str, new: &str| {
        format!(
            "{column} = CASE WHEN generation_workers.instance = excluded.instance THEN generation_workers.{column} ELSE {new} END"
        )
    };
    let statement = format!(
        "INSERT INTO generation_workers
             (name, instance, host, role, version, capabilities, slots, started_at, seen_at)
         VALUES ($2, $3, $4, $5, $6, {capabilities}, $8, {now}, {now})
         ON CONFLICT (name) DO UPDATE SET {started_at}, {drained_at}, {drain_reason}, {drain_actor},
             instance = excluded.instance, host = excluded.host, role = excluded.role, version = excluded.version,
             capabilities = excluded.capabilities, slots = excluded.slots, seen_at = excluded.seen_at
         RETURNING drained_at IS NOT NULL AS is_drained",
        capabilities = sql.json("$7"),
        now = sql.now("$1"),
        started_at = kept("started_at", "excluded.started_at"),
        drained_at = kept("drained_at", "NULL"),
        drain_reason = kept("drain_reason", "NULL"),
        drain_actor = kept("drain_actor", "NULL"),
    );
    let capabilities = serde_json::to_string(&presence.capabilities).map_err(Error::internal)?;
    let values: [Value; 8] = [
        now.into(),
        presence.name.as_str().into(),
        presence.instance.as_str().into(),
        presence.host.as_str().into(),
        presence.role.as_str().into(),
        presence.version.as_str().into(),
        capabilities.into(),
        presence.slots.into(),
    ];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| Error::internal("a worker was not noted"))?;
    Ok(row.try_get("", "is_drained")?)
}

/// Forgets a worker that ends, unless another process has its name by now.
pub async fn forget_worker(
    db: &impl ConnectionTrait,
    name: &str,
    instance: &str,
) -> Result<(), Error> {
    Entity::delete_many()
        .filter(Column::Name.eq(name))
        .filter(Column::Instance.eq(instance))
        .exec(db)
        .await?;
    Ok(())
}

/// All that are known, in order of their names.
pub async fn workers(db: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    Ok(Entity::find().order_by_asc(Column::Name).all(db).await?)
}

/// How many jobs each worker runs, by its name.
pub async fn running_jobs(db: &impl ConnectionTrait) -> Result<BTreeMap<String, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        worker_id: String,
        jobs: i64,
    }
    let statement = format!(
        "SELECT worker_id, COUNT(*) AS jobs FROM generation_jobs {running}
         WHERE {condition} AND worker_id IS NOT NULL GROUP BY worker_id",
        running = Dialect::of(db).indexed_by("idx_generation_jobs_running"),
        condition = condition(Transition::Complete),
    );
    let statement = Statement::from_string(db.get_database_backend(), statement);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let rows = rows.into_iter().map(|row| (row.worker_id, row.jobs));
    Ok(rows.collect())
}

/// Has a worker take no job from now on, for this reason and in this name; `None` ends that. Returns the worker, and whether that
/// changes anything.
///
/// # Errors
/// [`Error::NotNamed`] if there is none of this name.
pub async fn set_drained(
    tx: &Transaction,
    name: &str,
    drain: Option<(&str, &str)>,
    now: DateTime<Utc>,
) -> Result<(Model, bool), Error> {
    let by_name = || Entity::find().filter(Column::Name.eq(name));
    let values = match drain {
        Some((reason, actor)) => (Some(now), Some(reason), Some(actor)),
        None => (None, None, None),
    };
    let to_change = match drain {
        Some(_) => Column::DrainedAt.is_null(),
        None => Column::DrainedAt.is_not_null(),
    };
    let changed = Entity::update_many()
        .col_expr(Column::DrainedAt, Expr::value(values.0))
        .col_expr(Column::DrainReason, Expr::value(values.1))
        .col_expr(Column::DrainActor, Expr::value(values.2))
        .filter(Column::Name.eq(name))
        .filter(to_change)
        .exec(tx)
        .await?;
    let worker = by_name().one(tx).await?;
    let worker = worker.ok_or_else(|| Error::not_named(Resource::Worker, name))?;
    Ok((worker, changed.rows_affected == 1))
}
