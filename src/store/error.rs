//! What the database says, as an error of the domain.

use std::io::ErrorKind;

use sea_orm::{
    ConnAcquireErr, DbErr, RuntimeErr, SqlErr,
    sqlx::{self, error::DatabaseError, postgres::PgDatabaseError},
};

use crate::domain::{Error, Hindrance, KnownOutage, with_causes};

/// PostgreSQL, appendix A: connection exceptions, conflicts with other transactions, too few resources, an operator's
/// intervention, faults of the system.
const PASSING_CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
/// A primary that takes no writes, a transaction that was idle for too long, a lock that was waited for for too long, and a
/// right that the operator has yet to give, or to give back.
const PASSING_CODES: [&str; 4] = ["25006", "25P03", "55P03", "42501"];
/// A session that takes no writes stays like that when the database takes them again; the others are closed by the server.
const BREAKING_CODES: [&str; 6] = ["25006", "25P03", "57P01", "57P02", "57P03", "57P05"];
/// A lock or a statement that took too long.
const BUSY_CODES: [&str; 2] = ["55P03", "57014"];
/// A server that ends sessions, or has none to give.
const AWAITED_CODES: [&str; 4] = ["53300", "57P01", "57P02", "57P03"];
const IN_USE: &str = "others use what was asked for in the database for too long";
const LOCKED: &str = "another process holds the database's lock";
const SHORT: &str = "the database is short of memory or room";
const READ_ONLY: &str = "the database takes no writes right now";
/// What PostgreSQL says while it is there, by how its SQLSTATE begins.
const HINDRANCES: [(&str, &str); 8] = [
    ("25006", READ_ONLY),
    (
        "25P03",
        "a transaction stood still for too long and was ended by the database",
    ),
    ("40", "another call changed the same data at this moment"),
    ("42501", "the service lacks a right in the database"),
    ("53300", "the database has no connection to spare"),
    ("53", SHORT),
    ("55P03", IN_USE),
    ("57014", "the database took too long"),
];
/// SQLite: no permission, busy, locked, no memory, read-only, I/O error, cannot open.
const PASSING_RESULTS: [i64; 7] = [3, 5, 6, 7, 8, 10, 14];
/// PostgreSQL's disk_full; SQLite's SQLITE_FULL.
const FULL_CODES: [&str; 3] = ["53100", "13", NO_SHARED_MEMORY];
/// SQLite's SQLITE_IOERR_SHMSIZE: there is no room for the file of the memory that processes share.
pub(super) const NO_SHARED_MEMORY: &str = "4874";

use super::{turn::LockedOut, words::Told};

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(outage) = ours::<KnownOutage>(&error) {
            Self::DatabaseUnavailable(Box::new(outage))
        } else if let Some(locked_out) = ours::<LockedOut>(&error) {
            locked_out.into()
        } else if driver_error(&error).is_some_and(is_full) {
            Self::DatabaseFull(Box::new(Told::from(error)))
        } else if let Some(sentence) = hindrance(&error) {
            let cause = Told::from(error).to_string();
            Self::DatabaseUnavailable(Box::new(Hindrance { sentence, cause }))
        } else if is_unavailable(&error) {
            Self::DatabaseUnavailable(Box::new(Told::from(error)))
        } else {
            Self::Internal(Box::new(Told::from(error)))
        }
    }
}

impl From<LockedOut> for Error {
    fn from(locked_out: LockedOut) -> Self {
        let (sentence, cause) = (LOCKED, locked_out.to_string());
        Self::DatabaseUnavailable(Box::new(Hindrance { sentence, cause }))
    }
}

/// Why a database that is there does not do what it is asked to for now, in words for callers.
fn hindrance(error: &DbErr) -> Option<&'static str> {
    if finds_no_connection(error) {
        return Some("all connections to the database are in use");
    }
    let error = driver_error(error)?.as_database_error()?;
    let code = error.code()?;
    if error.try_downcast_ref::<PgDatabaseError>().is_none() {
        return hindrance_of_file(primary_result(&code)?);
    }
    let mut hindrances = HINDRANCES.iter();
    let (_, sentence) = hindrances.find(|(start, _)| code.starts_with(start))?;
    Some(sentence)
}

