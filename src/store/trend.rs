//! Counting uses and views of templates, and folding what was counted into them. Counting only adds rows, so it waits for no
//! lock on a template.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::NotSet,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, Order,
    QueryFilter, QueryOrder, QuerySelect, Select, Statement,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use crate::{
    domain::{Error, Tally},
    entity::{
        template::{Column, Entity},
        template_tally, template_view,
    },
};

use super::{Transaction, one_of::one_of_ids, rows::Rows};

/// Names the advisory lock of the fold; any number will do that nothing else on the server uses ("trends" in ASCII).
const FOLD_LOCK: i64 = 0x7472_656e_6473;

/// What a fold reads and writes of a template.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Popularity {
    /// Of the template.
    pub id: i64,
    /// Uses that are folded in.
    pub usage_count: i32,
    /// Views that are folded in.
    pub view_count: i32,
    /// The decaying sum, as it was at `trend_weighed_at`.
    pub trend_weight: f64,
    /// `None` where there is no weight.
    pub trend_weighed_at: Option<DateTime<Utc>>,
    /// The sum, rounded.
    pub trend_score: i32,
    /// By its window, or by its score.
    pub is_trending: bool,
    /// The window's start; only read.
    pub trend_start_date: Option<DateTime<Utc>>,
    /// The window's end, itself not part of it; only read.
    pub trend_end_date: Option<DateTime<Utc>>,
}

/// Templates whose trend may change although nobody uses them; each kind has an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// Their weight decays.
    Decaying,
    /// They have a window that opens or closes.
    Windowed,
    /// They are trending, for a reason that may be gone.
    Trending,
}

impl Unsettled {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Decaying, Self::Windowed, Self::Trending];

    /// In the very words of the indexes, without parameters: a partial index serves only what its condition follows from.
    fn condition(self) -> Condition {
        match self {
            Self::Decaying => Condition::all().add(Expr::cust("trend_weight > 0")),
            Self::Windowed => Condition::any()
                .add(Column::TrendStartDate.is_not_null())
                .add(Column::TrendEndDate.is_not_null()),
            Self::Trending => Condition::all()
                .add(Expr::cust("is_trending = TRUE"))
                .add(Column::DeletedAt.is_null()),
        }
    }
}

/// Counts a use of a template for each time that it is named, to be folded into it later.
pub async fn count_uses(
    tx: &Transaction,
    template_ids: &[i64],
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let (uses, views) = (1, 0);
    insert_tallies(tx, template_ids, Tally { uses, views, at }).await
}

/// Counts a user's views of live templates, to be folded into them later, unless his view of that day (UTC) is counted
/// already. Returns those that were counted, by id. Waits for a transaction that is just counting the same view.
pub async fn count_views(
    tx: &Transaction,
    template_ids: &[i64],
    (user_id, day): (i64, i32),
    at: DateTime<Utc>,
) -> Result<Vec<i64>, Error> {
    let backend = tx.get_database_backend();
    let ids = template_ids.iter().copied();
    // In order of the ids, so that two that count the same views never wait for each other.
    let live = Query::select()
        .column(Column::Id)
        .expr(Expr::val(user_id))
        .expr(Expr::val(day))
        .from(Entity)
        .and_where(one_of_ids(backend, Column::Id, ids))
        .and_where(Column::DeletedAt.is_null())
        .order_by(Column::Id, Order::Asc)
        .to_owned();
    let insert = Query::insert()
        .into_table(template_view::Entity)
        .columns([
            template_view::Column::TemplateId,
            template_view::Column::UserId,
            template_view::Column::Day,
        ])
        .select_from(live)
        .map_err(Error::internal)?
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .returning_col(template_view::Column::TemplateId)
        .to_owned();
    let rows = tx.query_all(&insert).await?;
    let counted: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    let mut counted = counted?;
    counted.sort_unstable();
    let (uses, views) = (0, 1);
    insert_tallies(tx, &counted, Tally { uses, views, at }).await?;
    Ok(counted)
}

