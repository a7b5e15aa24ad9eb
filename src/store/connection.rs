//! Opening the database: connections to a server, or the embedded file, which has a single writer. A database that is
//! not there yet is waited for.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use crate::{
    config::{DatabaseConfig, DatabaseUrl, SqliteFile},
    domain::Error,
};

use super::{
    Store,
    lender::Lender,
    patience::patiently,
    pool::Pool,
    postgres::{Connector, Limits},
    private_file,
    words::Told,
};

/// How long a SQLite connection waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of a SQLite database is to be made, and the folder for it cannot.
    #[error("cannot create the folder {folder} of the database")]
    Folder {
        /// The one that is missing.
        folder: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A command that needs a database is not to make one.
    #[error("there is no database {file}")]
    Missing {
        /// Where it was looked for.
        file: String,
    },
    /// Waiting would not help: a wrong password, a file that may not be opened.
    #[error("cannot connect to the database {url}")]
    Connect {
        /// The database, without its password.
        url: String,
        /// What the database or the driver says.
        source: Told,
    },
    /// The server was not there, or had no room, for as long as `database.connect_timeout`.
    #[error(
        "cannot connect to the database {url}, not after {} s of waiting either (database.connect_timeout)",
        .waited.as_secs()
    )]
    Waited {
        /// The database, without its password.
        url: String,
        /// How long, all tries together.
        waited: Duration,
        /// Why the last try failed.
        source: Told,
    },
    /// The database could not keep all texts.
    #[error(
        "the database {url} keeps text as {encoding}: create it with ENCODING 'UTF8', since prompts are in any language"
    )]
    Encoding {
        /// The database, without its password.
        url: String,
        /// Its `server_encoding`.
        encoding: String,
    },
}

impl ConnectError {
    pub(super) fn new(config: &DatabaseConfig, source: sqlx::Error) -> Self {
        Self::Connect {
            url: config.url.redacted(),
            source: source.into(),
        }
    }
}

/// As [`connect_now`], but waits for a database that is not there yet.
///
/// # Errors
/// Why the database cannot be used.
pub async fn connect(
    config: &DatabaseConfig,
    name: &str,
) -> Result<DatabaseConnection, ConnectError> {
    patiently(config, || connect_now(config, name)).await
}

/// Opens one connection that may write and has no limits of time, for changes of the schema. `name` is what a server shows for
/// it.
///
/// # Errors
/// Why the database cannot be used.
pub async fn connect_now(
    config: &DatabaseConfig,
    name: &str,
) -> Result<DatabaseConnection, ConnectError> {
    match config.direct_url() {
        DatabaseUrl::Postgres(server) => {
            let connector = Connector::new(config, server, name, Limits::None)?;
            connector.check().await?;
            let opened = connector.open().await;
            opened.map_err(|source| ConnectError::new(config, source))
        }
        DatabaseUrl::Sqlite(file) => open_file(config, file, 1).await,
    }
}

/// The same to look at the schema alone. A file that is not there is not made: it is looked at as an empty database.
///
/// # Errors
/// As [`connect`].
pub async fn connect_to_look(
    config: &DatabaseConfig,
    name: &str,
) -> Result<DatabaseConnection, ConnectError> {
    match &config.url {
        DatabaseUrl::Sqlite(file) if is_missing(file) => {
            let mut empty = file.clone();
            (empty.path, empty.create) = (":memory:".into(), false);
            open_file(config, &empty, 1).await
        }
        _ => connect(config, name).await,
    }
}

async fn open_file(
    config: &DatabaseConfig,
    file: &SqliteFile,
    connections: u32,
) -> Result<DatabaseConnection, ConnectError> {
    if let Some(folder) = file.folder().filter(|_| file.create) {
        private_file::create_folder(folder).map_err(|source| ConnectError::Folder {
            folder: folder.display().to_string(),
            source,
        })?;
        // What SQLite makes beside its file gets the mode of that. Where it may not be made, SQLite says so when it opens it.
        let _ = private_file::ensure(&file.path);
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(is_fit(connection)) }))
        .connect_with(file_options(file));
    let pool = pool
        .await
        .map_err(|source| match !file.create && is_missing(file) {
            true => ConnectError::Missing {
                file: file.path.display().to_string(),
            },
            false => ConnectError::new(config, source),
        })?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// A file that cannot be looked for may be there.
fn is_missing(file: &SqliteFile) -> bool {
    matches!(file.path.try_exists(), Ok(false))
}

/// Whether a connection may be lent again; one that may not is closed.
///
/// One whose last transaction has not ended as it was told to is not: SQLite, for one, rolls a transaction back by itself
/// when the disk is full, and all that the driver would write from then on would be in a transaction that never commits.
pub(super) fn is_fit(connection: &impl Connection) -> bool {
    !connection.is_in_transaction()
}

/// Full synchronisation: a commit that was answered survives a power failure.
fn file_options(file: &SqliteFile) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(&file.path)
        .create_if_missing(file.create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    match &file.vfs {
        Some(vfs) => options.vfs(vfs.clone()),
        None => options,
    }
}

impl Store {
    /// Opens the pools, and waits for a database that is not there yet. On SQLite the writers' pool has one connection, since
    /// a second writer would only wait for the first. `name` is what a server shows for the connections.
    ///
    /// # Errors
    /// Why the database cannot be used.
    pub async fn open(config: &DatabaseConfig, name: &str) -> Result<Self, ConnectError> {
        match &config.url {
            DatabaseUrl::Postgres(server) => {
                let connector = Connector::through_pooler(config, server, name)?;
                patiently(config, || connector.check()).await?;
                let lender = Lender::new(connector, config);
                let listening = match config.direct_url() {
                    DatabaseUrl::Postgres(server) => {
                        Some(Connector::new(config, server, name, Limits::Timed)?)
                    }
                    DatabaseUrl::Sqlite(_) => None,
                };
                Ok(Self {
                    writer: Pool::from(lender.clone()),
                    reader: Pool::reading(lender),
                    listening,
                    refused_as_full: Arc::default(),
                })
            }
            DatabaseUrl::Sqlite(file) => Ok(Self {
                writer: Pool::in_turns(open_file(config, file, 1).await?, config),
                reader: open_file(config, file, config.max_connections)
                    .await?
                    .into(),
                listening: None,
                refused_as_full: Arc::default(),
            }),
        }
    }

    /// Closes the connections; statements under way end first.
    pub async fn close(&self) -> Result<(), Error> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}