fn hindrance_of_file(result: i64) -> Option<&'static str> {
    match result {
        5 => Some(LOCKED),
        6 => Some(IN_USE),
        7 => Some(SHORT),
        8 => Some(READ_ONLY),
        3 | 10 | 14 => Some("the database's file cannot be read or written right now"),
        _ => None,
    }
}

/// Logs a fault that whoever met it will try again after. An outage that is known was logged when it began.
pub fn report(error: &Error, what: &str) {
    let cause = with_causes(error);
    match error {
        _ if error.is_known_outage() => tracing::debug!("{what}"),
        Error::DatabaseUnavailable(_) | Error::DatabaseFull(_) | Error::StorageUnavailable(_) => {
            tracing::warn!(error = cause, "{what}");
        }
        _ => tracing::error!(error = cause, "{what}"),
    }
}

/// Whether a unique index refused the statement.
pub(super) fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether the database has no room for more.
fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| FULL_CODES.contains(&code.as_ref()))
}

/// Whether the database may be there and had only no time: a lock is held for long, or all connections are in use.
pub(super) fn is_busy(error: &DbErr) -> bool {
    finds_no_connection(error)
        || driver_error(error).is_some_and(|error| match error {
            sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => has_code(error.as_ref(), &BUSY_CODES),
            _ => false,
        })
}

/// Whether the lock of a SQLite database was waited for in vain.
pub(super) fn is_locked(error: &DbErr) -> bool {
    let error = driver_error(error).and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| {
        let is_of_file = error.try_downcast_ref::<PgDatabaseError>().is_none();
        is_of_file && error.code().and_then(|code| primary_result(&code)) == Some(5)
    })
}

/// Whether the pool had no connection to lend in time.
pub(super) fn finds_no_connection(error: &DbErr) -> bool {
    matches!(
        error,
        DbErr::Conn(RuntimeErr::Internal(_)) | DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
    )
}

/// Whether the connection that said this is of no use any more.
pub(super) fn breaks_connection(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        _ => driver_error(error).is_some_and(|error| match error {
            sqlx::Error::Database(error) => has_code(error.as_ref(), &BREAKING_CODES),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
            _ => false,
        }),
    }
}

/// Whether waiting may help against what a try to connect has failed with: a server that is not there yet, starts, or has no
/// room for us.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => {
            let lasting = [
                ErrorKind::PermissionDenied,
                ErrorKind::InvalidInput,
                ErrorKind::InvalidData,
            ];
            !lasting.contains(&error.kind())
        }
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => is_passing(error.as_ref()),
        _ => false,
    }
}

/// Whether a start that has met this may succeed soon: no connection came, or the one that there was is gone.
pub(super) fn is_awaited(error: &DbErr) -> bool {
    match (error, driver_error(error)) {
        (DbErr::Conn(_), Some(error)) => passes(error),
        (_, Some(sqlx::Error::Io(_))) => true,
        (_, Some(sqlx::Error::Database(error))) => has_code(error.as_ref(), &AWAITED_CODES),
        _ => false,
    }
}

/// Whether the same statement may succeed later, with nothing changed here.
fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        _ => driver_error(error).is_some_and(|error| match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => is_passing(error.as_ref()),
            _ => false,
        }),
    }
}

pub(super) fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error.as_ref()),
        _ => None,
    }
}

/// What one of us has said in place of the database.
fn ours<T: std::error::Error + Clone + 'static>(error: &DbErr) -> Option<T> {
    let sqlx::Error::Io(error) = driver_error(error)? else {
        return None;
    };
    error.get_ref()?.downcast_ref::<T>().cloned()
}

fn is_passing(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        let in_class = PASSING_CLASSES.iter().any(|class| code.starts_with(class));
        return in_class || PASSING_CODES.contains(&code.as_ref());
    }
    primary_result(&code).is_some_and(|primary| PASSING_RESULTS.contains(&primary))
}

/// An extended result code carries the primary one in its low byte.
fn primary_result(code: &str) -> Option<i64> {
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

fn has_code(error: &dyn DatabaseError, codes: &[&str]) -> bool {
    let code = error.code().unwrap_or_default();
    error.try_downcast_ref::<PgDatabaseError>().is_some() && codes.contains(&code.as_ref())
}
