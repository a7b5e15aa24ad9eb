//! Adding rows by a statement whose text is the same however many there are, for the reason given in [`one_of`](super::one_of);
//! so their number is not bounded by that of the parameters of a statement either.

use chrono::SecondsFormat;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityName,
    EntityTrait, IdenStatic, Iterable, Statement, Value,
    sea_query::{ColumnType, OptionEnum},
};
use serde_json::{Map, Value as Json};

use crate::domain::Error;

use super::Transaction;

type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;
type ModelOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Model;

/// New rows of a table. All of them have the same columns set.
pub(super) struct Rows<A> {
    rows: Vec<A>,
}

/// A column that the database works out as the rows are added. It is set in the rows, whose columns are those of `given`.
pub(super) struct Computed<'a> {
    /// Further tables for the value, as they stand in a recursive WITH.
    pub(super) with: &'a str,
    pub(super) column: &'a str,
    pub(super) value: &'a str,
}

impl<A: ActiveModelTrait> Rows<A> {
    pub(super) fn new(rows: Vec<A>) -> Self {
        Self { rows }
    }

    /// Adds them, in their order, so that identifiers of the database's ascend with it, and returns them as they are stored, in no order.
    pub(super) async fn insert(self, tx: &Transaction) -> Result<Vec<ModelOf<A>>, DbErr> {
        self.insert_with(tx, None).await
    }

    /// The same with a column that the database works out.
    pub(super) async fn insert_with(
        self,
        tx: &Transaction,
        computed: Option<Computed<'_>>,
    ) -> Result<Vec<ModelOf<A>>, DbErr> {
        let columns = ColumnOf::<A>::iter().map(read);
        let returning = format!("RETURNING {}", columns.collect::<Vec<_>>().join(", "));
        let Some(statement) = self.statement(tx, computed, &returning)? else {
            return Ok(Vec::new());
        };
        A::Entity::find().from_raw_sql(statement).all(tx).await
    }

    /// Adds them and returns nothing.
    pub(super) async fn add(self, tx: &Transaction) -> Result<(), Error> {
        Ok(self.add_with(tx, "").await.map(|_| ())?)
    }

    /// Adds those that collide with no row, and returns how many.
    pub(super) async fn add_new(self, tx: &Transaction) -> Result<u64, Error> {
        Ok(self.add_with(tx, "ON CONFLICT DO NOTHING").await?)
    }

    async fn add_with(self, tx: &Transaction, tail: &str) -> Result<u64, DbErr> {
        match self.statement(tx, None, tail)? {
            Some(statement) => Ok(tx.execute_raw(statement).await?.rows_affected()),
            None => Ok(0),
        }
    }

    /// `None` if there are no rows.
    fn statement(
        &self,
        tx: &Transaction,
        computed: Option<Computed<'_>>,
        tail: &str,
    ) -> Result<Option<Statement>, DbErr> {
        let Some(first) = self.rows.first() else {
            return Ok(None);
        };
        let backend = tx.get_database_backend();
        let columns = set_columns(first);
        let rows: Result<Vec<Json>, DbErr> = self
            .rows
            .iter()
            .map(|row| object_of(row, &columns, backend))
            .collect();
        let text = text::<A>(&columns, backend, computed, tail);
        let values = [Json::from(rows?).to_string().into()];
        Ok(Some(Statement::from_sql_and_values(backend, text, values)))
    }
}

fn set_columns<A: ActiveModelTrait>(row: &A) -> Vec<ColumnOf<A>> {
    let is_set = |column: &ColumnOf<A>| !row.get(*column).is_not_set();
    ColumnOf::<A>::iter().filter(is_set).collect()
}

/// The rows are the elements of a JSON array. PostgreSQL gives each field the type of its column.
fn text<A: ActiveModelTrait>(
    columns: &[ColumnOf<A>],
    backend: DbBackend,
    computed: Option<Computed<'_>>,
    tail: &str,
) -> String {
    let entity = A::Entity::default();
    let table = entity.table_name();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let (from, place) = match backend {
        DbBackend::Postgres => (
            format!(
                "jsonb_populate_recordset(CAST(NULL AS {table}), CAST($1 AS jsonb)) WITH ORDINALITY AS row"
            ),
            "row.ordinality",
        ),
        _ => ("json_each($1) AS row".to_owned(), "row.key"),
    };
    let field = |name: &&str| match backend {
        DbBackend::Postgres => format!("row.\"{name}\""),
        _ => format!("row.value ->> '{name}' AS \"{name}\""),
    };
    let value = |name: &&str| match &computed {
        Some(computed) if computed.column == *name => computed.value.to_owned(),
        _ => format!("given.\"{name}\""),
    };
    let with = match &computed {
        Some(computed) => format!(", {}", computed.with),
        None => String::new(),
    };
    format!(
        "WITH RECURSIVE given AS (SELECT {place} AS row_place, {fields} FROM {from}){with}
         INSERT INTO {table} ({into}) SELECT {values} FROM given WHERE TRUE ORDER BY given.row_place {tail}",
        into = quoted.join(", "),
        fields = names.iter().map(field).collect::<Vec<_>>().join(", "),
        values = names.iter().map(value).collect::<Vec<_>>().join(", "),
    )
}

/// How the entity reads a column: enums as text.
fn read(column: impl ColumnTrait) -> String {
    let name = column.as_str();
    match column.def().get_column_type() {
        ColumnType::Enum { .. } => format!("CAST({name} AS text) AS {name}"),
        _ => format!("\"{name}\""),
    }
}

/// The row as an object of these columns.
fn object_of<A: ActiveModelTrait>(
    row: &A,
    columns: &[ColumnOf<A>],
    backend: DbBackend,
) -> Result<Json, DbErr> {
    let field = |column: &ColumnOf<A>| match row.get(*column) {
        ActiveValue::Set(value) | ActiveValue::Unchanged(value) => {
            Ok((column.as_str().to_owned(), encoded(value, backend)?))
        }
        ActiveValue::NotSet => Err(DbErr::Custom("rows of one statement differ".to_owned())),
    };
    let fields: Result<Map<String, Json>, DbErr> = columns.iter().map(field).collect();
    Ok(fields?.into())
}

/// A value such that the database makes of it what the driver would have written.
fn encoded(value: Value, backend: DbBackend) -> Result<Json, DbErr> {
    Ok(match value {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::BigInt(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Enum(OptionEnum::Some(value)) => value.value.as_ref().into(),
        Value::Enum(OptionEnum::None(_)) => Json::Null,
        Value::ChronoDateTimeUtc(value) => value
            .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, false))
            .into(),
        Value::Json(None) => Json::Null,
        // SQLite keeps JSON as a text.
        Value::Json(Some(value)) => match backend {
            DbBackend::Postgres => *value,
            _ => value.to_string().into(),
        },
        other => return Err(DbErr::Custom(format!("no row has a {other:?} yet"))),
    })
}
