//! Whether the database is what the service needs: probes that are cheap enough to be made all the time.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{
    domain::{Error, TableName},
    entity,
};

use super::Store;

/// How long the database counts as full after it has refused a write as that.
const STAYS_FULL: Duration = Duration::from_secs(30);

/// How the database takes what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    Works,
    ReadOnly,
    /// There is no room for more.
    Full,
    /// What was written cannot be read.
    Lost,
}

impl Store {
    /// Asks for every table and column of the service without reading a row.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if the database does not answer; any other if the schema is not as expected.
    pub async fn probe_schema(&self) -> Result<(), Error> {
        let tables = entity::tables();
        let tables: Vec<_> = tables
            .iter()
            .map(|(table, columns)| probe(table, columns))
            .collect();
        let statement = format!("SELECT {}", tables.join(", "));
        self.reader().execute_unprepared(&statement).await?;
        Ok(())
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
            return Ok(match number(self.writer(), read_only).await? {
                0 => Writing::Works,
                _ => Writing::ReadOnly,
            });
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
