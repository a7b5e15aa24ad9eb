//! Identity's users: we refer to them, and add one only where we may.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement,
    sea_query::{
        Alias, Expr, ExprTrait, IntoTableRef, OnConflict, Query, SelectStatement, TableRef,
    },
};

use crate::domain::{Error, TableName};

use super::{
    one_of::one_of_ids,
    words::{Told, postgres_code},
};

/// What must be given for each user and what only Identity knows.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// Users are to be added here, and an id is not all that one needs.
    #[error(
        "identity.provision_users is on, but a row of the table {table} needs more than an id ({}): turn it off, or give \
         these columns a default",
        columns.join(", ")
    )]
    MoreThanIds {
        /// The table of users.
        table: TableName,
        /// Those that must be given and have no default.
        columns: Vec<String>,
    },
    /// The foreign keys, which the first migration made, lead elsewhere than the configuration says.
    #[error(
        "requests refer to the users in {found}, not in {wanted}: identity.users_table and the search path are decided when \
         the first migration is applied"
    )]
    OtherTable {
        /// Where they lead, as the database writes it.
        found: String,
        /// What is configured.
        wanted: TableName,
    },
    /// The database did not say.
    #[error("cannot look at the table of users")]
    Database(#[source] Told),
}

impl From<DbErr> for UsersError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}

/// One row with a 1 if there is the user.
pub(super) fn find(users: &TableName, id: i64) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(reference(users))
        .and_where(Expr::col("id").eq(id))
        .to_owned()
}

/// Those of these users that there are, between commas; NULL if there are none.
pub(super) fn known(
    backend: DbBackend,
    users: &TableName,
    ids: impl Iterator<Item = i64>,
) -> SelectStatement {
    let joined = match backend {
        DbBackend::Postgres => "string_agg(CAST(id AS text), ',')",
        _ => "group_concat(id)",
    };
    Query::select()
        .expr(Expr::cust(joined))
        .from(reference(users))
        .and_where(one_of_ids(backend, "id", ids))
        .to_owned()
}

/// Adds the user unless it is there.
///
/// # Errors
/// [`Error::UserNotAddable`] where this role may not add users.
pub async fn provision(db: &impl ConnectionTrait, users: &TableName, id: i64) -> Result<(), Error> {
    let insert = Query::insert()
        .into_table(reference(users))
        .columns(["id"])
        .values_panic([id.into()])
        .on_conflict(OnConflict::column("id").do_nothing().to_owned())
        .to_owned();
    match db.execute(&insert).await {
        Err(error) if postgres_code(&error).as_deref() == Some("42501") => {
            Err(Error::UserNotAddable(id))
        }
        done => done.map(|_| ()).map_err(Error::from),
    }
}

/// Checks at start that the table is the one that requests refer to and, if users are added here, that an id is all that a
/// row needs.
///
/// # Errors
/// See [`UsersError`].
pub async fn check(
    db: &impl ConnectionTrait,
    users: &TableName,
    provisions: bool,
) -> Result<(), UsersError> {
    let postgres = db.get_database_backend() == DbBackend::Postgres;
    let referred = match postgres {
        true => {
            "SELECT confrelid::regclass::text FROM pg_constraint
             JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
             WHERE contype = 'f' AND attname = 'user_id' AND conrelid = to_regclass('generation_requests')
                 AND confrelid IS DISTINCT FROM to_regclass($1)"
        }
        false => {
            "SELECT \"table\" FROM pragma_foreign_key_list('generation_requests')
             WHERE \"from\" = 'user_id' AND '\"' || lower(\"table\") || '\"' <> lower($1)"
        }
    };
    if let Some(found) = texts(db, referred, users.quoted()).await?.pop() {
        let wanted = users.clone();
        return Err(UsersError::OtherTable { found, wanted });
    }
    if !provisions {
        return Ok(());
    }
    let needed = match postgres {
        true => {
            "SELECT attname::text FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
                 AND attidentity = '' AND attname <> 'id' ORDER BY attnum"
        }
        false => {
            "SELECT name FROM pragma_table_info(trim($1, '\"'))
             WHERE \"notnull\" AND dflt_value IS NULL AND name <> 'id' ORDER BY cid"
        }
    };
    let columns = texts(db, needed, users.quoted()).await?;
    match columns.is_empty() {
        true => Ok(()),
        false => Err(UsersError::MoreThanIds {
            table: users.clone(),
            columns,
        }),
    }
}

async fn texts(
    db: &impl ConnectionTrait,
    query: &str,
    value: String,
) -> Result<Vec<String>, DbErr> {
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, query, [value.into()]);
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

fn reference(users: &TableName) -> TableRef {
    let name = Alias::new(&users.name);
    match &users.schema {
        Some(schema) => (Alias::new(schema), name).into_table_ref(),
        None => name.into_table_ref(),
    }
}
