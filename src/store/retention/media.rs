//! The end of files of deleted media. A row says first that its file is given up, in a transaction, and names its object until
//! that is gone: whatever breaks, no row promises what is not there, and no object is forgotten.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::{
    domain::{Deadline, Error, RetentionStep},
    store::{Transaction, one_of::id_list, queue::dialect::Dialect},
};

use super::{ids, values};

/// Media whose files are given up and still stand in the storage.
pub(super) const GIVEN_UP: &str = "SELECT id, storage_key FROM generation_media
     WHERE content_deleted_at IS NOT NULL AND storage_key IS NOT NULL";

/// A file that is given up.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Abandoned {
    /// Of the media.
    pub id: i64,
    /// Where it stands.
    pub storage_key: String,
}

/// Deleted media whose time is over.
pub(super) fn due_rows(what: &str) -> String {
    format!(
        "SELECT {what} FROM generation_media AS due
         WHERE due.deleted_at IS NOT NULL AND due.deleted_at < $1 AND due.content_deleted_at IS NULL"
    )
}

/// Live thumbnails, posters and previews of such media: they only stand for them, and go along.
pub(super) fn along(sql: Dialect) -> String {
    format!(
        "SELECT 1 AS due FROM ({due}) AS original {small}",
        due = due_rows("due.id, due.request_id"),
        small = join_small(sql),
    )
}

/// What only stands for an `original` of a query.
fn join_small(sql: Dialect) -> String {
    format!(
        "JOIN generation_media AS small {of_request} ON small.request_id = original.request_id
             AND small.deleted_at IS NULL AND small.role IN ('thumbnail', 'poster', 'preview')
             AND CAST(small.metadata ->> 'original_id' AS TEXT) = CAST(original.id AS TEXT)",
        of_request = sql.indexed_by("idx_generation_media_of_request"),
    )
}

/// Gives up the files of the first `limit` media, and of what goes along. Returns how many, and how many of those have none.
pub async fn give_up(
    tx: &Transaction,
    deadline: &Deadline,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<(u64, u64), Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "{rows} ORDER BY due.deleted_at, due.id LIMIT {limit} {skip_locked}",
        rows = super::due_rows(sql, RetentionStep::DeletedMedia, "due.id"),
        skip_locked = sql.skip_locked("due"),
    );
    let mut media = ids(tx, statement, values(deadline)).await?;
    if media.is_empty() {
        return Ok((0, 0));
    }
    let backend = tx.get_database_backend();
    let statement = format!(
        "SELECT small.id FROM generation_media AS original {small} WHERE original.id {these}",
        small = join_small(sql),
        these = sql.one_of("$1"),
    );
    let along = ids(tx, statement, [id_list(backend, media.iter().copied())]).await?;
    media.extend(along);
    let statement = format!(
        "UPDATE generation_media SET content_deleted_at = $2, deleted_at = COALESCE(deleted_at, $2), updated_at = $2,
             tiny_preview_base64 = NULL
         WHERE id {these} AND content_deleted_at IS NULL",
        these = sql.one_of("$1"),
    );
    let these = sql.list(media.iter().copied());
    let given_up = sql.execute(tx, statement, [these, now.into()]).await?;
    let statement = format!(
        "SELECT id FROM generation_media WHERE id {these} AND storage_key IS NULL",
        these = sql.one_of("$1"),
    );
    let empty = ids(tx, statement, [sql.list(media)]).await?;
    Ok((given_up, empty.len() as u64))
}

/// The first `limit` files after this media's that are given up and still stand in the storage. Other media may have the
/// same objects.
pub async fn given_up(
    db: &impl ConnectionTrait,
    after: i64,
    limit: u64,
) -> Result<Vec<Abandoned>, Error> {
    let first = format!("{GIVEN_UP} AND id > $1 ORDER BY id LIMIT {limit}");
    let first = Statement::from_sql_and_values(db.get_database_backend(), first, [after.into()]);
    Ok(Abandoned::find_by_statement(first).all(db).await?)
}

/// Writes down that the files of these media are gone. Returns of how many, each once.
pub async fn note_removed(db: &impl ConnectionTrait, media: &[i64]) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "UPDATE generation_media SET storage_key = NULL
         WHERE id {these} AND content_deleted_at IS NOT NULL AND storage_key IS NOT NULL",
        these = sql.one_of("$1"),
    );
    let these = sql.list(media.iter().copied());
    sql.execute(db, statement, [these]).await
}
