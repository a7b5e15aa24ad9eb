//! What taking migrations back takes along.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::history::{quoted, rows};

/// What goes when migrations are taken back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The migrations, in the order in which they are taken back.
    pub migrations: Vec<String>,
    /// Each table that goes, with the number of its rows.
    pub tables: BTreeMap<String, u64>,
    /// Each column that goes of a table that stays, as `table.column`, with the number of rows that hold a value in it.
    pub columns: BTreeMap<String, u64>,
}

impl Loss {
    /// All rows of all tables that go.
    pub fn rows(&self) -> u64 {
        self.tables.values().sum()
    }
}

/// The columns of our tables, by table.
pub(crate) type Columns = BTreeMap<String, BTreeSet<String>>;

/// The tables of ours and their columns.
pub(crate) async fn columns(db: &impl ConnectionTrait) -> Result<Columns, DbErr> {
    let query = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT relname::text, attname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
             WHERE relkind IN ('r', 'p') AND relname LIKE 'generation\\_%' AND pg_table_is_visible(pg_class.oid)
                 AND attnum > 0 AND NOT attisdropped"
        }
        _ => {
            "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name LIKE 'generation\\_%' ESCAPE '\\'"
        }
    };
    let mut columns = Columns::new();
    for row in rows(db, query, None).await? {
        let table: String = row.try_get_by_index(0)?;
        columns
            .entry(table)
            .or_default()
            .insert(row.try_get_by_index(1)?);
    }
    Ok(columns)
}

/// Counts what of `before` is not in `after`, on a database where it is all still there.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    before: &Columns,
    after: &Columns,
) -> Result<(BTreeMap<String, u64>, BTreeMap<String, u64>), DbErr> {
    let (mut tables, mut columns) = (BTreeMap::new(), BTreeMap::new());
    for (table, had) in before {
        let Some(has) = after.get(table) else {
            let rows = count_of(db, table, "*").await?;
            tables.insert(table.clone(), rows);
            continue;
        };
        for column in had.difference(has) {
            let rows = count_of(db, table, &quoted(column)).await?;
            columns.insert(format!("{table}.{column}"), rows);
        }
    }
    Ok((tables, columns))
}

async fn count_of(db: &impl ConnectionTrait, table: &str, what: &str) -> Result<u64, DbErr> {
    let query = format!("SELECT count({what}) FROM {}", quoted(table));
    let found = rows(db, &query, None).await?;
    let count: i64 = found.first().map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}
