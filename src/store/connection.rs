use std::{str::FromStr, sync::Arc, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector,
    SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection, PgConnection,
        pool::PoolOptions,
        postgres::PgConnectOptions,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use tokio::time::timeout;

use crate::{
    config::{DatabaseBackend, DatabaseConfig},
    domain::Error,
};

use super::Store;

/// How long a SQLite connection waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that was not used for so long may have been cut meanwhile.
const TESTED_AFTER: Duration = Duration::from_secs(5);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot create the folder {folder} of the database")]
    Folder {
        folder: String,
        source: std::io::Error,
    },
    #[error("cannot connect to the database {url}")]
    Connect { url: String, source: DbErr },
}

/// Opens a pool that may write. On SQLite it has one connection, since a second writer would only wait for the first.
pub async fn connect(config: &DatabaseConfig) -> Result<DatabaseConnection, ConnectError> {
    let connections = match config.url.backend() {
        DatabaseBackend::Postgres => config.max_connections,
        DatabaseBackend::Sqlite => 1,
    };
    open(config, connections).await
}

async fn open(
    config: &DatabaseConfig,
    connections: u32,
) -> Result<DatabaseConnection, ConnectError> {
    create_folder(config)?;
    check_server(config).await?;
    let failed = |source| failed_to_connect(config, source);
    match config.url.backend() {
        DatabaseBackend::Postgres => {
            let options = PgConnectOptions::from_str(config.url.expose()).map_err(failed)?;
            let options = options.disable_statement_logging();
            let pool = pool_options(config, connections).connect_with(options);
            Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(
                pool.await.map_err(failed)?,
            ))
        }
        DatabaseBackend::Sqlite => {
            let options = SqliteConnectOptions::from_str(config.url.expose()).map_err(failed)?;
            let options = tune_sqlite(options).disable_statement_logging();
            let pool = pool_options(config, connections).connect_with(options);
            Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(
                pool.await.map_err(failed)?,
            ))
        }
    }
}

fn failed_to_connect(config: &DatabaseConfig, source: sqlx::Error) -> ConnectError {
    ConnectError::Connect {
        url: config.url.redacted(),
        source: DbErr::Conn(RuntimeErr::SqlxError(Arc::new(source))),
    }
}

/// A connection is looked at before it is lent, by what is known of it: only one that lay idle costs a round trip.
fn pool_options<D: sqlx::Database>(config: &DatabaseConfig, connections: u32) -> PoolOptions<D> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| Box::pin(is_fit(connection, meta.idle_for)))
}

/// Whether a connection may be lent again; one that may not is closed.
///
/// One whose last transaction has not ended as it was told to is not: SQLite, for one, rolls a transaction back by itself
/// when the disk is full, and all that the driver would write from then on would be in a transaction that never commits.
async fn is_fit<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        return Ok(false);
    }
    if idle_for >= TESTED_AFTER {
        connection.ping().await?;
    }
    Ok(true)
}

/// Connects once without the pool, which would try again until its time is up and then tell that instead of the cause.
async fn check_server(config: &DatabaseConfig) -> Result<(), ConnectError> {
    if config.url.backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let failed = |error| failed_to_connect(config, error);
    let connection = PgConnection::connect(config.url.expose());
    let connection = timeout(config.acquire_timeout, connection).await;
    let connection = connection
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// Full synchronisation: a commit that was answered survives a power failure.
fn tune_sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

fn create_folder(config: &DatabaseConfig) -> Result<(), ConnectError> {
    if config.url.backend() != DatabaseBackend::Sqlite {
        return Ok(());
    }
    // The driver knows how its URLs are written; what it does not understand it refuses when it connects.
    let Ok(options) = SqliteConnectOptions::from_str(config.url.expose()) else {
        return Ok(());
    };
    let Some(folder) = options.get_filename().parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| ConnectError::Folder {
        folder: folder.display().to_string(),
        source,
    })
}

impl Store {
    pub async fn open(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        let writer = connect(config).await?;
        let reader = match config.url.backend() {
            DatabaseBackend::Postgres => writer.clone(),
            DatabaseBackend::Sqlite => open(config, config.max_connections).await?,
        };
        Ok(Self { writer, reader })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Closes the connections; statements under way end first.
    pub async fn close(&self) -> Result<(), Error> {
        self.reader.close_by_ref().await?;
        self.writer.close_by_ref().await?;
        Ok(())
    }
}
