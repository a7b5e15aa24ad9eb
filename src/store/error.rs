//! What the database says, as an error of the domain.

use sea_orm::{
    DbErr, RuntimeErr, SqlErr,
    sqlx::{self, error::DatabaseError},
};

use crate::domain::Error;

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_full(&error) {
            Self::DatabaseFull(Box::new(error))
        } else if is_unavailable(&error) {
            Self::DatabaseUnavailable(Box::new(error))
        } else {
            Self::Internal(Box::new(error))
        }
    }
}

/// Whether a unique index refused the statement.
pub(super) fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// PostgreSQL's disk_full; SQLite's SQLITE_FULL.
fn is_full(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            let code = error.as_database_error().and_then(DatabaseError::code);
            matches!(code.as_deref(), Some("53100" | "13"))
        }
        _ => false,
    }
}

/// Whether the same statement may succeed later, with nothing changed.
fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match error.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => is_transient_code(error.as_ref()),
                _ => false,
            }
        }
        _ => false,
    }
}

/// PostgreSQL, appendix A: connection exceptions, conflicts with other transactions, too few resources, an operator's
/// intervention. SQLite: busy, locked, I/O error.
fn is_transient_code(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    if error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        return ["08", "40", "53", "57"]
            .iter()
            .any(|class| code.starts_with(class))
            || code == "55P03";
    }
    // An extended result code carries the primary one in its low byte.
    let primary = code.parse::<i64>().map(|code| code & 0xff);
    matches!(primary, Ok(5 | 6 | 10))
}
