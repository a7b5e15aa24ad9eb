//! All rows of a user, deleted or not, page by page, see docs/privacy.md.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};

use crate::{
    domain::Error,
    entity::{credit_transaction, job, media, request, share, upload},
};

use super::{media::Shown, one_of::one_of_ids};

/// Up to `limit` requests of the user that are live, or deleted, after this one; oldest first.
pub async fn requests(
    db: &impl ConnectionTrait,
    user_id: i64,
    (live, after): (bool, i64),
    limit: u64,
) -> Result<Vec<request::Model>, Error> {
    let fate = match live {
        true => request::Column::DeletedAt.is_null(),
        false => request::Column::DeletedAt.is_not_null(),
    };
    Ok(request::Entity::find()
        .filter(request::Column::UserId.eq(user_id))
        .filter(fate)
        .filter(request::Column::Id.gt(after))
        .order_by_asc(request::Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

/// All jobs of these requests, oldest first.
pub async fn jobs(
    db: &impl ConnectionTrait,
    request_ids: &[i64],
) -> Result<Vec<job::Model>, Error> {
    Ok(job::Entity::find()
        .filter(of(db, job::Column::RequestId, request_ids))
        .order_by_asc(job::Column::Id)
        .all(db)
        .await?)
}

/// All media of these requests, oldest first.
pub async fn media(db: &impl ConnectionTrait, request_ids: &[i64]) -> Result<Vec<Shown>, Error> {
    Ok(super::media::shown()
        .filter(of(
            db,
            (media::Entity, media::Column::RequestId),
            request_ids,
        ))
        .order_by_asc(media::Column::Id)
        .into_model()
        .all(db)
        .await?)
}

/// All public links to these media, oldest first.
pub async fn shares(
    db: &impl ConnectionTrait,
    media_ids: &[i64],
) -> Result<Vec<share::Model>, Error> {
    Ok(share::Entity::find()
        .filter(of(db, share::Column::MediaId, media_ids))
        .order_by_asc(share::Column::Id)
        .all(db)
        .await?)
}

/// Up to `limit` files that the user gave after this one, oldest first.
pub async fn uploads(
    db: &impl ConnectionTrait,
    user_id: i64,
    after: i64,
    limit: u64,
) -> Result<Vec<upload::Model>, Error> {
    Ok(upload::Entity::find()
        .filter(upload::Column::UserId.eq(user_id))
        .filter(upload::Column::Id.gt(after))
        .order_by_asc(upload::Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

/// Up to `limit` movements of the user's credits after this one, oldest first.
pub async fn transactions(
    db: &impl ConnectionTrait,
    user_id: i64,
    after: i64,
    limit: u64,
) -> Result<Vec<credit_transaction::Model>, Error> {
    Ok(credit_transaction::Entity::find()
        .filter(credit_transaction::Column::UserId.eq(user_id))
        .filter(credit_transaction::Column::Id.gt(after))
        .order_by_asc(credit_transaction::Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

fn of(
    db: &impl ConnectionTrait,
    column: impl sea_orm::sea_query::IntoColumnRef,
    ids: &[i64],
) -> Expr {
    one_of_ids(db.get_database_backend(), column, ids.iter().copied())
}
