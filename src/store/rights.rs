//! What the role of this process may do on PostgreSQL, looked at when it starts instead of when the first call fails.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::domain::TableName;

use super::words::Told;

/// Why the role cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The operator grants what is missing, which the message spells out.
    #[error("the role {role} lacks rights{}", list(role, missing))]
    Missing {
        /// That of this process's connections.
        role: String,
        /// One entry for each object, in order of their names.
        missing: Vec<Missing>,
    },
    /// The database did not say.
    #[error("cannot look up the rights of the database role")]
    Database(#[source] Told),
}

impl From<DbErr> for RightsError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}

/// Rights that a role does not have on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// As in a GRANT, such as `TABLE public.generation_jobs`.
    pub object: String,
    /// As in a GRANT, such as `SELECT, INSERT`.
    pub rights: String,
}

/// Each object with the rights that the current role does not have on it. All that is asked for is what serving needs; the
/// checks of foreign keys run with the rights of the tables' owners.
const MISSING: &str = "SELECT current_user::text, object, string_agg(wanted, ', ' ORDER BY place) FROM (
    SELECT format('TABLE %I.%I', nspname, relname) AS object, wanted, place
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS wants (wanted, place)
        WHERE relkind IN ('r', 'p') AND relname LIKE 'generation\\_%' AND pg_table_is_visible(pg_class.oid)
            AND NOT has_table_privilege(pg_class.oid, wanted)
    UNION ALL
    SELECT format('SEQUENCE %I.%I', nspname, sequence.relname), 'USAGE', 1
        FROM pg_class sequence JOIN pg_namespace ON pg_namespace.oid = sequence.relnamespace
        JOIN pg_depend ON objid = sequence.oid AND classid = 'pg_class'::regclass AND deptype = 'a'
        JOIN pg_class owner ON owner.oid = refobjid
        WHERE owner.relname LIKE 'generation\\_%' AND pg_table_is_visible(owner.oid)
            AND CASE WHEN sequence.relkind = 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE') END
    UNION ALL
    SELECT format('TABLE %s', users::regclass), 'SELECT (id)', 1 FROM to_regclass($1) AS users
        WHERE users IS NOT NULL AND NOT has_column_privilege(users, 'id', 'SELECT')
) AS missing GROUP BY object ORDER BY object";

/// Refuses a role that may not do what serving needs; there are no rights on SQLite. A role that may not add users is let
/// through with a warning: it can serve those that are known.
///
/// # Errors
/// See [`RightsError`].
pub async fn check(
    db: &impl ConnectionTrait,
    users: &TableName,
    provisions: bool,
) -> Result<(), RightsError> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    if let Some(lack) = lacking(db, users).await? {
        return Err(lack);
    }
    let may_add = "SELECT has_table_privilege(to_regclass($1), 'INSERT')";
    let row = db.query_one_raw(about(may_add, users)).await?;
    let may_add = row.map_or(Ok(None), |row| row.try_get_by_index::<Option<bool>>(0))?;
    if provisions && may_add == Some(false) {
        let table = users.to_string();
        tracing::warn!(
            table,
            "identity.provision_users is on, but this role may not INSERT into the table of users: unknown users are refused"
        );
    }
    Ok(())
}

/// What the role lacks of the rights that serving on PostgreSQL needs, as [`RightsError::Missing`].
///
/// # Errors
/// The database's, if it does not say.
pub(super) async fn lacking(
    db: &impl ConnectionTrait,
    users: &TableName,
) -> Result<Option<RightsError>, DbErr> {
    let mut role = String::new();
    let mut missing = Vec::new();
    for row in db.query_all_raw(about(MISSING, users)).await? {
        role = row.try_get_by_index(0)?;
        missing.push(Missing {
            object: row.try_get_by_index(1)?,
            rights: row.try_get_by_index(2)?,
        });
    }
    Ok((!missing.is_empty()).then_some(RightsError::Missing { role, missing }))
}

fn about(query: &str, users: &TableName) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, query, [users.quoted().into()])
}

fn list(role: &str, missing: &[Missing]) -> String {
    let mut text = String::new();
    for (index, Missing { object, rights }) in missing.iter().enumerate() {
        let separator = if index == 0 { ": " } else { ", " };
        let _ = write!(text, "{separator}{rights} on {object}");
    }
    text.push_str("; give them with");
    for Missing { object, rights } in missing {
        let _ = write!(text, " GRANT {rights} ON {object} TO {role};");
    }
    text
}