async fn insert_tallies(tx: &Transaction, template_ids: &[i64], tally: Tally) -> Result<(), Error> {
    let tallies = template_ids.iter().map(|id| template_tally::ActiveModel {
        id: NotSet,
        template_id: Set(*id),
        uses: Set(tally.uses),
        views: Set(tally.views),
        created_at: Set(tally.at),
    });
    Rows::new(tallies.collect()).add(tx).await
}

/// Makes this transaction the only one that folds, until it ends; false if another one does. SQLite has one writer anyway.
pub async fn lock_fold(tx: &Transaction) -> Result<bool, Error> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_try_advisory_xact_lock($1) AS locked",
        [FOLD_LOCK.into()],
    );
    let row = tx.query_one_raw(statement).await?;
    let locked = row.map(|row| row.try_get("", "locked")).transpose()?;
    Ok(locked.unwrap_or(false))
}

/// Removes up to `limit` tallies, the oldest, and returns them in no particular order.
pub async fn take_tallies(
    tx: &Transaction,
    limit: u64,
) -> Result<Vec<template_tally::Model>, Error> {
    let oldest = Query::select()
        .column(template_tally::Column::Id)
        .from(template_tally::Entity)
        .order_by(template_tally::Column::Id, Order::Asc)
        .limit(limit)
        .to_owned();
    let taken = template_tally::Entity::delete_many()
        .filter(template_tally::Column::Id.in_subquery(oldest))
        .exec_with_returning(tx);
    Ok(taken.await?)
}

/// The templates with these ids that there are, locked in order of id.
pub async fn lock(tx: &Transaction, ids: &[i64]) -> Result<Vec<Popularity>, Error> {
    // Not FOR UPDATE: that would wait for transactions that insert requests with these templates.
    let query = popularity()
        .filter(one_of_ids(
            tx.get_database_backend(),
            Column::Id,
            ids.iter().copied(),
        ))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(query.into_model().all(tx).await?)
}

/// Up to `limit` unsettled templates after an id, in order of id.
pub async fn unsettled(
    db: &impl ConnectionTrait,
    kind: Unsettled,
    after: i64,
    limit: u64,
) -> Result<Vec<Popularity>, Error> {
    let query = popularity()
        .filter(kind.condition())
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(query.into_model().all(db).await?)
}

fn popularity() -> Select<Entity> {
    Entity::find().select_only().columns([
        Column::Id,
        Column::UsageCount,
        Column::ViewCount,
        Column::TrendWeight,
        Column::TrendWeighedAt,
        Column::TrendScore,
        Column::IsTrending,
        Column::TrendStartDate,
        Column::TrendEndDate,
    ])
}

/// Writes the counters and the trend of a locked template. Its version and `updated_at` stay: nobody has changed it.
pub async fn write(tx: &Transaction, popularity: &Popularity) -> Result<(), Error> {
    let updated = Entity::update_many()
        .col_expr(Column::UsageCount, Expr::value(popularity.usage_count))
        .col_expr(Column::ViewCount, Expr::value(popularity.view_count))
        .col_expr(Column::TrendWeight, Expr::value(popularity.trend_weight))
        .col_expr(
            Column::TrendWeighedAt,
            Expr::value(popularity.trend_weighed_at),
        )
        .col_expr(Column::TrendScore, Expr::value(popularity.trend_score))
        .col_expr(Column::IsTrending, Expr::value(popularity.is_trending))
        .filter(Column::Id.eq(popularity.id))
        .exec(tx)
        .await?;
    if updated.rows_affected == 1 {
        Ok(())
    } else {
        Err(Error::internal("a locked template is gone"))
    }
}

/// Forgets up to `limit` views of days before `day`; returns how many.
pub async fn forget_views(db: &impl ConnectionTrait, day: i32, limit: u64) -> Result<u64, Error> {
    use template_view::Column;
    let key = [Column::Day, Column::TemplateId, Column::UserId];
    let old = Query::select()
        .columns(key)
        .from(template_view::Entity)
        .and_where(Column::Day.lt(day))
        .limit(limit)
        .to_owned();
    let forgotten = template_view::Entity::delete_many()
        .filter(Expr::tuple(key.map(Expr::col)).in_subquery(old))
        .exec(db);
    Ok(forgotten.await?.rows_affected)
}
