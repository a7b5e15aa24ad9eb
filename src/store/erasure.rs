//! The removal of all that a user has, see docs/privacy.md. All of it goes by the user's number, and in steps that a crash may come
//! between.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
    sea_query::{Expr, ExprTrait, LockType, OnConflict},
};

use crate::{
    domain::{Erased, Error, Resource},
    entity::{
        erasure::{ActiveModel, Column, Entity, Model},
        idempotency_key, job, media, plan_retry, rate, request, reservation, upload,
    },
};

use super::{Transaction, credit, one_of::one_of_ids};

/// What some of a user's requests have, which goes with them.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The requests themselves.
    pub requests: Vec<i64>,
    /// Their jobs, deleted or not.
    pub jobs: Vec<i64>,
    /// Paths of the objects of their media.
    pub objects: Vec<String>,
    /// How many rows of media they have.
    pub media: u64,
}

/// The erasure of a user that goes on, or a new one.
pub async fn begin(
    tx: &Transaction,
    user_id: i64,
    account_id: i64,
    now: DateTime<Utc>,
) -> Result<(Model, bool), Error> {
    let new = ActiveModel {
        id: NotSet,
        user_id: Set(Some(user_id)),
        account_id: Set(account_id),
        removed: Set(serde_json::to_value(Erased::default()).map_err(Error::internal)?),
        claimed_until: Set(None),
        created_at: Set(now),
        ended_at: Set(None),
    };
    let on_conflict = OnConflict::new().do_nothing().to_owned();
    let inserted = Entity::insert(new)
        .on_conflict(on_conflict)
        .exec_without_returning(tx)
        .await?;
    let open = Entity::find().filter(Column::UserId.eq(user_id)).one(tx);
    let open = open
        .await?
        .ok_or_else(|| Error::internal("an erasure vanished"))?;
    Ok((open, inserted == 1))
}

/// The erasure.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Erasure, id))
}

