//! The secrets of the installation, one home for the keys of every purpose.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    domain::{Error, Purpose, StoredKey},
    entity::secret::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// The keys of a purpose, oldest id first.
pub async fn keys(db: &impl ConnectionTrait, purpose: Purpose) -> Result<Vec<StoredKey>, Error> {
    let keys = Entity::find()
        .filter(Column::Purpose.eq(purpose.name()))
        .order_by_asc(Column::KeyId);
    Ok(keys.all(db).await?.into_iter().map(stored).collect())
}

/// Makes this the first key of a purpose that has none; of several that try at once only one has its own.
pub async fn begin(
    tx: &Transaction,
    purpose: Purpose,
    secret: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    insert(tx, purpose, 1, secret, now).await
}

/// Adds a key to those of a purpose, unless it is among them.
pub async fn add(
    tx: &Transaction,
    purpose: Purpose,
    secret: Vec<u8>,
    created_at: DateTime<Utc>,
) -> Result<i32, Error> {
    loop {
        let known = keys(tx, purpose).await?;
        if let Some(key) = known.iter().find(|key| key.secret == secret) {
            return Ok(key.id);
        }
        // Another may take this id first; then it is the next one's turn.
        let id = known.last().map_or(1, |last| last.id + 1);
        insert(tx, purpose, id, secret.clone(), created_at).await?;
    }
}

/// Says from when on nothing verifies by the keys of a purpose but this one. What ends before that ends then.
pub async fn retire_others(
    tx: &Transaction,
    purpose: Purpose,
    id: i32,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let unending = Column::RetiredAt.is_null().or(Column::RetiredAt.gt(at));
    Entity::update_many()
        .col_expr(Column::RetiredAt, Expr::val(at))
        .filter(Column::Purpose.eq(purpose.name()))
        .filter(Column::KeyId.ne(id))
        .filter(unending)
        .exec(tx)
        .await?;
    Ok(())
}

async fn insert(
    tx: &Transaction,
    purpose: Purpose,
    id: i32,
    secret: Vec<u8>,
    created_at: DateTime<Utc>,
) -> Result<(), Error> {
    let row = ActiveModel {
        purpose: Set(purpose.name().to_owned()),
        key_id: Set(id),
        secret: Set(secret),
        created_at: Set(created_at),
        retired_at: Set(None),
    };
    Entity::insert(row)
        .on_conflict(
            OnConflict::columns([Column::Purpose, Column::KeyId])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn stored(key: Model) -> StoredKey {
    StoredKey {
        id: key.key_id,
        secret: key.secret,
        created_at: key.created_at,
        retired_at: key.retired_at,
    }
}
