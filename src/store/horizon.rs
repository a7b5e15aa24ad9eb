//! Which transactions have ended. An identifier is given before it is committed: so a lower one may come after a higher one.

use sea_orm::{ConnectionTrait, DbBackend, Statement, TryGetable, Value};

use crate::domain::Error;

/// A transaction that begins now: after all that have been given an identifier so far, since these had written before. On
/// SQLite there is one at a time, and so none to tell.
pub async fn begin(db: &impl ConnectionTrait) -> Result<i64, Error> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(0);
    }
    ask(db, "SELECT pg_current_xact_id()::text::bigint", []).await
}

/// The oldest transaction that goes on: all that began before it have ended.
pub async fn oldest(db: &impl ConnectionTrait) -> Result<i64, Error> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(i64::MAX);
    }
    let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
    ask(db, oldest, []).await
}

/// Whether the transaction can be one of this database.
pub async fn is_known(db: &impl ConnectionTrait, transaction: i64) -> Result<bool, Error> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint > $1";
    ask(db, next, [transaction.into()]).await
}

async fn ask<T: TryGetable>(
    db: &impl ConnectionTrait,
    question: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<T, Error> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), question, values);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| Error::internal("the database tells no transaction"))?;
    Ok(row.try_get_by_index(0)?)
}
