//! What Billing holds for jobs, and is still to be told of them, see docs/credits.md#billing-elsewhere. A row is written before
//! Billing is asked, and goes when it has answered to the end of its job.
//!
//! Several rows are locked at once only where they are decided, with jobs and requests locked before, or by who passes over what
//! is locked: that leaves no way into a deadlock.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    domain::{Error, JobStatus, ReservationState},
    entity::{
        job,
        reservation::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    Transaction,
    credit::Charge,
    one_of::{id_list, is_one_of, one_of_ids},
};

/// The key of the lock that whoever adds to what Billing has not heard of holds; any number would do.
const UNRESERVED_LOCK: i64 = 0x4174_656c_6965_7219;

/// Writes down what is about to be held. It is given back if it is not held by then.
pub async fn intend(
    tx: &Transaction,
    charges: &[Charge],
    due_at: DateTime<Utc>,
) -> Result<Vec<Model>, Error> {
    let intent = |charge: &Charge| ActiveModel {
        job_id: Set(charge.job_id),
        reservation_id: Set(Uuid::new_v4().to_string()),
        request_id: Set(charge.request_id),
        user_id: Set(charge.user_id),
        amount: Set(charge.amount),
        state: Set(ReservationState::Intended),
        is_reserved: Set(false),
        due_at: Set(due_at),
        attempts: Set(0),
        last_error: Set(None),
        created_at: Set(charge.at),
    };
    let intents = Entity::insert_many(charges.iter().map(intent));
    Ok(intents.exec_with_returning(tx).await?)
}

/// Whether jobs of the user up to this one are about to be stored.
pub async fn is_intended_up_to(
    db: &impl ConnectionTrait,
    user_id: i64,
    job_id: i64,
) -> Result<bool, Error> {
    let intended = Entity::find()
        .select_only()
        .column(Column::JobId)
        .filter(Column::UserId.eq(user_id))
        .filter(Column::JobId.lte(job_id))
        .filter(Expr::cust("state = 'intended'"))
        .into_tuple::<i64>();
    Ok(intended.one(db).await?.is_some())
}

/// Has new jobs hold what was intended for them; false if that is not what they cost, or is not intended any more.
pub async fn hold(
    tx: &Transaction,
    charges: &[Charge],
    is_reserved: bool,
    due_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let ids = charges.iter().map(|charge| charge.job_id);
    let held = Entity::update_many()
        .col_expr(Column::State, Expr::value(ReservationState::Held))
        .col_expr(Column::IsReserved, Expr::value(is_reserved))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(one_of_ids(tx.get_database_backend(), Column::JobId, ids))
        .filter(Column::State.eq(ReservationState::Intended))
        .exec_with_returning(tx)
        .await?;
    let held: BTreeMap<i64, Model> = held.into_iter().map(|row| (row.job_id, row)).collect();
    Ok(charges.iter().all(|charge| {
        let as_intended = |row: &Model| {
            (row.amount, row.user_id, row.request_id)
                == (charge.amount, charge.user_id, charge.request_id)
        };
        held.get(&charge.job_id).is_some_and(as_intended)
    }))
}

/// What Billing has not heard of of all that jobs hold or have taken; what it has refused it has heard of. Nobody else adds to it until the transaction ends.
pub async fn unreserved(tx: &Transaction) -> Result<i64, Error> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Postgres {
        let lock = "SELECT pg_advisory_xact_lock($1)";
        let lock = Statement::from_sql_and_values(backend, lock, [UNRESERVED_LOCK.into()]);
        tx.execute_raw(lock).await?;
    }
    let sum =
        "SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) AS amount FROM generation_reservations
         WHERE NOT is_reserved AND last_error IS NULL AND state IN ('held', 'commit')";
    let row = tx
        .query_one_raw(Statement::from_string(backend, sum))
        .await?;
    row.map_or(Ok(0), |row| Ok(row.try_get("", "amount")?))
}

/// Gives back what was intended, for jobs that were not stored after all. Those that were keep it.
pub async fn let_go(db: &impl ConnectionTrait, job_ids: &[i64]) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(ReservationState::Release))
        .col_expr(Column::DueAt, Expr::col(Column::CreatedAt))
        .filter(these(db, job_ids))
        .filter(Column::State.eq(ReservationState::Intended))
        .exec(db)
        .await?;
    Ok(())
}

