//! The schema of Atelier and how it changes, for PostgreSQL and SQLite.
//!
//! A migration is a folder of SQL scripts, one up and one down for each database, listed in [`Migrator`]. All pending
//! ones run in a single transaction that no other migrating process can enter at the same time, so any number of
//! replicas may start at once, and a failure leaves the schema as it was.

mod script;

use script::{Script, ScriptMigration};
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{MigrationStatus, MigrationTrait, MigratorTrait};

/// Names the advisory lock of migrations; any number will do that nothing else on the server uses ("atelier" in ASCII).
const ADVISORY_LOCK: i64 = 0x61_74_65_6c_69_65_72;

/// The migration whose scripts stand in the folder of its name.
macro_rules! scripted {
    ($name:literal) => {
        Box::new(ScriptMigration {
            name: $name,
            postgres: Script {
                up: include_str!(concat!("sql/", $name, "/postgres_up.sql")),
                down: include_str!(concat!("sql/", $name, "/postgres_down.sql")),
            },
            sqlite: Script {
                up: include_str!(concat!("sql/", $name, "/sqlite_up.sql")),
                down: include_str!(concat!("sql/", $name, "/sqlite_down.sql")),
            },
        })
    };
}

/// The migrations, oldest first. An entry that was released is never changed: later needs are later migrations.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            scripted!("m0001_domain"),
            scripted!("m0002_execution"),
            scripted!("m0003_catalogue"),
            scripted!("m0004_media"),
            scripted!("m0005_json_checks"),
            scripted!("m0006_installation"),
            scripted!("m0007_provider"),
        ]
    }
}

/// Applies the next `steps` pending migrations, or all of them.
///
/// Safe to call from several processes at once: the later ones wait and then find nothing to do.
///
/// # Errors
/// The database's error, or one that names the migration that this program does not know, if the database is newer than
/// the program. Nothing has changed then.
pub async fn up(db: &DatabaseConnection, steps: Option<u32>) -> Result<(), DbErr> {
    let transaction = begin_exclusively(db).await?;
    Migrator::up(&transaction, steps).await?;
    transaction.commit().await
}

/// Reverts the last `steps` applied migrations with all data that only they could hold.
///
/// # Errors
/// As [`up`].
pub async fn down(db: &DatabaseConnection, steps: u32) -> Result<(), DbErr> {
    let transaction = begin_exclusively(db).await?;
    Migrator::down(&transaction, Some(steps)).await?;
    transaction.commit().await
}

/// The name of each migration, oldest first, and whether it is applied. Only reads, so it needs no right to create.
///
/// # Errors
/// As [`up`].
pub async fn status(db: &DatabaseConnection) -> Result<Vec<(String, bool)>, DbErr> {
    let migrations = Migrator::get_migration_with_status_read_only(db).await?;
    Ok(migrations
        .iter()
        .map(|migration| {
            let applied = migration.status() == MigrationStatus::Applied;
            (migration.name().to_owned(), applied)
        })
        .collect())
}

/// Begins a transaction that waits for every other migrating process to end.
///
/// On SQLite it holds the write lock from its first statement on (the wait is the connection's busy timeout); on
/// PostgreSQL an advisory lock that ends with the transaction, however that ends.
async fn begin_exclusively(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    if db.get_database_backend() != DbBackend::Postgres {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        return db.begin_with_options(options).await;
    }
    // A stricter level would freeze the view of the catalogue before the lock is granted, and what the process before
    // us has applied would look as if it were still to do.
    let options = TransactionOptions {
        isolation_level: Some(IsolationLevel::ReadCommitted),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    transaction
        .execute_raw(Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [ADVISORY_LOCK.into()],
        ))
        .await?;
    Ok(transaction)
}
