//! Files that users give, see docs/uploads.md.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, SqlErr, Statement,
    sea_query::{Expr, ExprTrait, Query},
};
use serde::Serialize;

use crate::{
    domain::{Caller, Error, Page, Resource, UploadsKept},
    entity::{
        request_upload,
        upload::{ActiveModel, Column, Entity, Model},
        upload_ticket,
    },
};

use super::{
    PageRequest, Transaction,
    one_of::{id_list, is_one_of, known_texts, one_of_texts},
    page::{List, Sorting},
    queue::dialect::Dialect,
    rows::Rows,
};

const ENDED: &str = "the upload's URL takes nothing any more: another file came by it, or it was taken back; ask for a new one";

/// A file that is in the storage and has no row yet.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Whose it is.
    pub user_id: i64,
    /// Of what is stored.
    pub sha256: String,
    /// Where it is.
    pub storage_key: String,
    /// Empty where the user has not said it.
    pub file_name: String,
    /// By its bytes.
    pub format: &'static str,
    /// Bytes.
    pub file_size: i64,
    /// Pixels.
    pub size: Option<(i32, i32)>,
    /// Of a video or sound.
    pub duration_ms: Option<i64>,
    /// How the picture is damaged that is shown as far as it goes.
    pub damaged: Option<String>,
}

/// Which uploads are listed.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Only those of this user.
    pub user_id: Option<i64>,
}

/// Keeps others from adding uploads of the user until the transaction ends. On SQLite nobody else writes meanwhile.
pub async fn lock(tx: &Transaction, user_id: i64) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let name = format!("atelier: uploads of user {user_id}");
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()]);
        tx.execute_raw(lock).await?;
    }
    Ok(())
}

/// How many files the user has here, and of how many bytes in all.
pub async fn kept(db: &impl ConnectionTrait, user_id: i64) -> Result<UploadsKept, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        files: i64,
        bytes: i64,
    }
    let kept = "SELECT COUNT(*) AS files, CAST(COALESCE(SUM(file_size), 0) AS BIGINT) AS bytes
                FROM generation_uploads WHERE user_id = $1";
    let backend = db.get_database_backend();
    let kept = Statement::from_sql_and_values(backend, kept, [user_id.into()]);
    let row = Row::find_by_statement(kept).one(db).await?;
    let (files, bytes) = row.map_or((0, 0), |row| (row.files, row.bytes));
    Ok(UploadsKept {
        files: files.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
    })
}

/// Adds a file. [`Error::UserUnknown`] if there is no such user.
pub async fn insert(tx: &Transaction, new: NewUpload, now: DateTime<Utc>) -> Result<Model, Error> {
    let user_id = new.user_id;
    let row = ActiveModel {
        id: NotSet,
        user_id: Set(user_id),
        sha256: Set(new.sha256),
        storage_key: Set(new.storage_key),
        file_name: Set(Some(new.file_name).filter(|name| !name.is_empty())),
        format: Set(new.format.to_owned()),
        file_size: Set(new.file_size),
        width: Set(new.size.map(|(width, _)| width)),
        height: Set(new.size.map(|(_, height)| height)),
        duration_ms: Set(new.duration_ms),
        damaged: Set(new.damaged),
        created_at: Set(now),
        updated_at: Set(now),
    };
    row.insert(tx).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::UserUnknown(user_id),
        _ => error.into(),
    })
}

/// The user's file with exactly these bytes, as given again now.
pub async fn give_again(
    tx: &Transaction,
    user_id: i64,
    sha256: &str,
    now: DateTime<Utc>,
) -> Result<Option<Model>, Error> {
    let same = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Sha256.eq(sha256));
    let Some(same) = same.one(tx).await? else {
        return Ok(None);
    };
    let renewed = renew(tx, same.id, now).await?;
    Ok(renewed.then_some(Model {
        updated_at: Ord::max(now, same.updated_at),
        ..same
    }))
}

/// Notes that the upload is used now; false if it is gone. It stays until the transaction ends.
pub async fn renew(db: &impl ConnectionTrait, id: i64, now: DateTime<Utc>) -> Result<bool, Error> {
    let renewed = Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(renewed.rows_affected == 1)
}