/// Has those of these jobs that have ended give back what they hold, or take it if they have completed. A job that holds nothing
/// does nothing. Whether there is anything to tell.
pub async fn settle(tx: &Transaction, job_ids: &[i64]) -> Result<bool, Error> {
    let backend = tx.get_database_backend();
    let of_job = |column: &str| {
        format!(
            "(SELECT {column} FROM generation_jobs AS job WHERE job.id = generation_reservations.job_id)"
        )
    };
    let statement = format!(
        "UPDATE generation_reservations SET due_at = created_at, attempts = 0, last_error = NULL, state = {state}
         WHERE job_id {jobs} AND state = 'held' AND {status} IN ('completed', 'failed', 'cancelled')",
        state = of_job("CASE job.status WHEN 'completed' THEN 'commit' ELSE 'release' END"),
        status = of_job("job.status"),
        jobs = is_one_of(backend, "$1"),
    );
    let values = [id_list(backend, job_ids.iter().copied())];
    let statement = Statement::from_sql_and_values(backend, statement, values);
    Ok(tx.execute_raw(statement).await?.rows_affected() > 0)
}

/// Takes up to `limit` that are due and that nobody else has, for so long. What has become of their jobs meanwhile is in their
/// states.
pub async fn claim(
    tx: &Transaction,
    now: DateTime<Utc>,
    lease: Duration,
    limit: usize,
) -> Result<Vec<Model>, Error> {
    let mut due = Entity::find()
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::JobId)
        .limit(limit as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    if due.is_empty() {
        return Ok(due);
    }
    let jobs = statuses(tx, &due).await?;
    for row in &mut due {
        let state = row.state.when_due(jobs.get(&row.job_id).copied());
        if state != row.state {
            row.state = state;
            decide(tx, row).await?;
        }
    }
    let until = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
    let ids: Vec<i64> = due.iter().map(|row| row.job_id).collect();
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(until))
        .filter(these(tx, &ids))
        .exec(tx)
        .await?;
    Ok(due)
}

async fn statuses(tx: &Transaction, rows: &[Model]) -> Result<BTreeMap<i64, JobStatus>, Error> {
    let ids = rows.iter().map(|row| row.job_id);
    let jobs = job::Entity::find()
        .select_only()
        .columns([job::Column::Id, job::Column::Status])
        .filter(one_of_ids(tx.get_database_backend(), job::Column::Id, ids));
    let jobs: Vec<(i64, JobStatus)> = jobs.into_tuple().all(tx).await?;
    Ok(jobs.into_iter().collect())
}

async fn decide(tx: &Transaction, row: &Model) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(row.state))
        .filter(Column::JobId.eq(row.job_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Billing has done what these say to the end: there is nothing more to tell.
pub async fn forget(db: &impl ConnectionTrait, rows: &[Model]) -> Result<(), Error> {
    Entity::delete_many()
        .filter(as_told(db, rows))
        .exec(db)
        .await?;
    Ok(())
}

/// Billing holds these on, and is to be told so again then, unless their jobs have ended meanwhile.
pub async fn renewed(
    db: &impl ConnectionTrait,
    rows: &[Model],
    due_at: DateTime<Utc>,
) -> Result<(), Error> {
    // One by one, since jobs may end meanwhile that lock several of them in another order.
    for row in rows {
        Entity::update_many()
            .col_expr(Column::IsReserved, Expr::value(true))
            .col_expr(Column::DueAt, Expr::value(due_at))
            .col_expr(Column::Attempts, Expr::value(0))
            .col_expr(Column::LastError, Expr::value(None::<String>))
            .filter(as_told(db, std::slice::from_ref(row)))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Billing was told in vain: it is told again then, with what it has said, if it has refused.
pub async fn put_off(
    db: &impl ConnectionTrait,
    row: &Model,
    due_at: DateTime<Utc>,
    refused: Option<String>,
) -> Result<(), Error> {
    let mut put_off = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(
            Column::Attempts,
            Expr::value(row.attempts.saturating_add(1)),
        )
        .filter(as_told(db, std::slice::from_ref(row)));
    if let Some(words) = refused {
        // What it holds no more, it has not heard of.
        put_off = put_off
            .col_expr(Column::LastError, Expr::value(words))
            .col_expr(Column::IsReserved, Expr::value(false));
    }
    put_off.exec(db).await?;
    Ok(())
}

/// A job of which Billing does not take what it is told, if there is one.
pub async fn refused(db: &impl ConnectionTrait) -> Result<Option<i64>, Error> {
    let refused = Entity::find()
        .select_only()
        .column(Column::JobId)
        .filter(Column::LastError.is_not_null())
        .into_tuple();
    Ok(refused.one(db).await?)
}

fn these(db: &impl ConnectionTrait, job_ids: &[i64]) -> Expr {
    let ids = job_ids.iter().copied();
    one_of_ids(db.get_database_backend(), Column::JobId, ids)
}

/// Those of these rows that say what they said when Billing was told. All of them said the same.
fn as_told(db: &impl ConnectionTrait, rows: &[Model]) -> Condition {
    let ids: Vec<i64> = rows.iter().map(|row| row.job_id).collect();
    let state = rows.first().map(|row| row.state);
    Condition::all()
        .add(these(db, &ids))
        .add_option(state.map(|state| Column::State.eq(state)))
}
