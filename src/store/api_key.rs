//! The keys of services.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    domain::Error,
    entity::api_key::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// A key that is about to be kept.
pub struct NewKey<'a> {
    /// The client's.
    pub name: &'a str,
    /// `service` or `admin`.
    pub role: &'a str,
    /// What it is checked by, and the id of the key of the installation that has made that.
    pub tag: (i32, Vec<u8>),
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
}

/// All there ever were, oldest first.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    Ok(Entity::find().order_by_asc(Column::Id).all(db).await?)
}

/// Those that are not revoked; expired ones are among them.
pub async fn unrevoked(db: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    let keys = Entity::find().filter(Column::RevokedAt.is_null());
    Ok(keys.order_by_asc(Column::Id).all(db).await?)
}

/// How many are not revoked.
pub async fn count_unrevoked(db: &impl ConnectionTrait) -> Result<u64, Error> {
    let keys = Entity::find().filter(Column::RevokedAt.is_null());
    Ok(keys.count(db).await?)
}

/// Keeps a key.
pub async fn add(tx: &Transaction, key: NewKey<'_>) -> Result<Model, Error> {
    let (secret_id, tag) = key.tag;
    let row = ActiveModel {
        id: NotSet,
        name: Set(key.name.to_owned()),
        role: Set(key.role.to_owned()),
        tag: Set(tag),
        secret_id: Set(secret_id),
        created_at: Set(key.created_at),
        expires_at: Set(key.expires_at),
        revoked_at: Set(None),
        last_used_at: Set(None),
    };
    Ok(row.insert(tx).await?)
}

/// Takes a key back, unless that is done, and tells whether it was not; `None` where there is no such key.
pub async fn revoke(
    tx: &Transaction,
    id: i64,
    now: DateTime<Utc>,
) -> Result<Option<(Model, bool)>, Error> {
    let revoked = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .exec(tx)
        .await?;
    let key = Entity::find_by_id(id).one(tx).await?;
    Ok(key.map(|key| (key, revoked.rows_affected == 1)))
}

/// Says that calls came with these keys, unless a later call is known.
pub async fn note_use(tx: &Transaction, ids: &[i64], at: DateTime<Utc>) -> Result<(), Error> {
    let earlier = Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(at));
    Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::val(at))
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(earlier)
        .exec(tx)
        .await?;
    Ok(())
}
