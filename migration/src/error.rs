use sea_orm_migration::sea_orm::{DbErr, RuntimeErr};

use crate::version::PROGRAM;

/// Why the schema could not be changed or used. Nothing has changed then, apart from index builds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A fault of a script, or of the connection.
    #[error("the database refused a statement")]
    Database(#[from] DbErr),
    /// This program does not know the migration, and it does not say that it works with a program as old as this.
    #[error(
        "the database has the migration {migration} of a newer program, {}; this is {PROGRAM}: install a newer atelier",
        needs.as_ref().map_or_else(
            || "which does not say what it works with".to_owned(),
            |needs| format!("which works with {needs} or newer"),
        )
    )]
    TooOld {
        /// Its name.
        migration: String,
        /// The least version of the program, if one is recorded.
        needs: Option<String>,
    },
    /// What is pending here would be applied after what came later.
    #[error(
        "the database has the migration {newer} of a newer program, but not {pending}: migrate with the newer atelier"
    )]
    OutOfOrder {
        /// The first one that is applied and unknown here.
        newer: String,
        /// The first one to be applied.
        pending: String,
    },
    /// Migrations are taken back from the last on, and this one is unknown here.
    #[error(
        "the migration {0} of a newer program comes first: take it back with the atelier that has it"
    )]
    NewerFirst(String),
    /// No table of users was found, none is named, and none may be made.
    #[error(
        "there is no table of users along the search path ({path}): let Identity make it first, name it in \
         identity.users_table, or set identity.provision_users=true to have one made"
    )]
    NoUsers {
        /// The schemas that were searched.
        path: String,
    },
    /// The table of users that is named was not found.
    #[error(
        "identity.users_table names {0}, which is not there, or which this role may not see (GRANT USAGE ON SCHEMA)"
    )]
    NoSuchUsers(String),
    /// The tables of this database are not where the settings say.
    #[error(
        "the tables are in the schema {found} already, not in {wanted}: set database.schema to {found}, or move them with \
         ALTER TABLE ... SET SCHEMA"
    )]
    OtherSchema {
        /// Where they are.
        found: String,
        /// The settings'.
        wanted: String,
    },
    /// There are tables of ours along the search path that this role cannot reach.
    #[error(
        "the tables are in the schema {found}: set database.schema to {found}, or to the name of another schema to have a \
         second set of tables in this database"
    )]
    UnnamedSchema {
        /// Where they are.
        found: String,
    },
    /// Applied migrations are recorded in a schema that this role may not look into.
    #[error(
        "the role {role} may not use the schema {schema}, where the tables are: GRANT USAGE ON SCHEMA {schema} TO {role}"
    )]
    HiddenSchema {
        /// That of the connection.
        role: String,
        /// Where they are.
        schema: String,
    },
    /// It cannot be told which migrations are applied.
    #[error(
        "the role {role} may not SELECT from {table}, where applied migrations are recorded: GRANT SELECT ON TABLE {table} \
         TO {role}"
    )]
    HiddenRecords {
        /// That of the connection.
        role: String,
        /// Which of the two tables of records.
        table: String,
    },
    /// Something is pending, and this role cannot make the tables for it.
    #[error(
        "{pending} is still to be applied, and the role {role} may not create in the schema {schema}: run `atelier migrate \
         up` as the owner of the tables, or GRANT CREATE ON SCHEMA {schema} TO {role}"
    )]
    MayNotCreate {
        /// The first one to be applied.
        pending: String,
        /// That of the connection.
        role: String,
        /// Where tables would be made; the search path if it leads to no schema.
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
        /// With its schema, if the database has schemas.
        table: String,
        /// What is wrong with the column.
        fault: String,
    },
    /// Taking back would pull the tables from under them.
    #[error("servers are running on this database: stop all of them before anything is taken back")]
    ServersRunning,
    /// A server that starts has waited for a while, and does not start into that.
    #[error("the schema is being taken back by another process")]
    BeingTakenBack,
    /// PostgreSQL gave up waiting for a table again and again, with pauses in between.
    #[error(
        "a table could not be locked in {attempts} attempts, because of long transactions of others: see pg_stat_activity, \
         and try again when they have ended"
    )]
    Locked {
        /// How often.
        attempts: u32,
    },
    /// Servers and migrations on SQLite know of each other by a file beside the database.
    #[error("cannot lock the file {path}")]
    LockFile {
        /// That file.
        path: String,
        /// What the system says.
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
