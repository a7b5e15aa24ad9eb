//! Identifiers that are handed out before their rows.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::domain::Error;

use super::Transaction;

/// So many ascending identifiers that no row of the table has and no other will get.
pub(super) async fn draw(tx: &Transaction, table: &str, count: usize) -> Result<Vec<i64>, Error> {
    let backend = tx.get_database_backend();
    let number = i64::try_from(count).map_err(Error::internal)?;
    let statement = |sql| {
        let values = [table.into(), number.into()];
        Statement::from_sql_and_values(backend, sql, values)
    };
    let next = match backend {
        DbBackend::Postgres => {
            "SELECT nextval(pg_get_serial_sequence($1, 'id')) AS id FROM generate_series(1, $2)"
        }
        _ => {
            // Before the first row nothing is counted.
            let begin = "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 WHERE ?2 > 0
                 AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)";
            tx.execute_raw(statement(begin)).await?;
            "UPDATE sqlite_sequence SET seq = seq + ?2 WHERE name = ?1 RETURNING seq AS id"
        }
    };
    let rows = tx.query_all_raw(statement(next)).await?;
    let told = rows.iter().map(|row| row.try_get("", "id"));
    let told: Vec<i64> = told.collect::<Result<_, _>>()?;
    let last = told.last().copied();
    let last = last.ok_or_else(|| Error::internal("the database hands out no ids"))?;
    Ok(match backend {
        DbBackend::Postgres => told,
        // It tells the last of them only.
        _ => (last - number + 1..=last).collect(),
    })
}

/// The last identifier that was handed out; 0 if none was.
pub(super) async fn last(db: &impl ConnectionTrait, table: &str) -> Result<i64, Error> {
    let last = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence($1, 'id')::regclass), 0) AS id"
        }
        _ => "SELECT COALESCE(MAX(seq), 0) AS id FROM sqlite_sequence WHERE name = $1",
    };
    let last = Statement::from_sql_and_values(db.get_database_backend(), last, [table.into()]);
    let row = db.query_one_raw(last).await?;
    let row = row.ok_or_else(|| Error::internal("the database tells no last id"))?;
    Ok(row.try_get("", "id")?)
}
