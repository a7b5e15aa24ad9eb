//! What a database says, in words for operators.

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, postgres::PgDatabaseError},
};

use super::error;

/// A prepared statement that is there already, or not there: the session is not the one that it was.
const OF_A_POOLER: [&str; 2] = ["42P05", "26000"];
const POOLER_HINT: &str =
    "a pooler before the server must keep sessions (PgBouncer: pool_mode = session)";

/// An error of the database as it is logged and printed. PostgreSQL's tells its SQLSTATE, its detail and its hint; the
/// driver would tell the line of PostgreSQL's own source instead.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{words}")]
pub struct Told {
    words: String,
    passes: bool,
}

impl Told {
    /// Whether a server that has said this may soon be there for us.
    pub(super) fn passes(&self) -> bool {
        self.passes
    }
}

impl From<DbErr> for Told {
    fn from(error: DbErr) -> Self {
        Self {
            words: postgres_error(&error).map_or_else(|| error.to_string(), words),
            passes: error::is_awaited(&error),
        }
    }
}

impl From<sqlx::Error> for Told {
    fn from(error: sqlx::Error) -> Self {
        Self {
            words: said_by_postgres(&error).map_or_else(|| error.to_string(), words),
            passes: error::passes(&error),
        }
    }
}

/// PostgreSQL's SQLSTATE, if it was PostgreSQL that refused.
pub(super) fn postgres_code(error: &DbErr) -> Option<String> {
    postgres_error(error).map(|error| error.code().to_owned())
}

fn words(error: &PgDatabaseError) -> String {
    let mut words = format!("{} (SQLSTATE {}", error.message(), error.code());
    let ours = OF_A_POOLER.contains(&error.code()).then_some(POOLER_HINT);
    for more in [error.detail(), error.hint(), ours].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more);
    }
    words.push(')');
    words
}

fn postgres_error(error: &DbErr) -> Option<&PgDatabaseError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => said_by_postgres(error),
        _ => None,
    }
}

fn said_by_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}
