//! Whether the database is what the service needs: probes that are cheap enough to be made all the time.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::timeout;

use crate::{
    domain::{Error, TableName, with_causes},
    entity,
};

use super::{
    Store, error, rights,
    words::{Told, postgres_code},
};

/// How long the database counts as full after it has refused a write as that.
const STAYS_FULL: Duration = Duration::from_secs(30);

/// How long the database may take to answer.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// Shorter than that, so that the server says itself what keeps it. They hold for the statements that come with them.
const PROBE_LIMITS: &str = "SELECT set_config('lock_timeout', '1s', true), set_config('statement_timeout', '1500ms', true); ";

/// What is wrong with the database as it is read, and the cause.
#[derive(Debug)]
pub enum Fault {
    /// There is no answer, or not in time.
    Away(String),
    /// It is there, but a lock is held for long (on SQLite by another process), or all connections are in use.
    Busy(String),
    /// A table or column is missing, or may not be read.
    Schema(String),
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        let forbidden = postgres_code(&error).as_deref() == Some("42501");
        match Error::from(error) {
            error @ Error::DatabaseUnavailable(_) if !forbidden => Self::Away(with_causes(&error)),
            error => Self::Schema(with_causes(&error)),
        }
    }
}

/// How the database takes what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// What is written is kept.
    Works,
    /// PostgreSQL takes no writes, as a standby does.
    ReadOnly,
    /// It is not allowed to write everything.
    Forbidden(String),
    /// There is no room for more.
    Full,
    /// What was written cannot be read.
    Lost,
}

impl Store {
    /// Asks for every table and column of the service without reading a row.
    ///
    /// # Errors
    /// What is wrong, with its cause.
    pub async fn probe_schema(&self) -> Result<(), Fault> {
        let tables = entity::tables();
        let tables: Vec<_> = tables
            .iter()
            .map(|(table, columns)| probe(table, columns))
            .collect();
        let limits = match self.backend() {
            DbBackend::Postgres => PROBE_LIMITS,
            _ => "",
        };
        let statement = format!("{limits}SELECT {}", tables.join(", "));
        let asked = self.reader().execute_unprepared(&statement);
        let cause = match timeout(PROBE_TIME, asked).await {
            Ok(Ok(_)) => return self.probe_lock(),
            Ok(Err(error)) if error::is_busy(&error) => with_causes(&Told::from(error)),
            Ok(Err(error)) => return Err(Fault::from(error)),
            Err(_) => format!("no answer within {} s", PROBE_TIME.as_secs()),
        };
        // The calls have the same connections, so it may be they that keep the probe waiting.
        match self.reader().reach().await {
            Ok(()) => Err(Fault::Busy(cause)),
            Err(error) => Err(Fault::Away(with_causes(&Told::from(error)))),
        }
    }

    /// Whether another process lets nobody here write.
    fn probe_lock(&self) -> Result<(), Fault> {
        match self.writer().locked_out() {
            None => Ok(()),
            Some(locked_out) => Err(Fault::Busy(with_causes(&Error::from(locked_out)))),
        }
    }

    /// Finds out how the database takes what is written. SQLite writes a number into the head of the file, which is read
    /// back over another connection; PostgreSQL is asked, for there each write would leave a dead row behind. Without the
    /// table of users no request can be written.
    ///
    /// # Errors
    /// The database's, if it does not say.
    pub async fn probe_writing(&self, users: &TableName) -> Result<Writing, Error> {
        if self.full_since().is_some_and(|since| since < STAYS_FULL) {
            return Ok(Writing::Full);
        }
        let look_for_users = format!("SELECT id FROM {} WHERE 1 = 0", users.quoted());
        self.reader().execute_unprepared(&look_for_users).await?;
        if self.backend() == DbBackend::Postgres {
            let read_only =
                "SELECT CAST(current_setting('transaction_read_only') = 'on' AS integer)";
            if number(self.writer(), read_only).await? != 0 {
                return Ok(Writing::ReadOnly);
            }
            let lacking = rights::lacking(self.reader(), users).await?;
            return Ok(lacking.map_or(Writing::Works, |lack| Writing::Forbidden(lack.to_string())));
        }
        match self.write_number().await {
            Err(Error::DatabaseFull(_)) => Ok(Writing::Full),
            written => written,
        }
    }

    async fn write_number(&self) -> Result<Writing, Error> {
        let written = self.write(async |tx| {
            let free = number(tx, "PRAGMA freelist_count").await?;
            let pages = number(tx, "PRAGMA page_count").await?;
            let most = number(tx, "PRAGMA max_page_count").await?;
            // The number below needs no room, other than all that matters.
            if free == 0 && pages >= most {
                return Ok(None);
            }
            let next = number(tx, "PRAGMA user_version").await? + 1;
            tx.execute_unprepared(&format!("PRAGMA user_version = {next}"))
                .await?;
            Ok(Some(next))
        });
        let Some(written) = written.await? else {
            return Ok(Writing::Full);
        };
        // Another process may have gone on counting since.
        let read = number(self.reader(), "PRAGMA user_version").await?;
        Ok(if read >= written {
            Writing::Works
        } else {
            Writing::Lost
        })
    }
}

/// An expression that fails unless the table has all columns. A column is named with its table, since SQLite takes an
/// unknown name in quotes for a text.
fn probe(table: &str, columns: &[String]) -> String {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{table}\".\"{column}\""))
        .collect();
    format!(
        "(SELECT count(*) FROM (SELECT {} FROM \"{table}\" WHERE 1 = 0) AS probe)",
        columns.join(", ")
    )
}

async fn number(db: &impl ConnectionTrait, statement: &str) -> Result<i64, Error> {
    let statement = Statement::from_string(db.get_database_backend(), statement);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| Error::Internal("a probe has no answer".into()))?;
    match row.try_get_by_index::<i64>(0) {
        Ok(number) => Ok(number),
        Err(_) => Ok(i64::from(row.try_get_by_index::<i32>(0)?)),
    }
}
