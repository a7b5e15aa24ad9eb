//! What the database says, as an error of the domain.

use std::io::ErrorKind;

use sea_orm::{
    ConnAcquireErr, DbErr, RuntimeErr, SqlErr,
    sqlx::{self, error::DatabaseError, postgres::PgDatabaseError},
};

use crate::domain::{Error, KnownOutage, with_causes};

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
/// SQLite: no permission, busy, locked, no memory, read-only, I/O error, cannot open.
const PASSING_RESULTS: [i64; 7] = [3, 5, 6, 7, 8, 10, 14];

use super::words::Told;

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(outage) = known_outage(&error) {
            Self::DatabaseUnavailable(Box::new(outage))
        } else if is_full(&error) {
            Self::DatabaseFull(Box::new(Told::from(error)))
        } else if is_unavailable(&error) {
            Self::DatabaseUnavailable(Box::new(Told::from(error)))
        } else {
            Self::Internal(Box::new(Told::from(error)))
        }
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

/// PostgreSQL's disk_full; SQLite's SQLITE_FULL.
fn is_full(error: &DbErr) -> bool {
    let code = driver_error(error)
        .and_then(sqlx::Error::as_database_error)
        .and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("53100" | "13"))
}

/// Whether the database may be there and had only no time: a lock is held for long, or all connections are in use.
pub(super) fn is_busy(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
        | DbErr::Conn(RuntimeErr::Internal(_)) => true,
        _ => driver_error(error).is_some_and(|error| match error {
            sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => has_code(error.as_ref(), &BUSY_CODES),
            _ => false,
        }),
    }
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

fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error.as_ref()),
        _ => None,
    }
}

fn known_outage(error: &DbErr) -> Option<KnownOutage> {
    let sqlx::Error::Io(error) = driver_error(error)? else {
        return None;
    };
    error.get_ref()?.downcast_ref::<KnownOutage>().cloned()
}

fn is_passing(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        let in_class = PASSING_CLASSES.iter().any(|class| code.starts_with(class));
        return in_class || PASSING_CODES.contains(&code.as_ref());
    }
    // An extended result code carries the primary one in its low byte.
    let primary = code.parse::<i64>().map(|code| code & 0xff);
    primary.is_ok_and(|primary| PASSING_RESULTS.contains(&primary))
}

fn has_code(error: &dyn DatabaseError, codes: &[&str]) -> bool {
    let code = error.code().unwrap_or_default();
    error.try_downcast_ref::<PgDatabaseError>().is_some() && codes.contains(&code.as_ref())
}
