//! Identity's table of users, which migrations refer to and which is made only where nobody has brought one.
//!
//! The scripts say `users`. Where the table has another name, or stands in another schema than ours, they are applied with
//! its name in place of that, and without the statement that would make a second one.

use std::fmt;

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::history::{exists, quoted, rows};
use crate::{Error, Settings};

/// How the scripts make the table, on PostgreSQL and on SQLite.
const CREATIONS: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS users (id BIGSERIAL PRIMARY KEY);",
    "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT);",
];
/// How the scripts refer to it.
const REFERENCE: &str = "REFERENCES users(id)";

/// The name of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `None`: along the search path.
    pub schema: Option<String>,
    /// As it is, without quotes.
    pub name: String,
}

impl fmt::Display for Table {
    /// As SQL, quoted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{}.", quoted(schema))?;
        }
        formatter.write_str(&quoted(&self.name))
    }
}

/// What the scripts shall refer to.
#[derive(Debug)]
pub(crate) enum Users {
    /// What they say: the table that the first migration makes where it is missing.
    Ours,
    /// One that is there, by its name as SQL.
    Theirs(String),
}

/// Looks for the table, before anything is applied that needs it.
pub(crate) async fn find(db: &impl ConnectionTrait, settings: &Settings) -> Result<Users, Error> {
    let unnamed = Table {
        schema: None,
        name: "users".to_owned(),
    };
    let table = settings.users_table.as_ref().unwrap_or(&unnamed);
    let postgres = db.get_database_backend() == DbBackend::Postgres;
    let found = match postgres {
        true => resolve(db, table).await?,
        false => exists(db, &table.name).await?.then(|| quoted(&table.name)),
    };
    match found {
        // As the scripts say it: they make no second one where there are no schemas.
        Some(_) if !postgres && table.name == unnamed.name => Ok(Users::Ours),
        Some(name) => Ok(Users::Theirs(name)),
        None if settings.users_table.is_some() => Err(Error::NoSuchUsers(table.to_string())),
        None if settings.provision_users => Ok(Users::Ours),
        None => Err(Error::NoUsers {
            path: match postgres {
                true => search_path(db).await?,
                false => "main".to_owned(),
            },
        }),
    }
}

/// Refuses a table in a file that nobody can refer to: SQLite would say so with the first request. One that is missing is made.
pub(crate) async fn require_unique(
    db: &impl ConnectionTrait,
    settings: &Settings,
) -> Result<(), Error> {
    let query = "SELECT CASE WHEN type = 'view' THEN 'it is not a column of a table'
            WHEN NOT EXISTS (SELECT 1 FROM pragma_table_info(users.name) AS columns WHERE lower(columns.name) = 'id')
                THEN 'there is no such column'
            WHEN (SELECT group_concat(lower(columns.name)) FROM pragma_table_info(users.name) AS columns WHERE pk > 0) = 'id'
                THEN NULL
            WHEN EXISTS (SELECT 1 FROM pragma_index_list(users.name) AS indexes WHERE \"unique\" AND NOT partial
                AND (SELECT group_concat(lower(columns.name)) FROM pragma_index_info(indexes.name) AS columns) = 'id')
                THEN NULL
            ELSE 'it has none' END
        FROM sqlite_schema AS users WHERE type IN ('table', 'view') AND lower(users.name) = lower($1)";
    let name = settings.users_table.as_ref().map(|table| &table.name);
    let table = name.map_or("users", String::as_str).to_owned();
    let found = rows(db, query, Some(&table)).await?;
    let fault = found.first().map(|row| row.try_get_by_index(0));
    match fault.transpose()?.flatten() {
        Some(fault) => Err(Error::UsersId { table, fault }),
        None => Ok(()),
    }
}

/// Refuses a table that PostgreSQL lets nobody refer to, or not this role.
pub(crate) async fn require_reference(db: &impl ConnectionTrait, table: &str) -> Result<(), Error> {
    let query = "SELECT current_user::text,
            has_table_privilege(attrelid, 'REFERENCES') OR has_column_privilege(attrelid, attnum, 'REFERENCES'),
            CASE WHEN typcategory <> 'N' THEN format('it is of type %s', format_type(atttypid, atttypmod))
                WHEN relkind NOT IN ('r', 'p') THEN 'it is not a column of a table'
                WHEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisunique AND indnkeyatts = 1
                    AND indkey[0] = attnum AND indpred IS NULL) THEN 'it has none'
            END
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid JOIN pg_class ON pg_class.oid = attrelid
        WHERE attrelid = to_regclass($1) AND attname = 'id' AND NOT attisdropped";
    let found = rows(db, query, Some(table)).await?;
    let table = table.to_owned();
    let Some(id) = found.first() else {
        let fault = "there is no such column".to_owned();
        return Err(Error::UsersId { table, fault });
    };
    if let Some(fault) = id.try_get_by_index(2)? {
        return Err(Error::UsersId { table, fault });
    }
    if !id.try_get_by_index::<bool>(1)? {
        let role = id.try_get_by_index(0)?;
        return Err(Error::MayNotRefer { table, role });
    }
    Ok(())
}

/// Whether a script needs to know the table.
pub(crate) fn concern(script: &str) -> bool {
    script.contains(REFERENCE)
}

impl Users {
    /// A script of ours with this table in it.
    pub(crate) fn name_in(&self, script: &str) -> String {
        let Self::Theirs(name) = self else {
            return script.to_owned();
        };
        let mut script = script.replace(REFERENCE, &format!("REFERENCES {name}(id)"));
        for creation in CREATIONS {
            script = script.replace(creation, "");
        }
        script
    }
}

/// The whole name of the table that a name leads to.
async fn resolve(db: &impl ConnectionTrait, table: &Table) -> Result<Option<String>, Error> {
    let query = "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE pg_class.oid = to_regclass($1)";
    let found = rows(db, query, Some(&table.to_string())).await?;
    let name = found.first().map(|row| row.try_get_by_index(0)).transpose();
    Ok(name?)
}

async fn search_path(db: &impl ConnectionTrait) -> Result<String, Error> {
    let found = rows(
        db,
        "SELECT array_to_string(current_schemas(false), ', ')",
        None,
    )
    .await?;
    let path = found.first().map(|row| row.try_get_by_index(0)).transpose();
    Ok(path?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, MIGRATIONS};

    #[test]
    fn another_table_stands_wherever_the_scripts_say_users() {
        let theirs = Users::Theirs("\"identity\".\"people\"".to_owned());
        for migration in MIGRATIONS {
            for scripts in [migration.postgres, migration.sqlite] {
                let Change::Script(script) = scripts.up else {
                    continue;
                };
                let named = theirs.name_in(script);
                let mut statements = named.lines().filter(|line| !line.starts_with("--"));
                let left = statements.find(|line| line.contains("users"));
                assert_eq!(left, None, "{}", migration.name);
                assert_eq!(Users::Ours.name_in(script), script);
            }
        }
        let Change::Script(first) = MIGRATIONS[0].postgres.up else {
            panic!("the first migration is a script");
        };
        assert!(
            theirs
                .name_in(first)
                .contains("REFERENCES \"identity\".\"people\"(id)")
        );
    }
}
