use sea_orm_migration::sea_orm::{DbErr, RuntimeErr};

use crate::version::PROGRAM;

/// Why the schema could not be changed or used. Nothing has changed then, apart from index builds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database refused a statement")]
    Database(#[from] DbErr),
    #[error(
        "the database has the migration {migration} of a newer program, {}; this is {PROGRAM}: install a newer atelier",
        needs.as_ref().map_or_else(
            || "which does not say what it works with".to_owned(),
            |needs| format!("which works with {needs} or newer"),
        )
    )]
    TooOld {
        migration: String,
        /// The least version of the program, if one is recorded.
        needs: Option<String>,
    },
    #[error(
        "the database has the migration {newer} of a newer program, but not {pending}: migrate with the newer atelier"
    )]
    OutOfOrder { newer: String, pending: String },
    #[error(
        "the migration {0} of a newer program comes first: take it back with the atelier that has it"
    )]
    NewerFirst(String),
    #[error(
        "there is no table of users along the search path ({path}): let Identity make it first, name it in \
         identity.users_table, or set identity.provision_users=true to have one made"
    )]
    NoUsers {
        /// The schemas that were searched.
        path: String,
    },
    #[error(
        "identity.users_table names {0}, which is not there, or which this role may not see (GRANT USAGE ON SCHEMA)"
    )]
    NoSuchUsers(String),
    #[error(
        "the tables are in the schema {found} already, not in {wanted}: set database.schema to {found}, or move them with \
         ALTER TABLE ... SET SCHEMA"
    )]
    OtherSchema { found: String, wanted: String },
    #[error(
        "the role {role} may not use the schema {schema}, where the tables are: GRANT USAGE ON SCHEMA {schema} TO {role}"
    )]
    HiddenSchema { role: String, schema: String },
    #[error(
        "the role {role} may not SELECT from {table}, where applied migrations are recorded: GRANT SELECT ON TABLE {table} \
         TO {role}"
    )]
    HiddenRecords { role: String, table: String },
    #[error(
        "{pending} is still to be applied, and the role {role} may not create in the schema {schema}: run `atelier migrate \
         up` as the owner of the tables, or GRANT CREATE ON SCHEMA {schema} TO {role}"
    )]
    MayNotCreate {
        pending: String,
        role: String,
        schema: String,
    },
    /// The table of users is another role's, who has not given the right.
    #[error(
        "requests refer to the users in {table}, and the role {role} may not refer to it: GRANT REFERENCES ON TABLE {table} \
         TO {role}"
    )]
    MayNotRefer {
        /// With its schema.
        table: String,
        /// That of the connection.
        role: String,
    },
    /// No foreign key can lead to the table of users.
    #[error(
        "requests refer to users by {table}.id, a number with a primary key or a unique index of its own: {fault}"
    )]
    UsersId {
        /// With its schema.
        table: String,
        /// What is wrong with the column.
        fault: String,
    },
    #[error("servers are running on this database: stop all of them before anything is taken back")]
    ServersRunning,
    #[error("the schema is being taken back by another process")]
    BeingTakenBack,
    #[error(
        "a table could not be locked in {attempts} attempts, because of long transactions of others: see pg_stat_activity, \
         and try again when they have ended"
    )]
    Locked { attempts: u32 },
    #[error("cannot lock the file {path}")]
    LockFile {
        path: String,
        source: std::io::Error,
    },
}

impl Error {
    /// Whether PostgreSQL gave up waiting for a lock, or chose this process to end a deadlock.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        let Self::Database(
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
        ) = self
        else {
            return false;
        };
        let code = error.as_database_error().and_then(|error| error.code());
        matches!(code.as_deref(), Some("55P03" | "40P01"))
    }
}
