//! What is deleted with a request and comes back with it: all of it has the request's `deleted_at`. What was deleted
//! before, by itself, has another and stays deleted.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{BinOper, Expr, ExprTrait, LockType},
};

use crate::{
    domain::{Caller, Error, deletion_time},
    entity::{job, media, request},
};

use super::{Transaction, one_of::one_of_ids};

/// The jobs that share the request's fate: the live ones of a live request, and of a deleted one those deleted with it.
pub(super) fn members(request: &request::Model) -> Select<job::Entity> {
    let deleted_with = match request.deleted_at {
        Some(at) => job::Column::DeletedAt.eq(at),
        None => job::Column::DeletedAt.is_null(),
    };
    job::Entity::find()
        .filter(job::Column::RequestId.eq(request.id))
        .filter(deleted_with)
}

/// Those of the rows that share the fate of their request, for these requests. `columns`: which request a row is of, and when
/// it was deleted.
pub(super) fn members_of<E: EntityTrait>(
    backend: DbBackend,
    rows: Select<E>,
    columns: (E::Column, E::Column),
    requests: impl IntoIterator<Item = i64>,
) -> Select<E> {
    let (request_id, deleted_at) = columns;
    let request = E::belongs_to(request::Entity)
        .from(request_id)
        .to(request::Column::Id)
        .into();
    let row_deleted = Expr::col((E::default(), deleted_at));
    let fate = Expr::col((request::Entity, request::Column::DeletedAt));
    rows.join(JoinType::InnerJoin, request)
        .filter(one_of_ids(
            backend,
            (request::Entity, request::Column::Id),
            requests,
        ))
        .filter(row_deleted.binary(BinOper::Custom("IS NOT DISTINCT FROM"), fate))
}

/// A request and the jobs that share its fate, locked: nobody else changes them, adds to them or takes from them.
#[derive(Debug)]
pub struct LockedRequest {
    /// The request, as it is under its lock.
    pub request: request::Model,
    /// By id.
    pub jobs: Vec<job::Model>,
}

/// Locks a request, deleted or not, with its jobs, if the caller may see it.
pub async fn lock(tx: &Transaction, caller: Caller, id: i64) -> Result<LockedRequest, Error> {
    loop {
        // The jobs' locks come before the request's, everywhere: so the jobs may be others by the time it is had. Then all
        // locks are given back, which a savepoint does, and taken anew.
        let savepoint = tx.begin().await?;
        let seen = super::request::find(&savepoint, caller, id).await?;
        let jobs = members(&seen)
            .order_by_asc(job::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .all(&savepoint)
            .await?;
        let request = super::request::lock(&savepoint, &seen).await?;
        let ids = members(&request)
            .order_by_asc(job::Column::Id)
            .select_only()
            .column(job::Column::Id);
        let ids: Vec<i64> = ids.into_tuple().all(&savepoint).await?;
        if jobs.iter().map(|job| job.id).eq(ids) {
            savepoint.commit().await?;
            return Ok(LockedRequest { request, jobs });
        }
        savepoint.rollback().await?;
    }
}

/// Those of these jobs that no retry has superseded, in order of variation.
pub async fn current_jobs(
    db: &impl ConnectionTrait,
    request: &request::Model,
) -> Result<Vec<job::Model>, Error> {
    let jobs = members(request)
        .filter(job::Column::SupersededBy.is_null())
        .order_by_asc(job::Column::Variation)
        .order_by_asc(job::Column::Id);
    Ok(jobs.all(db).await?)
}

/// When a locked request and what is live of it are deleted: `now`, or right after the last of its jobs and media that was
/// deleted by itself, should that not be earlier. No other is deleted meanwhile: that takes the request's lock too.
pub async fn timestamp(
    tx: &Transaction,
    request: &request::Model,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    // From `now` on, which leaves little to look at: no index finds the deleted rows of a request.
    let jobs = job::Entity::find()
        .select_only()
        .column(job::Column::DeletedAt)
        .filter(job::Column::RequestId.eq(request.id))
        .filter(job::Column::DeletedAt.gte(now));
    let media = media::Entity::find()
        .select_only()
        .column(media::Column::DeletedAt)
        .filter(media::Column::RequestId.eq(request.id))
        .filter(media::Column::DeletedAt.gte(now));
    let mut deletions: Vec<DateTime<Utc>> = jobs.into_tuple().all(tx).await?;
    deletions.extend(media.into_tuple::<DateTime<Utc>>().all(tx).await?);
    Ok(deletion_time(now, deletions.into_iter().max()))
}

/// Deletes what is live of a request.
pub async fn delete_members(
    tx: &Transaction,
    request: &request::Model,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    job::Entity::update_many()
        .col_expr(job::Column::DeletedAt, Expr::value(at))
        .col_expr(job::Column::UpdatedAt, Expr::value(at))
        .filter(job::Column::RequestId.eq(request.id))
        .filter(job::Column::DeletedAt.is_null())
        .exec(tx)
        .await?;
    media::Entity::update_many()
        .col_expr(media::Column::DeletedAt, Expr::value(at))
        .col_expr(media::Column::UpdatedAt, Expr::value(at))
        .filter(media::Column::RequestId.eq(request.id))
        .filter(media::Column::DeletedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Brings back what was deleted with the request, at `at`; media without a file any more stay deleted.
pub async fn restore_members(
    tx: &Transaction,
    request: &request::Model,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let live = || Expr::value(None::<DateTime<Utc>>);
    job::Entity::update_many()
        .col_expr(job::Column::DeletedAt, live())
        .col_expr(job::Column::UpdatedAt, Expr::value(now))
        .filter(job::Column::RequestId.eq(request.id))
        .filter(job::Column::DeletedAt.eq(at))
        .exec(tx)
        .await?;
    media::Entity::update_many()
        .col_expr(media::Column::DeletedAt, live())
        .col_expr(media::Column::UpdatedAt, Expr::value(now))
        .filter(media::Column::RequestId.eq(request.id))
        .filter(media::Column::DeletedAt.eq(at))
        .filter(media::Column::ContentDeletedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}
