//! What only PostgreSQL needs: one migrating process at a time, locks that others need not wait long for, and builds of
//! indexes beside the transaction.

use std::time::Duration;

use sea_orm_migration::sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr,
    TransactionOptions, TransactionTrait,
};
use tokio::time::sleep;

use crate::history::{NAMES, PROGRAMS, exists, rows, table};
use crate::{Build, Error, Migration};

/// Names the advisory lock of migrations; any number will do that nothing else on the server uses ("atelier" in ASCII).
const MIGRATING: i64 = 0x61_74_65_6c_69_65_72;
/// How often to try for it. Waiting within a statement would hold a snapshot, which an index build waits for in turn.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// A statement that waits for a table makes everyone wait who comes after it, so it waits for less than people notice.
/// A session's other limits are for serving; a migration may take its time.
const LIMITS: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// Begins a transaction that no other migrating process is in. The lock ends with it, however it ends.
pub(crate) async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // A stricter level would freeze the view of the catalogue before the lock is granted, and what the process before
    // us has applied would look as if it were still to do.
    let options = TransactionOptions {
        isolation_level: Some(IsolationLevel::ReadCommitted),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    transaction.execute_unprepared(LIMITS).await?;
    let attempt = format!("SELECT pg_try_advisory_xact_lock({MIGRATING})");
    while !truth(&transaction, &attempt).await? {
        sleep(TRY_AGAIN).await;
    }
    Ok(transaction)
}

/// The answer of a query that says yes or no.
pub(crate) async fn truth(db: &impl ConnectionTrait, query: &str) -> Result<bool, DbErr> {
    let found = rows(db, query, None).await?;
    found
        .first()
        .map_or(Ok(false), |row| row.try_get_by_index(0))
}

/// Makes the schema of our tables unless it is there, which needs no right then.
pub(crate) async fn make_schema(db: &impl ConnectionTrait, schema: &str) -> Result<(), DbErr> {
    let found = rows(
        db,
        "SELECT 1 FROM pg_namespace WHERE nspname = $1",
        Some(schema),
    )
    .await?;
    if found.is_empty() {
        let quoted = crate::history::quoted(schema);
        db.execute_unprepared(&format!("CREATE SCHEMA {quoted}"))
            .await?;
    }
    Ok(())
}

/// Finds out why no records are seen where there may be some: another schema holds them, or ours is closed to this role.
pub(crate) async fn explain_absence(
    db: &impl ConnectionTrait,
    schema: Option<&str>,
) -> Result<(), Error> {
    if exists(db, &table(schema, NAMES)).await? {
        return Ok(());
    }
    let hidden = rows(
        db,
        "SELECT current_user::text, nspname::text
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE relname = 'generation_requests' AND NOT has_schema_privilege(nspname, 'USAGE')
             AND nspname = ANY (regexp_split_to_array(replace(current_setting('search_path'), '\"', ''), '\\s*,\\s*'))",
        None,
    )
    .await?;
    if let Some(row) = hidden.first() {
        return Err(Error::HiddenSchema {
            role: row.try_get_by_index(0)?,
            schema: row.try_get_by_index(1)?,
        });
    }
    let Some(wanted) = schema else {
        return refuse_unnamed(db).await;
    };
    let elsewhere = rows(
        db,
        "SELECT nspname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE pg_class.oid = to_regclass('generation_requests') AND nspname <> $1",
        Some(wanted),
    )
    .await?;
    match elsewhere.first() {
        Some(row) => Err(Error::OtherSchema {
            found: row.try_get_by_index(0)?,
            wanted: wanted.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Where no schema is named and none on the search path has our tables, those of another were forgotten rather than meant
/// to have a second set beside them. Those that another process has made meanwhile are visible.
async fn refuse_unnamed(db: &impl ConnectionTrait) -> Result<(), Error> {
    let query = format!(
        "SELECT nspname::text FROM pg_class AS records
         JOIN pg_class AS requests ON requests.relnamespace = records.relnamespace
         JOIN pg_namespace ON pg_namespace.oid = records.relnamespace
         WHERE records.relname = '{NAMES}' AND requests.relname = 'generation_requests'
             AND NOT pg_table_is_visible(records.oid) ORDER BY 1"
    );
    match rows(db, &query, None).await?.first() {
        Some(row) => Err(Error::UnnamedSchema {
            found: row.try_get_by_index(0)?,
        }),
        None => Ok(()),
    }
}

/// Refuses a role that may not read the records.
pub(crate) async fn require_records(
    db: &impl ConnectionTrait,
    schema: Option<&str>,
) -> Result<(), Error> {
    for records in [NAMES, PROGRAMS] {
        let closed = rows(
            db,
            "SELECT current_user::text, records::text FROM to_regclass($1) AS records
             WHERE records IS NOT NULL AND NOT has_table_privilege(records, 'SELECT')",
            Some(&table(schema, records)),
        )
        .await?;
        if let Some(row) = closed.first() {
            return Err(Error::HiddenRecords {
                role: row.try_get_by_index(0)?,
                table: row.try_get_by_index(1)?,
            });
        }
    }
    Ok(())
}

/// Refuses a role that may not make tables where they go.
pub(crate) async fn require_create(
    db: &impl ConnectionTrait,
    pending: &Migration,
) -> Result<(), Error> {
    let refused = rows(
        db,
        "SELECT current_user::text, coalesce(current_schema()::text, current_setting('search_path'))
         WHERE has_schema_privilege(current_schema()::text, 'CREATE') IS NOT TRUE",
        None,
    )
    .await?;
    match refused.first() {
        Some(row) => Err(Error::MayNotCreate {
            pending: pending.name.to_owned(),
            role: row.try_get_by_index(0)?,
            schema: row.try_get_by_index(1)?,
        }),
        None => Ok(()),
    }
}

/// Builds indexes on a connection of their own, while `alone` keeps other migrating processes out. One that is there is
/// left; one that an interrupted build has left invalid is dropped and built anew.
pub(crate) async fn build(
    db: &DatabaseConnection,
    alone: &DatabaseTransaction,
    builds: &[Build],
) -> Result<(), Error> {
    let path = rows(alone, "SELECT current_setting('search_path')", None).await?;
    let path: String = path
        .first()
        .map_or(Ok(String::new()), |row| row.try_get_by_index(0))?;
    let options = db.get_postgres_connection_pool().connect_options();
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    // No time limits: nobody waits for this, and a build that is cut off leaves an index that is of no use.
    sqlx::query(
        "SELECT set_config('search_path', $1, false), set_config('lock_timeout', '0', false),
             set_config('statement_timeout', '0', false)",
    )
    .bind(path)
    .execute(&mut connection)
    .await
    .map_err(failed)?;
    for build in builds {
        build_one(&mut connection, build).await.map_err(failed)?;
    }
    connection.close().await.map_err(failed)
}

async fn build_one(connection: &mut PgConnection, build: &Build) -> sqlx::Result<()> {
    let valid: Option<bool> =
        sqlx::query_scalar("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)")
            .bind(build.index)
            .fetch_optional(&mut *connection)
            .await?;
    if valid == Some(true) {
        return Ok(());
    }
    if valid == Some(false) {
        let drop = format!("DROP INDEX CONCURRENTLY {}", build.index);
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut *connection)
            .await?;
    }
    sqlx::raw_sql(build.statement).execute(connection).await?;
    Ok(())
}

fn failed(error: sqlx::Error) -> Error {
    Error::Database(DbErr::Exec(RuntimeErr::SqlxError(error.into())))
}
