//! Connections to run statements on, one for each that runs.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement, TransactionOptions, TransactionTrait,
};

use crate::config::DatabaseConfig;

use super::{
    lender::{Lender, Lent},
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
            Source::Lender(lender) => lender.connections(),
        }
    }

    async fn lend(&self) -> Result<Lent, DbErr> {
        match &self.0 {
            Source::Driver(pool, None) => Ok(Lent::freely(pool.clone(), None)),
            Source::Driver(pool, Some(turns)) => {
                Ok(Lent::freely(pool.clone(), Some(turns.take().await?)))
            }
            Source::Lender(lender) => lender.lend().await,
        }
    }

    /// Begins a transaction; dropped without an end, it is rolled back some time later.
    pub async fn begin(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        let lent = Arc::new(self.lend().await?);
        let inner = lent
            .first_answer(lent.db.begin_with_options(options))
            .await?;
        Ok(Transaction { inner, lent })
    }

    /// Whether the database is there at all, however busy it is. A file is.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn reach(&self) -> Result<(), DbErr> {
        match &self.0 {
            Source::Driver(..) => Ok(()),
            Source::Lender(lender) => lender.reach().await,
        }
    }

    /// A connection apart from the pool, opened as those in it are.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open_another(&self) -> Result<DatabaseConnection, DbErr> {
        match &self.0 {
            Source::Driver(pool, _) => Ok(pool.clone()),
            Source::Lender(lender) => lender.open_another().await,
        }
    }

    /// Closes the connections; statements under way end first, if they end soon.
    pub async fn close(&self) -> Result<(), DbErr> {
        match &self.0 {
            Source::Driver(pool, _) => pool.close_by_ref().await,
            Source::Lender(lender) => {
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
            Source::Lender(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let lent = self.lend().await?;
        lent.first_answer(lent.db.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let lent = self.lend().await?;
        lent.first_answer(lent.db.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let lent = self.lend().await?;
        lent.first_answer(lent.db.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let lent = self.lend().await?;
        lent.first_answer(lent.db.query_all_raw(statement)).await
    }
}

/// A transaction, with the connection that it has to itself.
#[derive(Debug)]
pub struct Transaction {
    // Dropped first: the connection is on its way back when it is lent again.
    inner: DatabaseTransaction,
    /// Savepoints have it with the transaction.
    lent: Arc<Lent>,
}

impl Transaction {
    /// Sets a savepoint, which ends like a transaction.
    ///
    /// # Errors
    /// If the database does not say that it is set.
    pub async fn begin(&self) -> Result<Self, DbErr> {
        let inner = self.lent.answer(self.inner.begin()).await?;
        let lent = self.lent.clone();
        Ok(Self { inner, lent })
    }

    /// Makes what was done hold.
    ///
    /// # Errors
    /// If the database does not say that it holds.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, lent } = self;
        lent.answer(inner.commit()).await
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// If the database does not say that it is undone; it is then, with the connection.
    pub async fn rollback(self) -> Result<(), DbErr> {
        let Self { inner, lent } = self;
        lent.answer(inner.rollback()).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.lent.answer(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.lent.answer(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.lent.answer(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.lent.answer(self.inner.query_all_raw(statement)).await
    }
}
