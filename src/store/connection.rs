use std::{str::FromStr, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{
        self, Connection, PgConnection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use tokio::time::timeout;

use crate::{
    config::{DatabaseBackend, DatabaseConfig},
    domain::Error,
};

use super::{Store, Transaction};

/// How long a SQLite connection waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

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
    let mut options = ConnectOptions::new(config.url.expose());
    options
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .connect_timeout(config.acquire_timeout)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(tune_sqlite);
    let connected = Database::connect(options).await;
    connected.map_err(|source| ConnectError::Connect {
        url: config.url.redacted(),
        source,
    })
}

/// Connects once without the pool, which would try again until its time is up and then tell that instead of the cause.
async fn check_server(config: &DatabaseConfig) -> Result<(), ConnectError> {
    if config.url.backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let failed = |error: sqlx::Error| ConnectError::Connect {
        url: config.url.redacted(),
        source: DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    };
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

    /// Begins a transaction that may write. On SQLite it takes the write lock at once: a transaction that reads first and
    /// writes later would fail instead of waiting.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let options = match self.backend() {
            DbBackend::Sqlite => options,
            _ => TransactionOptions::default(),
        };
        Ok(self.writer.begin_with_options(options).await?)
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
