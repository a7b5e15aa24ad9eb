//! The schema of Atelier and how it changes, for PostgreSQL and SQLite.
//!
//! A migration is a folder of SQL scripts, one up and one down for each database, listed in [`MIGRATIONS`]. Pending ones
//! run in a single transaction that no other migrating process can enter at the same time, so any number of replicas may
//! start at once, and a failure leaves the schema as it was. Only builds of indexes may be marked to run outside of it.
//!
//! Each applied migration is recorded with the least version of the program that works with it, so that an older program
//! that meets a migration it does not know can tell whether it may go on.

mod error;
mod history;
mod loss;
mod migrator;
mod postgres;
mod serving;
mod users;
mod version;

pub use error::Error;
pub use history::{Standing, State};
pub use loss::Loss;
pub use migrator::Migrator;
pub use sea_orm_migration::sea_orm::{DatabaseConnection, DbErr};
pub use serving::{Serving, enter};
pub use users::Table;

use sea_orm_migration::sea_orm::ConnectionTrait;

/// One step of the schema. Its name is recorded in the database and must never change, nor may its scripts once they are
/// released.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Also that of the folder of its scripts, such as `m0001_domain`.
    pub name: &'static str,
    /// The least version of the program that works with a schema that has it, such as `0.1.0`.
    pub least_program: &'static str,
    /// For PostgreSQL.
    pub postgres: Scripts,
    /// For SQLite; never builds.
    pub sqlite: Scripts,
}

/// The statements that apply a migration to one kind of database, and those that revert it.
#[derive(Debug, Clone, Copy)]
pub struct Scripts {
    /// What applies it.
    pub up: Change,
    /// What takes it back, in one transaction, with all data that only it could hold.
    pub down: &'static str,
}

/// What a migration does.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Statements of one transaction.
    Script(&'static str),
    /// Indexes that are built one after the other outside of a transaction, while others read and write. PostgreSQL only.
    Builds(&'static [Build]),
}

/// One index that is built while others write.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// Its name, without a schema.
    pub index: &'static str,
    /// A `CREATE INDEX CONCURRENTLY` of that name.
    pub statement: &'static str,
}

/// What the database stands among.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The schema of our tables on PostgreSQL; where the search path leads if not set. The connections have it first in
    /// their search path.
    pub schema: Option<String>,
    /// Identity's table of users; `users` along the search path if not set.
    pub users_table: Option<Table>,
    /// Whether a table of users is made where there is none.
    pub provision_users: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schema: None,
            users_table: None,
            provision_users: true,
        }
    }
}

/// The migration whose scripts stand in the folder of its name, and the least program that works with it.
macro_rules! scripted {
    ($name:literal, $least_program:literal) => {
        Migration {
            name: $name,
            least_program: $least_program,
            postgres: Scripts {
                up: Change::Script(include_str!(concat!("sql/", $name, "/postgres_up.sql"))),
                down: include_str!(concat!("sql/", $name, "/postgres_down.sql")),
            },
            sqlite: Scripts {
                up: Change::Script(include_str!(concat!("sql/", $name, "/sqlite_up.sql"))),
                down: include_str!(concat!("sql/", $name, "/sqlite_down.sql")),
            },
        }
    };
}

/// The migrations, oldest first. An entry that was released is never changed: later needs are later migrations.
pub const MIGRATIONS: &[Migration] = &[
    scripted!("m0001_domain", "0.1.0"),
    scripted!("m0002_execution", "0.1.0"),
    scripted!("m0003_catalogue", "0.1.0"),
    scripted!("m0004_media", "0.1.0"),
    scripted!("m0005_json_checks", "0.1.0"),
    scripted!("m0006_installation", "0.1.0"),
    scripted!("m0007_provider", "0.1.0"),
    scripted!("m0008_trace", "0.1.0"),
    scripted!("m0009_search", "0.1.0"),
    scripted!("m0010_lists", "0.1.0"),
    scripted!("m0011_previews", "0.1.0"),
    scripted!("m0012_answers", "0.1.0"),
    scripted!("m0013_secrets", "0.1.0"),
    scripted!("m0014_credits", "0.1.0"),
    scripted!("m0015_ledger", "0.1.0"),
    scripted!("m0016_api_keys", "0.1.0"),
    scripted!("m0017_audit", "0.1.0"),
    scripted!("m0018_plans", "0.1.0"),
    scripted!("m0019_reservations", "0.1.0"),
    scripted!("m0020_hidden_prompts", "0.1.0"),
    scripted!("m0021_rates", "0.1.0"),
    scripted!("m0022_limits_hold", "0.1.0"),
    scripted!("m0023_uploads", "0.1.0"),
    scripted!("m0024_shares", "0.1.0"),
    scripted!("m0025_retention", "0.1.0"),
    scripted!("m0027_erasures", "0.1.0"),
    scripted!("m0028_shared_objects", "0.1.0"),
    scripted!("m0029_running", "0.1.0"),
    scripted!("m0030_line", "0.1.0"),
    scripted!("m0031_schedules", "0.1.0"),
    scripted!("m0032_damaged_uploads", "0.1.0"),
    scripted!("m0033_pauses", "0.1.0"),
    scripted!("m0034_feature_limits", "0.1.0"),
];

/// [`Migrator::up`] with the default settings.
///
/// # Errors
/// As there.
pub async fn up(db: &DatabaseConnection, steps: Option<u32>) -> Result<(), Error> {
    Migrator::default().up(db, steps).await
}

/// [`Migrator::down`] with the default settings.
///
/// # Errors
/// As there.
pub async fn down(db: &DatabaseConnection, steps: u32) -> Result<(), Error> {
    Migrator::default().down(db, steps).await
}

/// [`Migrator::status`] with the default settings.
///
/// # Errors
/// As there.
pub async fn status(db: &impl ConnectionTrait) -> Result<Vec<Standing>, Error> {
    Migrator::default().status(db).await
}