/// The same of several: returns those that are there. They are locked in order of their ids.
pub async fn renew_all(
    tx: &Transaction,
    ids: BTreeSet<i64>,
    now: DateTime<Utc>,
) -> Result<BTreeSet<i64>, Error> {
    if ids.is_empty() {
        return Ok(ids);
    }
    let backend = tx.get_database_backend();
    let renew = format!(
        "WITH named AS MATERIALIZED (SELECT id FROM generation_uploads WHERE id {ids} ORDER BY id {locked})
         UPDATE generation_uploads SET updated_at = $2 WHERE id IN (SELECT id FROM named) RETURNING id",
        ids = is_one_of(backend, "$1"),
        locked = Dialect::of_backend(backend).locked(),
    );
    let values = [id_list(backend, ids), now.into()];
    let renew = Statement::from_sql_and_values(backend, renew, values);
    let renewed = tx.query_all_raw(renew).await?;
    let renewed = renewed.iter().map(|row| row.try_get("", "id"));
    Ok(renewed.collect::<Result<_, _>>()?)
}

/// Notes that those are used now which a request names.
pub async fn renew_of(tx: &Transaction, request_id: i64, now: DateTime<Utc>) -> Result<(), Error> {
    let named = request_upload::Entity::find()
        .select_only()
        .column(request_upload::Column::UploadId)
        .filter(request_upload::Column::RequestId.eq(request_id));
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.in_subquery(named.into_query()))
        .exec(tx)
        .await?;
    Ok(())
}

/// The upload, if the caller may see it.
pub async fn find(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Model, Error> {
    let query = Entity::find_by_id(id).apply_if(caller.scope(), |query, user| {
        query.filter(Column::UserId.eq(user))
    });
    let found = query.one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Upload, id))
}

/// Uploads, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let mut query = Entity::find();
    for user in caller.scope().into_iter().chain(filter.user_id) {
        query = query.filter(Column::UserId.eq(user));
    }
    let list = List {
        name: "uploads by id descending",
        filter,
        query,
        page,
    };
    let newest = Sorting::newest(Column::Id, |row: &Model| vec![row.id]);
    list.sorted(db, newest).await
}

/// Those of the user's that stand at these places.
pub async fn of_user_at(
    db: &impl ConnectionTrait,
    user_id: i64,
    keys: Vec<String>,
) -> Result<Vec<Model>, Error> {
    let mut found = at(db, keys).await?;
    found.retain(|upload| upload.user_id == user_id);
    Ok(found)
}

/// Those of all users, in order of their ids.
pub(super) async fn at(db: &impl ConnectionTrait, keys: Vec<String>) -> Result<Vec<Model>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let found = Entity::find()
        .filter(one_of_texts(backend, Column::StorageKey, keys))
        .order_by_asc(Column::Id);
    Ok(found.all(db).await?)
}

/// Those of these objects that a row names.
pub async fn known_storage_keys(
    db: &impl ConnectionTrait,
    keys: Vec<String>,
) -> Result<BTreeSet<String>, Error> {
    known_texts(db, Entity::find(), Column::StorageKey, keys).await
}

/// Notes which requests name which uploads: pairs of their ids.
pub async fn attach(tx: &Transaction, named: Vec<(i64, i64)>) -> Result<(), Error> {
    let row = |(request_id, upload_id)| request_upload::ActiveModel {
        request_id: Set(request_id),
        upload_id: Set(upload_id),
    };
    Rows::new(named.into_iter().map(row).collect())
        .add(tx)
        .await
}

/// Forgets an upload; false if that was done.
pub async fn delete(db: &impl ConnectionTrait, id: i64) -> Result<bool, Error> {
    let deleted = Entity::delete_by_id(id).exec(db).await?;
    Ok(deleted.rows_affected == 1)
}

/// The first of those that nobody gave, and that were not known to be used, since then.
pub async fn idle_since(
    db: &impl ConnectionTrait,
    since: DateTime<Utc>,
    most: u64,
) -> Result<Vec<Model>, Error> {
    let idle = Entity::find()
        .filter(Column::UpdatedAt.lt(since))
        .order_by_asc(Column::UpdatedAt)
        .order_by_asc(Column::Id)
        .limit(most);
    Ok(idle.all(db).await?)
}

