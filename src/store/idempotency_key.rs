//! The keys by which repeated calls are known: each stands for the request that was made with it first.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};

use crate::{
    domain::{Error, RequestDraft},
    entity::idempotency_key::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// The draft's key with the request that it stands for, as it was stored for its client or for all; `None` if it is new.
pub async fn find(db: &impl ConnectionTrait, draft: &RequestDraft) -> Result<Option<Model>, Error> {
    let of = |key: String| Entity::find_by_id((draft.user_id, key)).one(db);
    let known = of(draft.stored_key()).await?;
    match (known, &draft.client) {
        (None, Some(_)) => Ok(of(draft.idempotency_key.clone()).await?),
        (known, _) => Ok(known),
    }
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
