//! What a database says, in words for operators.

use sea_orm::{
    DbErr,
    sqlx::{self, postgres::PgDatabaseError},
};

use super::error;

/// A prepared statement that is there already, or not there: the session is not the one that it was.
const OF_A_POOLER: [&str; 2] = ["42P05", "26000"];
const POOLER_HINT: &str = "a pooler before the server must keep sessions (PgBouncer: pool_mode = session), or be told of by database.pooling";

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
            words: error::driver_error(&error)
                .and_then(own_words)
                .unwrap_or_else(|| error.to_string()),
            passes: error::is_awaited(&error),
        }
    }
}

impl From<sqlx::Error> for Told {
    fn from(error: sqlx::Error) -> Self {
        Self {
            words: own_words(&error).unwrap_or_else(|| error.to_string()),
            passes: error::passes(&error),
        }
    }
}

/// PostgreSQL's SQLSTATE, if it was PostgreSQL that refused.
pub(super) fn postgres_code(error: &DbErr) -> Option<String> {
    postgres_error(error).map(|error| error.code().to_owned())
}

/// Where the driver would tell too much or too little.
fn own_words(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => Some(words(error)),
        None if error.code()? == error::NO_SHARED_MEMORY => {
            Some(format!("{error}: the disk is full"))
        }
        None => None,
    }
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
    let error = error::driver_error(error)?.as_database_error()?;
    error.try_downcast_ref()
}