/// Those that go on, and that nobody carries out now, the oldest first.
pub async fn unclaimed(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<Model>, Error> {
    let free = Column::ClaimedUntil.is_null();
    Ok(Entity::find()
        .filter(Column::EndedAt.is_null())
        .filter(free.or(Column::ClaimedUntil.lte(now)))
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// Has one to oneself, as nobody else has it. False if somebody has, or if it has ended.
pub async fn claim(
    db: &impl ConnectionTrait,
    id: i64,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, Error> {
    let free = Column::ClaimedUntil.is_null();
    let claimed = Entity::update_many()
        .col_expr(Column::ClaimedUntil, Expr::value(until))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .filter(free.or(Column::ClaimedUntil.lte(now)))
        .exec(db)
        .await?;
    Ok(claimed.rows_affected == 1)
}

/// Adds to what it has removed, in the transaction that removes it, and goes on having it.
pub async fn note(
    tx: &Transaction,
    id: i64,
    removed: Erased,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    let mut all = find(tx, id).await?.erased()?;
    all += removed;
    let all = serde_json::to_value(&all).map_err(Error::internal)?;
    Entity::update_many()
        .col_expr(Column::Removed, Expr::value(all))
        .col_expr(Column::ClaimedUntil, Expr::value(until))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Leaves it to whoever comes next.
pub async fn leave(db: &impl ConnectionTrait, id: i64) -> Result<(), Error> {
    let nobody = Expr::value(None::<DateTime<Utc>>);
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, nobody)
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// Ends it: nothing tells whose it was any more.
pub async fn end(tx: &Transaction, id: i64, now: DateTime<Utc>) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::UserId, Expr::value(None::<i64>))
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Up to `limit` of a user's requests that are live, or that are deleted.
pub async fn requests(
    db: &impl ConnectionTrait,
    user_id: i64,
    live: bool,
    limit: u64,
) -> Result<Vec<i64>, Error> {
    let fate = match live {
        true => request::Column::DeletedAt.is_null(),
        false => request::Column::DeletedAt.is_not_null(),
    };
    let ids = request::Entity::find()
        .select_only()
        .column(request::Column::Id)
        .filter(request::Column::UserId.eq(user_id))
        .filter(fate)
        .limit(limit);
    Ok(ids.into_tuple().all(db).await?)
}

/// Has the media of these requests promise their files no more, so that nothing takes these up meanwhile. The requests are locked
/// first, as whoever deletes them or brings them back does.
pub async fn give_up_media(
    tx: &Transaction,
    requests: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    lock_requests(tx, requests).await?;
    let deleted_at = Expr::col(media::Column::DeletedAt).if_null(now);
    let of_these = one_of_ids(
        tx.get_database_backend(),
        media::Column::RequestId,
        requests.iter().copied(),
    );
    media::Entity::update_many()
        .col_expr(media::Column::DeletedAt, deleted_at)
        .col_expr(media::Column::ContentDeletedAt, Expr::value(now))
        .filter(of_these)
        .filter(media::Column::ContentDeletedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Locks requests in the order in which all do, see docs/architecture.md.
async fn lock_requests(tx: &Transaction, requests: &[i64]) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let these = one_of_ids(backend, request::Column::Id, requests.iter().copied());
    let locked = request::Entity::find()
        .select_only()
        .column(request::Column::Id)
        .filter(these)
        .order_by_asc(request::Column::Id)
        .lock(LockType::NoKeyUpdate);
    locked.into_tuple::<i64>().all(tx).await?;
    Ok(())
}

/// What goes with these requests.
pub async fn contents(db: &impl ConnectionTrait, requests: Vec<i64>) -> Result<Contents, Error> {
    let backend = db.get_database_backend();
    let ids = || requests.iter().copied();
    let jobs = job::Entity::find()
        .select_only()
        .column(job::Column::Id)
        .filter(one_of_ids(backend, job::Column::RequestId, ids()));
    let jobs = jobs.into_tuple().all(db).await?;
    let files = media::Entity::find()
        .select_only()
        .column(media::Column::StorageKey)
        .filter(one_of_ids(backend, media::Column::RequestId, ids()));
    let files: Vec<Option<String>> = files.into_tuple().all(db).await?;
    Ok(Contents {
        media: files.len() as u64,
        objects: files.into_iter().flatten().collect(),
        requests,
        jobs,
    })
}

/// Removes requests that are deleted, with all that is theirs. What has come back meanwhile stays.
pub async fn remove(tx: &Transaction, requests: &[i64]) -> Result<u64, Error> {
    let ids = requests.iter().copied();
    let removed = request::Entity::delete_many()
        .filter(one_of_ids(
            tx.get_database_backend(),
            request::Column::Id,
            ids,
        ))
        .filter(request::Column::DeletedAt.is_not_null())
        .exec(tx)
        .await?;
    Ok(removed.rows_affected)
}

/// Whether the user has files that he gave.
pub async fn has_uploads(db: &impl ConnectionTrait, user_id: i64) -> Result<bool, Error> {
    let given = upload::Entity::find().filter(upload::Column::UserId.eq(user_id));
    Ok(given.count(db).await? > 0)
}

/// Removes the rows of what the user gave.
pub async fn remove_uploads(tx: &Transaction, user_id: i64) -> Result<u64, Error> {
    super::upload::remove_tickets(tx, user_id).await?;
    let given = upload::Entity::delete_many().filter(upload::Column::UserId.eq(user_id));
    Ok(given.exec(tx).await?.rows_affected)
}

/// Whether Billing has yet to hear of jobs of the user's.
pub async fn is_owed(db: &impl ConnectionTrait, user_id: i64) -> Result<bool, Error> {
    let owed = reservation::Entity::find().filter(reservation::Column::UserId.eq(user_id));
    Ok(owed.count(db).await? > 0)
}

/// Removes what counts for the user beside his requests, and the URLs by which files of his would still come.
pub async fn remove_counts(tx: &Transaction, user_id: i64) -> Result<(), Error> {
    super::upload::remove_tickets(tx, user_id).await?;
    idempotency_key::Entity::delete_many()
        .filter(idempotency_key::Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    plan_retry::Entity::delete_many()
        .filter(plan_retry::Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    rate::Entity::delete_many()
        .filter(rate::Column::Caller.eq(format!("user:{user_id}")))
        .exec(tx)
        .await?;
    Ok(())
}

/// Ends the user's credits, and has up to `limit` rows each of the ledger and the audit log name an account of nobody's in his
/// place.
pub async fn leave_ledger(
    tx: &Transaction,
    (user_id, account_id): (i64, i64),
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Erased, Error> {
    let credits = credit::end_all(tx, user_id, now).await?;
    let hand_over = async |table, column, also| {
        let statement = format!(
            "UPDATE {table} SET {column} = $1
             WHERE id IN (SELECT id FROM {table} WHERE {column} = $2{also} LIMIT $3)"
        );
        let limit = i64::try_from(limit).map_err(Error::internal)?;
        let values: [Value; 3] = [account_id.into(), user_id.into(), limit.into()];
        let backend = tx.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, statement, values);
        Ok::<_, Error>(tx.execute_raw(statement).await?.rows_affected())
    };
    hand_over("generation_credit_grants", "user_id", "").await?;
    Ok(Erased {
        credits,
        kept_transactions: hand_over("generation_credit_transactions", "user_id", "").await?,
        kept_audit_entries: hand_over(
            "generation_audit_entries",
            "subject_id",
            " AND subject_kind = 'user'",
        )
        .await?,
        ..Erased::default()
    })
}
