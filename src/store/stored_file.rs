//! Files that rows name, for whoever compares them with the storage.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use crate::{
    domain::{Error, Resource},
    entity::{media, upload},
};

use super::{Transaction, one_of::one_of_ids};

/// A file that a row names.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StoredFile {
    /// Of the row.
    pub id: i64,
    /// Where it should be.
    pub storage_key: String,
    /// Bytes; `None` where another program wrote the row.
    pub file_size: Option<i64>,
}

/// What has files: media, deleted ones too as long as their files are not given up, and uploads.
pub const KINDS: [Resource; 2] = [Resource::Media, Resource::Upload];

/// Up to `limit` files of rows of this kind after this one, oldest first.
pub async fn after(
    db: &impl ConnectionTrait,
    kind: Resource,
    after: i64,
    limit: u64,
) -> Result<Vec<StoredFile>, Error> {
    match kind {
        Resource::Upload => Ok(uploads(upload::Column::Id.gt(after))
            .limit(limit)
            .into_model()
            .all(db)
            .await?),
        _ => Ok(media(media::Column::Id.gt(after))
            .limit(limit)
            .into_model()
            .all(db)
            .await?),
    }
}

/// Those of these files that their rows still name.
pub async fn still(
    db: &impl ConnectionTrait,
    kind: Resource,
    files: &[StoredFile],
) -> Result<Vec<StoredFile>, Error> {
    let (backend, ids) = (db.get_database_backend(), files.iter().map(|file| file.id));
    match kind {
        Resource::Upload => Ok(uploads(one_of_ids(backend, upload::Column::Id, ids))
            .into_model()
            .all(db)
            .await?),
        _ => Ok(media(one_of_ids(backend, media::Column::Id, ids))
            .into_model()
            .all(db)
            .await?),
    }
}

/// Has rows promise no more what is not there: media stay as references, deleted and without content; uploads go.
pub async fn lose(
    tx: &Transaction,
    kind: Resource,
    ids: impl IntoIterator<Item = i64>,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let backend = tx.get_database_backend();
    if kind == Resource::Upload {
        let lost = upload::Entity::delete_many();
        let lost = lost.filter(one_of_ids(backend, upload::Column::Id, ids));
        return Ok(lost.exec(tx).await?.rows_affected);
    }
    let deleted_at = Expr::col(media::Column::DeletedAt).if_null(now);
    let lost = media::Entity::update_many()
        .col_expr(media::Column::DeletedAt, deleted_at)
        .col_expr(media::Column::ContentDeletedAt, Expr::value(now))
        .col_expr(media::Column::UpdatedAt, Expr::value(now))
        .col_expr(media::Column::StorageKey, Expr::value(None::<String>))
        .filter(one_of_ids(backend, media::Column::Id, ids))
        .filter(media::Column::ContentDeletedAt.is_null());
    Ok(lost.exec(tx).await?.rows_affected)
}

fn media(which: SimpleExpr) -> sea_orm::Select<media::Entity> {
    media::Entity::find()
        .select_only()
        .columns([
            media::Column::Id,
            media::Column::StorageKey,
            media::Column::FileSize,
        ])
        .filter(which)
        .filter(media::Column::StorageKey.is_not_null())
        .filter(media::Column::ContentDeletedAt.is_null())
        .order_by_asc(media::Column::Id)
}

fn uploads(which: SimpleExpr) -> sea_orm::Select<upload::Entity> {
    upload::Entity::find()
        .select_only()
        .columns([
            upload::Column::Id,
            upload::Column::StorageKey,
            upload::Column::FileSize,
        ])
        .filter(which)
        .order_by_asc(upload::Column::Id)
}
