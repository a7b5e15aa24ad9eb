//! Which migrations are applied, as recorded in the database: in sea-orm's table of names, and beside it in one of ours
//! that tells the least program for each.

use std::collections::{BTreeMap, HashSet};

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::version::{self, PROGRAM};
use crate::{Error, Migration};

/// The table that sea-orm records migrations in.
pub(crate) const NAMES: &str = "seaql_migrations";
/// What it does not record: the least program that works with each.
pub(crate) const PROGRAMS: &str = "atelier_migrations";

/// Where one migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// As it is recorded, such as `m0001_domain`.
    pub name: String,
    /// Whether it is applied.
    pub state: State,
    /// The least version of the program that works with it; `None` for a newer one that does not say.
    pub least_program: Option<String>,
}

/// Whether a migration is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Recorded in the database.
    Applied,
    /// Known, but not recorded.
    Pending,
    /// Applied by a newer program; unknown to this one.
    Newer,
}

impl State {
    /// The word that `migrate status` prints.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Newer => "newer",
        }
    }
}

/// Where the records stand; a name before which `schema` is set may be looked for there only.
pub(crate) fn table(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(
        || name.to_owned(),
        |schema| format!("{}.{name}", quoted(schema)),
    )
}

/// An identifier as SQL.
pub(crate) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// All known migrations in their order, then those that a newer program has applied.
pub(crate) async fn read(
    db: &impl ConnectionTrait,
    schema: Option<&str>,
    known: &[Migration],
) -> Result<Vec<Standing>, Error> {
    let names = names(db, &table(schema, NAMES)).await?;
    let applied: HashSet<_> = names.iter().map(String::as_str).collect();
    let state = |name| match applied.contains(name) {
        true => State::Applied,
        false => State::Pending,
    };
    let mut standing: Vec<_> = known
        .iter()
        .map(|migration| Standing {
            name: migration.name.to_owned(),
            state: state(migration.name),
            least_program: Some(migration.least_program.to_owned()),
        })
        .collect();
    let unknown = |name: &&String| !known.iter().any(|migration| migration.name == **name);
    let newer: Vec<_> = names.iter().filter(unknown).collect();
    if newer.is_empty() {
        return Ok(standing);
    }
    let mut programs = programs(db, &table(schema, PROGRAMS)).await?;
    standing.extend(newer.into_iter().map(|name| Standing {
        name: name.clone(),
        state: State::Newer,
        least_program: programs.remove(name),
    }));
    Ok(standing)
}

/// Refuses a schema that this program does not work with; otherwise the newer migrations that it does work with.
pub(crate) fn newer(standing: &[Standing]) -> Result<Vec<&Standing>, Error> {
    let newer: Vec<_> = of(standing, State::Newer).collect();
    let program = version::parse(PROGRAM);
    let too_old = |migration: &&&Standing| {
        let least = migration.least_program.as_deref().and_then(version::parse);
        least.is_none_or(|least| Some(least) > program)
    };
    match newer.iter().find(too_old) {
        Some(migration) => Err(Error::TooOld {
            migration: migration.name.clone(),
            needs: migration.least_program.clone(),
        }),
        None => Ok(newer),
    }
}

/// The migrations of one state.
pub(crate) fn of(standing: &[Standing], state: State) -> impl Iterator<Item = &Standing> {
    standing
        .iter()
        .filter(move |migration| migration.state == state)
}

/// Whether a table is there and may be looked up.
pub(crate) async fn exists(db: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let query = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT to_regclass($1) IS NOT NULL",
        _ => "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1)",
    };
    let found = rows(db, query, Some(table)).await?;
    found
        .first()
        .map_or(Ok(false), |row| row.try_get_by_index(0))
}

/// The statements that make the tables of records where they are missing.
pub(crate) fn tables(schema: Option<&str>) -> String {
    let (names, programs) = (table(schema, NAMES), table(schema, PROGRAMS));
    format!(
        "CREATE TABLE IF NOT EXISTS {names} (version VARCHAR NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL);\n\
         CREATE TABLE IF NOT EXISTS {programs} (version VARCHAR NOT NULL PRIMARY KEY, least_program VARCHAR NOT NULL);\n"
    )
}

/// The statements that record a migration as applied.
pub(crate) fn record(backend: DbBackend, schema: Option<&str>, migration: &Migration) -> String {
    let now = match backend {
        DbBackend::Postgres => "CAST(extract(epoch FROM now()) AS BIGINT)",
        _ => "CAST(strftime('%s', 'now') AS INTEGER)",
    };
    let (names, programs) = (table(schema, NAMES), table(schema, PROGRAMS));
    let Migration {
        name,
        least_program,
        ..
    } = migration;
    format!(
        "INSERT INTO {names} (version, applied_at) VALUES ('{name}', {now});\n\
         INSERT INTO {programs} (version, least_program) VALUES ('{name}', '{least_program}');\n"
    )
}

/// Takes the record of a migration back.
pub(crate) async fn forget(
    db: &impl ConnectionTrait,
    schema: Option<&str>,
    name: &str,
) -> Result<(), DbErr> {
    for records in [NAMES, PROGRAMS] {
        let records = table(schema, records);
        // An older program has recorded no programs.
        if exists(db, &records).await? {
            let delete = format!("DELETE FROM {records} WHERE version = $1");
            let backend = db.get_database_backend();
            db.execute_raw(Statement::from_sql_and_values(
                backend,
                delete,
                [name.into()],
            ))
            .await?;
        }
    }
    Ok(())
}

async fn names(db: &impl ConnectionTrait, table: &str) -> Result<Vec<String>, DbErr> {
    if !exists(db, table).await? {
        return Ok(Vec::new());
    }
    let query = format!("SELECT version FROM {table} ORDER BY applied_at, version");
    let rows = rows(db, &query, None).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn programs(
    db: &impl ConnectionTrait,
    table: &str,
) -> Result<BTreeMap<String, String>, DbErr> {
    if !exists(db, table).await? {
        return Ok(BTreeMap::new());
    }
    let query = format!("SELECT version, least_program FROM {table}");
    let rows = rows(db, &query, None).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

/// The rows of a query with at most one parameter.
pub(crate) async fn rows(
    db: &impl ConnectionTrait,
    query: &str,
    value: Option<&str>,
) -> Result<Vec<QueryResult>, DbErr> {
    let values = value.map(Into::into);
    db.query_all_raw(Statement::from_sql_and_values(
        db.get_database_backend(),
        query,
        values,
    ))
    .await
}
