//! Transactions through a pooler that gives a session for one of them only (PgBouncer: `pool_mode = transaction`). Statements have
//! no names, since the next transaction may have another session, in which a name is taken or unknown; and what a session is to
//! be like is said at each beginning.

use std::sync::Arc;

use sea_orm::{
    AccessMode, DatabaseConnection, DbErr, ExecResult, IsolationLevel, QueryResult, RuntimeErr,
    Statement, TransactionOptions,
    sqlx::{self, AssertSqlSafe, Executor, PgConnection, Postgres},
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

type Driver = sqlx::Transaction<'static, Postgres>;
type Query<'q> = sqlx::query::Query<'q, Postgres, SqlxValues>;

/// A transaction, or a savepoint in one. A transaction that is dropped without an end is rolled back some time later.
#[derive(Debug)]
pub(super) struct Pooled {
    open: Arc<Mutex<Open>>,
    /// Its number, if it is one.
    savepoint: Option<u32>,
}

#[derive(Debug)]
struct Open {
    /// `None` once it has ended.
    transaction: Option<Driver>,
    /// How many there were in it.
    savepoints: u32,
}

impl Pooled {
    /// `set_up` follows the beginning in the same message.
    pub(super) async fn begin(
        db: &DatabaseConnection,
        options: &TransactionOptions,
        set_up: &str,
    ) -> Result<Self, DbErr> {
        let begin = AssertSqlSafe(format!("{}; {set_up}", beginning(options)));
        let begun = db.get_postgres_connection_pool().begin_with(begin).await;
        let transaction = Some(begun.map_err(connecting)?);
        Ok(Self {
            open: Arc::new(Mutex::new(Open {
                transaction,
                savepoints: 0,
            })),
            savepoint: None,
        })
    }

    pub(super) async fn savepoint(&self) -> Result<Self, DbErr> {
        let number = {
            let mut open = self.open.lock().await;
            open.savepoints += 1;
            open.savepoints
        };
        self.execute_text(&format!("SAVEPOINT atelier_{number}"))
            .await?;
        Ok(Self {
            open: self.open.clone(),
            savepoint: Some(number),
        })
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        if let Some(number) = self.savepoint {
            let release = format!("RELEASE SAVEPOINT atelier_{number}");
            return self.execute_text(&release).await.map(|_| ());
        }
        let transaction = self.open.lock().await.transaction.take();
        transaction
            .ok_or_else(ended)?
            .commit()
            .await
            .map_err(executing)
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        if let Some(number) = self.savepoint {
            let back = format!("ROLLBACK TO SAVEPOINT atelier_{number}");
            return self.execute_text(&back).await.map(|_| ());
        }
        let transaction = self.open.lock().await.transaction.take();
        transaction
            .ok_or_else(ended)?
            .rollback()
            .await
            .map_err(executing)
    }

    async fn connection(&self) -> Result<MappedMutexGuard<'_, PgConnection>, DbErr> {
        let open = self.open.lock().await;
        MutexGuard::try_map(open, |open| open.transaction.as_deref_mut()).map_err(|_| ended())
    }

    pub(super) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut connection = self.connection().await?;
        let done = unnamed(statement).execute(&mut *connection).await;
        done.map(ExecResult::from).map_err(executing)
    }

    pub(super) async fn execute_text(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.connection().await?;
        let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
        done.map(ExecResult::from).map_err(executing)
    }

    pub(super) async fn query_one(
        &self,
        statement: Statement,
    ) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.connection().await?;
        let row = unnamed(statement).fetch_optional(&mut *connection).await;
        row.map(|row| row.map(QueryResult::from)).map_err(querying)
    }

    pub(super) async fn query_all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.connection().await?;
        let rows = unnamed(statement).fetch_all(&mut *connection).await;
        let rows = rows.map_err(querying)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

/// Nobody uses a transaction whose end was asked for.
fn ended() -> DbErr {
    DbErr::Custom("the transaction has ended".to_owned())
}

fn unnamed(statement: Statement) -> Query<'static> {
    let values = statement.values.map(|values| values.0).unwrap_or_default();
    let values = SqlxValues(sea_orm::sea_query::Values(values));
    sqlx::query_with(AssertSqlSafe(statement.sql), values).persistent(false)
}

fn beginning(options: &TransactionOptions) -> String {
    let mut begin = "BEGIN ISOLATION LEVEL ".to_owned();
    begin.push_str(match options.isolation_level {
        None | Some(IsolationLevel::ReadCommitted) => "READ COMMITTED",
        Some(IsolationLevel::RepeatableRead) => "REPEATABLE READ",
        Some(IsolationLevel::ReadUncommitted) => "READ UNCOMMITTED",
        Some(IsolationLevel::Serializable) => "SERIALIZABLE",
    });
    if let Some(AccessMode::ReadOnly) = options.access_mode {
        begin.push_str(" READ ONLY");
    }
    begin
}

/// What may be of the connection, as the driver's own transactions tell it.
fn connecting(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::Database(_) => executing(error),
        _ => DbErr::Conn(of_driver(error)),
    }
}

fn executing(error: sqlx::Error) -> DbErr {
    DbErr::Exec(of_driver(error))
}

fn querying(error: sqlx::Error) -> DbErr {
    DbErr::Query(of_driver(error))
}

fn of_driver(error: sqlx::Error) -> RuntimeErr {
    RuntimeErr::SqlxError(Arc::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_begins_as_it_is_asked_to() {
        let options = TransactionOptions::default();
        assert_eq!(beginning(&options), "BEGIN ISOLATION LEVEL READ COMMITTED");
        let options = TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            ..options
        };
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        assert_eq!(beginning(&options), begin);
    }
}
