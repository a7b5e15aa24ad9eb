//! Connections to run statements on, one for each that runs.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement, TransactionOptions, TransactionTrait,
};

use crate::config::DatabaseConfig;

use super::{
    lender::{Lender, Lent},
    pooled::Pooled,
    turn::{LockedOut, Turns},
};

/// Runs statements and begins transactions. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Pool(Source);

#[derive(Clone, Debug)]
enum Source {
    /// SQLite: what is waited for are other connections of ours, which the driver's pool does well. Who writes takes turns.
    Driver(DatabaseConnection, Option<Turns>),
    Lender(Lender),
    /// For statements that only read.
    Reading(Lender),
}

impl From<DatabaseConnection> for Pool {
    fn from(pool: DatabaseConnection) -> Self {
        Self(Source::Driver(pool, None))
    }
}

impl From<Lender> for Pool {
    fn from(lender: Lender) -> Self {
        Self(Source::Lender(lender))
    }
}

impl Pool {
    /// What lends for reading alone.
    pub(super) fn reading(lender: Lender) -> Self {
        Self(Source::Reading(lender))
    }

    /// The only connection that writes to a SQLite database.
    pub(super) fn in_turns(connection: DatabaseConnection, config: &DatabaseConfig) -> Self {
        let turns = Turns::new(config.acquire_timeout);
        Self(Source::Driver(connection, Some(turns)))
    }

    /// What keeps all writes waiting, if it is another process.
    pub(super) fn locked_out(&self) -> Option<LockedOut> {
        match &self.0 {
            Source::Driver(_, Some(turns)) => turns.locked_out(),
            _ => None,
        }
    }

    pub(super) fn connections(&self) -> Vec<(&'static str, usize)> {
        match &self.0 {
            Source::Driver(..) => Vec::new(),
            Source::Lender(lender) | Source::Reading(lender) => lender.connections(),
        }
    }

    async fn lend(&self) -> Result<Lent, DbErr> {
        match &self.0 {
            Source::Driver(pool, None) => Ok(Lent::freely(pool.clone(), None)),
            Source::Driver(pool, Some(turns)) => {
                Ok(Lent::freely(pool.clone(), Some(turns.take().await?)))
            }
            Source::Lender(lender) => lender.lend().await,
            Source::Reading(lender) => lender.lend_for_reading().await,
        }
    }

    /// Begins a transaction; dropped without an end, it is rolled back some time later.
    pub async fn begin(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        let lent = Arc::new(self.lend().await?);
        let inner = match lent.set_up() {
            None => {
                let begun = lent.db.begin_with_options(options);
                Inner::Driver(lent.first_answer(begun).await?)
            }
            Some(set_up) => {
                let begun = Pooled::begin(&lent.db, &options, &set_up);
                Inner::Pooled(lent.first_answer(begun).await?)
            }
        };
        Ok(Transaction { inner, lent })
    }

    /// Whether a statement by itself needs a transaction, since the session for one is not the same as for the next.
    fn is_pooled(&self) -> bool {
        match &self.0 {
            Source::Driver(..) => false,
            Source::Lender(lender) | Source::Reading(lender) => lender.set_up().is_some(),
        }
    }