/// Those of these uploads that a request names which is live, or was at that time.
pub async fn used_since(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
    since: DateTime<Utc>,
) -> Result<BTreeSet<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        upload_id: i64,
    }
    let backend = db.get_database_backend();
    let used = format!(
        "SELECT DISTINCT link.upload_id AS upload_id FROM generation_request_uploads AS link
         JOIN generation_requests AS request ON request.id = link.request_id
         WHERE link.upload_id {} AND (request.deleted_at IS NULL OR request.deleted_at >= $2)",
        is_one_of(backend, "$1")
    );
    let values = [id_list(backend, ids), since.into()];
    let used = Statement::from_sql_and_values(backend, used, values);
    let rows = Row::find_by_statement(used).all(db).await?;
    Ok(rows.into_iter().map(|row| row.upload_id).collect())
}

/// Forgets an upload that nobody has given or used since then; false if somebody has.
pub async fn delete_idle(
    db: &impl ConnectionTrait,
    id: i64,
    since: DateTime<Utc>,
) -> Result<bool, Error> {
    // Whoever names it in a request has renewed it in the transaction that does so, which this waits for.
    let deleted = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::UpdatedAt.lt(since))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// Keeps a ticket, by whose URL one file may come.
pub async fn add_ticket(
    db: &impl ConnectionTrait,
    ticket: &str,
    user_id: i64,
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    let row = upload_ticket::ActiveModel {
        id: Set(ticket.to_owned()),
        user_id: Set(user_id),
        upload_id: Set(None),
        expires_at: Set(expires_at),
    };
    let row = upload_ticket::Entity::insert(row);
    row.exec_without_returning(db).await?;
    Ok(())
}

/// How many tickets of the user end after the time that nothing has come by.
pub async fn count_tickets(
    db: &impl ConnectionTrait,
    user_id: i64,
    after: DateTime<Utc>,
) -> Result<u64, Error> {
    let open = upload_ticket::Entity::find()
        .filter(upload_ticket::Column::UserId.eq(user_id))
        .filter(upload_ticket::Column::UploadId.is_null())
        .filter(upload_ticket::Column::ExpiresAt.gt(after));
    Ok(open.count(db).await?)
}

/// What has come by the URL of this ticket, if anything has.
///
/// # Errors
/// [`Error::UploadIncomplete`] if the ticket takes nothing any more.
pub async fn come_by(db: &impl ConnectionTrait, ticket: &str) -> Result<Option<Model>, Error> {
    let kept = upload_ticket::Entity::find_by_id(ticket).one(db).await?;
    match kept.ok_or(Error::UploadIncomplete(ENDED))?.upload_id {
        Some(upload_id) => Ok(Entity::find_by_id(upload_id).one(db).await?),
        None => Ok(None),
    }
}

/// Notes what has come by the URL of a ticket.
///
/// # Errors
/// [`Error::UploadIncomplete`] if another file was faster, or the ticket takes nothing any more.
pub async fn note_ticket(tx: &Transaction, ticket: &str, upload_id: i64) -> Result<(), Error> {
    let come = upload_ticket::Column::UploadId;
    let noted = upload_ticket::Entity::update_many()
        .col_expr(come, Expr::value(upload_id))
        .filter(upload_ticket::Column::Id.eq(ticket))
        .filter(come.is_null().or(come.eq(upload_id)))
        .exec(tx)
        .await?;
    match noted.rows_affected {
        1 => Ok(()),
        _ => Err(Error::UploadIncomplete(ENDED)),
    }
}

/// Removes the tickets of a user.
pub async fn remove_tickets(tx: &Transaction, user_id: i64) -> Result<(), Error> {
    let tickets = upload_ticket::Entity::delete_many();
    let tickets = tickets.filter(upload_ticket::Column::UserId.eq(user_id));
    tickets.exec(tx).await?;
    Ok(())
}

/// Forgets up to `limit` tickets that nobody may ask about any more; returns how many.
pub async fn forget_tickets(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<u64, Error> {
    use upload_ticket::Column;
    let over = Query::select()
        .column(Column::Id)
        .from(upload_ticket::Entity)
        .and_where(Column::ExpiresAt.lte(now))
        .limit(limit)
        .to_owned();
    let forgotten = upload_ticket::Entity::delete_many()
        .filter(Column::Id.in_subquery(over))
        .exec(db);
    Ok(forgotten.await?.rows_affected)
}
