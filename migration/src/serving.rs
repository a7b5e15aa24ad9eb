//! Who is at work on the database: each server says so for as long as it runs, and taking the schema back needs to be
//! alone. On PostgreSQL it is an advisory lock that servers share, on SQLite the lock of a file beside the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use sea_orm_migration::sea_orm::sqlx::{
    self, Connection, PgConnection, postgres::PgConnectOptions,
};
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Error;
use crate::history::rows;
use crate::postgres::truth;

/// Names the advisory lock of servers, beside that of migrations.
const SERVING: i64 = 0x61_74_65_6c_69_65_73;
/// How often to look whether the lock is free, and how often at most.
const TRY_AGAIN: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 300;
/// How often before a server counts as running: PostgreSQL may take a moment to see that one has gone.
const LAST_LOOKS: u32 = 10;
/// How often to look whether the connection that holds the lock still stands, and the pause before the next one.
const LOOK: Duration = Duration::from_secs(15);
const RECONNECT: Duration = Duration::from_secs(1);

/// Says that a server runs on the database, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Serving {
    _file: Option<File>,
    connection: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.abort();
        }
    }
}

/// Says that a server runs on the database. Waits a little for one that is taking its schema back.
///
/// # Errors
/// The database's, or that the schema is still being taken back.
pub async fn enter(db: &DatabaseConnection) -> Result<Serving, Error> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(Serving {
            _file: share_file(db).await?,
            connection: None,
        });
    }
    let options = (*db.get_postgres_connection_pool().connect_options()).clone();
    let connection = share(&options).await?;
    Ok(Serving {
        _file: None,
        connection: Some(tokio::spawn(stay(connection, options))),
    })
}

/// Keeps the lock, on a new connection when the old one breaks.
async fn stay(mut connection: PgConnection, options: PgConnectOptions) {
    loop {
        while connection.ping().await.is_ok() {
            sleep(LOOK).await;
        }
        connection = loop {
            sleep(RECONNECT).await;
            if let Ok(connection) = share(&options).await {
                break connection;
            }
        };
    }
}

async fn share(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let mut connection = PgConnection::connect_with(options).await.map_err(failed)?;
    for _ in 0..ATTEMPTS {
        let shared = sqlx::query_scalar("SELECT pg_try_advisory_lock_shared($1)")
            .bind(SERVING)
            .fetch_one(&mut connection);
        if shared.await.map_err(failed)? {
            return Ok(connection);
        }
        sleep(TRY_AGAIN).await;
    }
    Err(Error::BeingTakenBack)
}

fn failed(error: sqlx::Error) -> Error {
    Error::Database(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
}

async fn share_file(db: &impl ConnectionTrait) -> Result<Option<File>, Error> {
    let Some((path, file)) = open(db).await? else {
        return Ok(None);
    };
    for _ in 0..ATTEMPTS {
        match file.try_lock_shared() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => sleep(TRY_AGAIN).await,
            Err(TryLockError::Error(source)) => return Err(Error::LockFile { path, source }),
        }
    }
    Err(Error::BeingTakenBack)
}

/// Asserts that no server runs on the database. None starts while what is returned and the transaction `db` are held.
pub(crate) async fn alone(db: &impl ConnectionTrait) -> Result<Option<File>, Error> {
    if db.get_database_backend() == DbBackend::Postgres {
        let query = format!("SELECT pg_try_advisory_xact_lock({SERVING})");
        for _ in 0..LAST_LOOKS {
            if truth(db, &query).await? {
                return Ok(None);
            }
            sleep(TRY_AGAIN).await;
        }
        return Err(Error::ServersRunning);
    }
    let Some((path, file)) = open(db).await? else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::ServersRunning),
        Err(TryLockError::Error(source)) => Err(Error::LockFile { path, source }),
    }
}

/// The file beside the database, `None` for a database without one.
async fn open(db: &impl ConnectionTrait) -> Result<Option<(String, File)>, Error> {
    let query = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let found = rows(db, query, None).await?;
    let database: Option<String> = found
        .first()
        .map(|row| row.try_get_by_index(0))
        .transpose()?;
    let Some(database) = database.filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    let path = format!("{database}-servers");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(PathBuf::from(&path)) {
        Ok(file) => Ok(Some((path, file))),
        Err(source) => Err(Error::LockFile { path, source }),
    }
}
