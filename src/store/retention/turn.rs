//! Whose turn a step is, so that one replica at a time does it, and what its last run has done. A run that is cut off keeps
//! its turn for a while, and then another takes it up.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value, sea_query::Expr,
};

use crate::{
    domain::Error,
    entity::retention_step::{Column, Entity, Model},
};

/// Takes the turn of a step until then, unless another has it or has run the step after `not_since`.
pub async fn take_turn(
    db: &impl ConnectionTrait,
    step: &str,
    holder: &str,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
    not_since: Option<DateTime<Utc>>,
) -> Result<bool, Error> {
    let take = "INSERT INTO generation_retention_steps (step, holder, held_until) VALUES ($1, $2, $3)
         ON CONFLICT (step) DO UPDATE SET holder = $2, held_until = $3
         WHERE (generation_retention_steps.held_until IS NULL OR generation_retention_steps.held_until <= $4)
             AND (generation_retention_steps.ran_at IS NULL OR generation_retention_steps.ran_at <= $5)";
    let values: [Value; 5] = [
        step.into(),
        holder.into(),
        until.into(),
        now.into(),
        not_since.unwrap_or(now).into(),
    ];
    let take = Statement::from_sql_and_values(db.get_database_backend(), take, values);
    Ok(db.execute_raw(take).await?.rows_affected() > 0)
}

/// Keeps the turn until then; false if another has it by now.
pub async fn renew_turn(
    db: &impl ConnectionTrait,
    step: &str,
    holder: &str,
    until: DateTime<Utc>,
) -> Result<bool, Error> {
    let renewed = Entity::update_many()
        .col_expr(Column::HeldUntil, Expr::value(until))
        .filter(Column::Step.eq(step))
        .filter(Column::Holder.eq(holder))
        .exec(db)
        .await?;
    Ok(renewed.rows_affected > 0)
}

/// Gives the turn back with what the run has done, and why it was cut off if it was.
pub async fn end_turn(
    db: &impl ConnectionTrait,
    step: &str,
    holder: &str,
    now: DateTime<Utc>,
    (removed, error): (u64, Option<&str>),
) -> Result<(), Error> {
    let removed = i64::try_from(removed).unwrap_or(i64::MAX);
    Entity::update_many()
        .col_expr(Column::Holder, Expr::value(None::<String>))
        .col_expr(Column::HeldUntil, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::RanAt, Expr::value(now))
        .col_expr(Column::Removed, Expr::value(removed))
        .col_expr(Column::Error, Expr::value(error.map(str::to_owned)))
        .filter(Column::Step.eq(step))
        .filter(Column::Holder.eq(holder))
        .exec(db)
        .await?;
    Ok(())
}

/// The last run of each step that has run.
pub async fn last_runs(db: &impl ConnectionTrait) -> Result<BTreeMap<String, Model>, Error> {
    let rows = Entity::find().all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.step.clone(), row))
        .collect())
}
