//! "One of these" with one text of the statement however many there are: a text for each number of values would be prepared
//! and planned anew, and fill every connection's cache of statements.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Select, Value,
    sea_query::{Expr, IntoColumnRef},
};

use crate::{domain::Error, entity::TextList};

/// Whether the column has one of the identifiers.
pub(super) fn one_of_ids(
    backend: DbBackend,
    column: impl IntoColumnRef,
    ids: impl IntoIterator<Item = i64>,
) -> Expr {
    one_of(backend, column, "bigint", id_list(backend, ids))
}

/// Whether the column has one of the texts.
pub(super) fn one_of_texts(
    backend: DbBackend,
    column: impl IntoColumnRef,
    texts: Vec<String>,
) -> Expr {
    match TextList::for_backend(texts, backend) {
        Some(texts) => one_of(backend, column, "text", texts.into()),
        None => Expr::val(false),
    }
}

/// Those of the texts that one of the rows has in the column.
pub(super) async fn known_texts<E: EntityTrait>(
    db: &impl ConnectionTrait,
    rows: Select<E>,
    column: E::Column,
    texts: Vec<String>,
) -> Result<BTreeSet<String>, Error> {
    let known: Vec<String> = rows
        .select_only()
        .column(column)
        .filter(one_of_texts(db.get_database_backend(), column, texts))
        .into_tuple()
        .all(db)
        .await?;
    Ok(known.into_iter().collect())
}

fn one_of(backend: DbBackend, column: impl IntoColumnRef, of: &str, list: Value) -> Expr {
    let template = match backend {
        DbBackend::Postgres => format!("$1 = ANY({})", array("$2", of)),
        _ => "? IN (SELECT value FROM json_each(?))".to_owned(),
    };
    Expr::cust_with_exprs(template, [Expr::col(column), Expr::val(list)])
}

/// The first rows of a table for each of what is asked for: a key, and a bound that they lie behind.
pub(super) struct FirstOfEach<'a> {
    pub(super) table: &'a str,
    /// Which rows are meant: `one` is one of the table, `asked.key` and `asked.bound` are what is asked for.
    pub(super) condition: &'a str,
    /// Which of them are first.
    pub(super) order: &'a str,
    /// The type of the bounds on PostgreSQL.
    pub(super) bounds: &'a str,
    /// How many for each.
    pub(super) limit: usize,
}

impl FirstOfEach<'_> {
    /// Whether the column names one of those rows. The lists of keys and of bounds are equally long.
    pub(super) fn filter(
        &self,
        backend: DbBackend,
        column: impl IntoColumnRef,
        keys: Value,
        bounds: Value,
    ) -> Expr {
        let Self {
            table,
            condition,
            order,
            bounds: of,
            limit,
        } = self;
        let first = format!(
            "SELECT one.id FROM {table} AS one WHERE {condition} ORDER BY {order} LIMIT {limit}"
        );
        let template = match backend {
            DbBackend::Postgres => format!(
                "$1 IN (SELECT found.id FROM unnest({keys}, {bounds}) AS asked (key, bound)
                     CROSS JOIN LATERAL ({first}) AS found)",
                keys = array("$2", "bigint"),
                bounds = array("$3", of),
            ),
            // Without LATERAL.
            _ => format!(
                "? IN (SELECT found.id
                     FROM (SELECT key.value AS key, bound.value AS bound
                           FROM json_each(?) AS key JOIN json_each(?) AS bound ON bound.key = key.key) AS asked
                     JOIN {table} AS found ON found.id IN ({first}))"
            ),
        };
        let values = [Expr::col(column), Expr::val(keys), Expr::val(bounds)];
        Expr::cust_with_exprs(template, values)
    }
}

/// What follows a column to say that it has one of the identifiers of the list in a parameter.
pub(super) fn is_one_of(backend: DbBackend, given: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("= ANY({})", array(given, "bigint")),
        _ => format!("IN (SELECT value FROM json_each({given}))"),
    }
}

/// A query of identifiers, each with a number, from the lists in the first two parameters.
pub(super) fn pairs(backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => {
            let [ids, numbers] = ["$1", "$2"].map(|given| array(given, "bigint"));
            format!("SELECT * FROM unnest({ids}, {numbers}) AS pair (id, number)")
        }
        _ => "SELECT id.value AS id, number.value AS number
             FROM json_each($1) AS id JOIN json_each($2) AS number ON number.key = id.key"
            .to_owned(),
    }
}

/// The array of PostgreSQL whose text is in a parameter. The planner does not look through the query around it: it would plan each
/// statement for a short list anew, which takes longer than to run it.
pub(super) fn array(given: &str, of: &str) -> String {
    format!("CAST((SELECT {given}) AS {of}[])")
}

/// Times as the text of an array of PostgreSQL, or as a JSON array of what SQLite keeps.
pub(super) fn time_list(
    backend: DbBackend,
    times: impl IntoIterator<Item = DateTime<Utc>>,
) -> Value {
    let times = times
        .into_iter()
        .map(|time| format!("\"{}\"", time.to_rfc3339_opts(SecondsFormat::AutoSi, false)));
    let times = times.collect::<Vec<_>>().join(",");
    match backend {
        DbBackend::Postgres => format!("{{{times}}}"),
        _ => format!("[{times}]"),
    }
    .into()
}

/// Identifiers as the text of an array of PostgreSQL, or of a JSON array.
pub(super) fn id_list(backend: DbBackend, ids: impl IntoIterator<Item = i64>) -> Value {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    let ids = ids.join(",");
    match backend {
        DbBackend::Postgres => format!("{{{ids}}}"),
        _ => format!("[{ids}]"),
    }
    .into()
}
