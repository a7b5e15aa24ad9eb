//! The keys by which repeated calls are known: each stands for the request that was made with it first.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};

use crate::{
    domain::Error,
    entity::idempotency_key::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// A user's key with the request that it stands for; `None` if it is new.
pub async fn find(
    db: &impl ConnectionTrait,
    user_id: i64,
    key: &str,
) -> Result<Option<Model>, Error> {
    Ok(Entity::find_by_id((user_id, key.to_owned()))
        .one(db)
        .await?)
}

/// Takes the key for a request; false if another request has it. Waits for a transaction that is just taking it.
pub async fn claim(tx: &Transaction, key: Model) -> Result<bool, Error> {
    let inserted = Entity::insert(ActiveModel {
        user_id: Set(key.user_id),
        key: Set(key.key),
        fingerprint: Set(key.fingerprint),
        request_id: Set(key.request_id),
        created_at: Set(key.created_at),
    })
    .on_conflict(
        OnConflict::columns([Column::UserId, Column::Key])
            .do_nothing()
            .to_owned(),
    )
    .exec_without_returning(tx)
    .await?;
    Ok(inserted == 1)
}
