//! The keys by which repeated calls are known: each stands for the request that was made with it first.

use std::collections::BTreeSet;

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    domain::{Error, RequestDraft},
    entity::idempotency_key::{ActiveModel, Column, Entity, Model},
};

use super::{
    Transaction,
    one_of::{one_of_ids, one_of_texts},
    rows::Rows,
};

/// The draft's key with the request that it stands for, as it was stored for its client or for all; `None` if it is new.
pub async fn find(db: &impl ConnectionTrait, draft: &RequestDraft) -> Result<Option<Model>, Error> {
    let of = |key: String| Entity::find_by_id((draft.user_id, key)).one(db);
    let known = of(draft.stored_key()).await?;
    match (known, &draft.client) {
        (None, Some(_)) => Ok(of(draft.idempotency_key.clone()).await?),
        (known, _) => Ok(known),
    }
}

/// Those of these keys that stand for a request, each after its user. A key of a user's may be another's too.
pub async fn known(
    db: &impl ConnectionTrait,
    keys: BTreeSet<(i64, String)>,
) -> Result<BTreeSet<(i64, String)>, Error> {
    if keys.is_empty() {
        return Ok(keys);
    }
    let texts: BTreeSet<String> = keys.iter().map(|(_, key)| key.clone()).collect();
    let users: BTreeSet<i64> = keys.iter().map(|(user_id, _)| *user_id).collect();
    let backend = db.get_database_backend();
    let found: Vec<(i64, String)> = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Key])
        .filter(one_of_ids(backend, Column::UserId, users))
        .filter(one_of_texts(
            backend,
            Column::Key,
            texts.into_iter().collect(),
        ))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().filter(|key| keys.contains(key)).collect())
}

/// Takes the keys for their requests; false if another request has one of them. Waits for a transaction that is just taking
/// one, in an order that is the same for all who take several.
pub async fn claim(tx: &Transaction, mut keys: Vec<Model>) -> Result<bool, Error> {
    let all = keys.len();
    keys.sort_by(|one, other| (one.user_id, &one.key).cmp(&(other.user_id, &other.key)));
    let rows = keys.into_iter().map(|key| ActiveModel {
        user_id: Set(key.user_id),
        key: Set(key.key),
        fingerprint: Set(key.fingerprint),
        request_id: Set(key.request_id),
        created_at: Set(key.created_at),
    });
    let taken = Rows::new(rows.collect()).add_new(tx).await?;
    Ok(usize::try_from(taken) == Ok(all))
}