    /// Runs a statement in a transaction of its own.
    async fn alone<T>(
        &self,
        statement: impl AsyncFnOnce(&Transaction) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let tx = self.begin(TransactionOptions::default()).await?;
        match statement(&tx).await {
            Ok(done) => tx.commit().await.map(|()| done),
            Err(error) => {
                // What it failed with is what counts.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    /// Whether the database is there at all, however busy it is. A file is.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn reach(&self) -> Result<(), DbErr> {
        match &self.0 {
            Source::Driver(..) => Ok(()),
            Source::Lender(lender) | Source::Reading(lender) => lender.reach().await,
        }
    }

    /// Fails while the database is known to be away.
    pub(super) fn check_reached(&self) -> Result<(), DbErr> {
        match &self.0 {
            Source::Driver(..) => Ok(()),
            Source::Lender(lender) | Source::Reading(lender) => lender.check_reached(),
        }
    }

    /// A connection apart from the pool, opened as those in it are.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open_another(&self) -> Result<DatabaseConnection, DbErr> {
        match &self.0 {
            Source::Driver(pool, _) => Ok(pool.clone()),
            Source::Lender(lender) | Source::Reading(lender) => lender.open_another().await,
        }
    }

    /// Closes the connections; statements under way end first, if they end soon.
    pub async fn close(&self) -> Result<(), DbErr> {
        match &self.0 {
            Source::Driver(pool, _) => pool.close_by_ref().await,
            Source::Lender(lender) | Source::Reading(lender) => {
                lender.close().await;
                Ok(())
            }
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            Source::Driver(pool, _) => pool.get_database_backend(),
            Source::Lender(_) | Source::Reading(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        if self.is_pooled() {
            return self.alone(async |tx| tx.execute_raw(statement).await).await;
        }
        let lent = self.lend().await?;
        lent.first_answer(lent.db.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        if self.is_pooled() {
            return self
                .alone(async |tx| tx.execute_unprepared(sql).await)
                .await;
        }
        let lent = self.lend().await?;
        lent.first_answer(lent.db.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.is_pooled() {
            return self
                .alone(async |tx| tx.query_one_raw(statement).await)
                .await;
        }
        let lent = self.lend().await?;
        lent.first_answer(lent.db.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.is_pooled() {
            return self
                .alone(async |tx| tx.query_all_raw(statement).await)
                .await;
        }
        let lent = self.lend().await?;
        lent.first_answer(lent.db.query_all_raw(statement)).await
    }
}

/// A transaction, with the connection that it has to itself.
#[derive(Debug)]
pub struct Transaction {
    // Dropped first: the connection is on its way back when it is lent again.
    inner: Inner,
    /// Savepoints have it with the transaction.
    lent: Arc<Lent>,
}

#[derive(Debug)]
enum Inner {
    Driver(DatabaseTransaction),
    Pooled(Pooled),
}

impl Transaction {
    /// Sets a savepoint, which ends like a transaction.
    ///
    /// # Errors
    /// If the database does not say that it is set.
    pub async fn begin(&self) -> Result<Self, DbErr> {
        let lent = self.lent.clone();
        let inner = match &self.inner {
            Inner::Driver(tx) => Inner::Driver(lent.answer(tx.begin()).await?),
            Inner::Pooled(tx) => Inner::Pooled(lent.answer(tx.savepoint()).await?),
        };
        Ok(Self { inner, lent })
    }

    /// Makes what was done hold.
    ///
    /// # Errors
    /// If the database does not say that it holds.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, lent } = self;
        match inner {
            Inner::Driver(tx) => lent.answer(tx.commit()).await,
            Inner::Pooled(tx) => lent.answer(tx.commit()).await,
        }
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// If the database does not say that it is undone; it is then, with the connection.
    pub async fn rollback(self) -> Result<(), DbErr> {
        let Self { inner, lent } = self;
        match inner {
            Inner::Driver(tx) => lent.answer(tx.rollback()).await,
            Inner::Pooled(tx) => lent.answer(tx.rollback()).await,
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner {
            Inner::Driver(tx) => tx.get_database_backend(),
            Inner::Pooled(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.inner {
            Inner::Driver(tx) => self.lent.answer(tx.execute_raw(statement)).await,
            Inner::Pooled(tx) => self.lent.answer(tx.execute(statement)).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.inner {
            Inner::Driver(tx) => self.lent.answer(tx.execute_unprepared(sql)).await,
            Inner::Pooled(tx) => self.lent.answer(tx.execute_text(sql)).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.inner {
            Inner::Driver(tx) => self.lent.answer(tx.query_one_raw(statement)).await,
            Inner::Pooled(tx) => self.lent.answer(tx.query_one(statement)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.inner {
            Inner::Driver(tx) => self.lent.answer(tx.query_all_raw(statement)).await,
            Inner::Pooled(tx) => self.lent.answer(tx.query_all(statement)).await,
        }
    }
}
