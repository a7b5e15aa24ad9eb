//! The one way to write: a transaction that has ended, one way or the other, before whoever asked for it goes on.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, SqliteTransactionMode, TransactionOptions};

use crate::domain::Error;

use super::{Store, Told, Transaction};

impl Store {
    /// Does the work in a transaction: committed if it succeeds, rolled back if it fails. Both are waited for, since a
    /// transaction that is only dropped ends some time later, and until then a claim passes over the rows that it has
    /// locked.
    ///
    /// # Errors
    /// What the work fails with, or the database when it cannot begin or commit; nothing is written then.
    pub async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.attempt(work).await?
    }

    /// The same, and tells apart what has failed: where the work itself has, as the inner error says, nothing is written for
    /// certain, and it may be done again.
    ///
    /// # Errors
    /// The database, when it cannot begin or commit. After a commit that was not answered, all may be written.
    pub async fn attempt<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        let tx = self.begin().await?;
        // In a box: what a transaction waits for would be a part of whatever waits for it, up to the thread's stack.
        let attempted = match Box::pin(work(&tx)).await {
            Ok(done) => tx.commit().await.map(|()| Ok(done)).map_err(Error::from),
            Err(refusal) => {
                roll_back(tx).await;
                Ok(Err(refusal))
            }
        };
        if let Err(Error::DatabaseFull(_)) | Ok(Err(Error::DatabaseFull(_))) = attempted {
            self.note_full();
        }
        attempted
    }

    /// Does the work in a transaction that is always rolled back, to see what it would do.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn rehearse<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let tx = self.begin().await?;
        let outcome = Box::pin(work(&tx)).await;
        roll_back(tx).await;
        outcome
    }

    /// [`Store::rehearse`] or [`Store::write`].
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_unless<T>(
        &self,
        validate_only: bool,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if validate_only {
            self.rehearse(work).await
        } else {
            self.write(work).await
        }
    }

    /// On SQLite it takes the write lock at once: a transaction that reads first and writes later would fail instead of
    /// waiting.
    async fn begin(&self) -> Result<Transaction, Error> {
        let options = match self.backend() {
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions::default(),
        };
        Ok(self.writer().begin(options).await?)
    }
}

/// Lets each lock be waited for no longer than that until the transaction ends. On SQLite none is waited for within one.
pub async fn hurry(tx: &Transaction, longest: Duration) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let limit = format!("SET LOCAL lock_timeout = {}", longest.as_millis());
        tx.execute_unprepared(&limit).await?;
    }
    Ok(())
}

/// A rollback fails only where the database has undone the work already: with the connection, or by itself, as SQLite does
/// on a full disk. The connection does not go back into use then.
async fn roll_back(tx: Transaction) {
    if let Err(error) = tx.rollback().await {
        let error = Told::from(error);
        tracing::debug!(%error, "a transaction was rolled back before we asked");
    }
}
