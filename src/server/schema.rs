//! The database's schema when a server starts: brought up to date or looked at, together with what it stands on, which is
//! Identity's table of users and the rights of the role.

use migration::{DatabaseConnection, Migrator, Serving, Settings, Standing, State};

use crate::{
    config::Config,
    domain::TableName,
    store::{Told, rights, user},
};

/// Why a server cannot work with the database's schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database did not answer, or refused a statement.
    #[error("cannot bring the database's schema up to date, or look at it")]
    Database(#[source] Told),
    /// What the migrations themselves refuse, see [`migration::Error`].
    #[error(transparent)]
    Migration(migration::Error),
    /// Migrations are pending, and `database.migrate_on_start` is off.
    #[error(
        "the database's schema is not up to date, {pending} is missing: run `atelier migrate up`, or start a server \
         with database.migrate_on_start"
    )]
    Outdated {
        /// The names of the pending migrations.
        pending: String,
    },
    /// The table of users does not go with the configuration.
    #[error(transparent)]
    Users(#[from] user::UsersError),
    /// The role may not do what serving needs.
    #[error(transparent)]
    Rights(#[from] rights::RightsError),
}

impl From<migration::Error> for SchemaError {
    fn from(error: migration::Error) -> Self {
        match error {
            migration::Error::Database(error) => Self::Database(error.into()),
            other => Self::Migration(other),
        }
    }
}

/// The migrations as the configuration wants them applied.
pub fn migrator(config: &Config) -> Migrator {
    let table = |TableName { schema, name }| migration::Table { schema, name };
    Migrator::new(Settings {
        schema: config.database.schema.clone(),
        users_table: config.identity.users_table.clone().map(table),
        provision_users: config.provisions_users(),
    })
}

/// Makes sure that this program can serve on the database, and says there that it does: the schema is not taken back for as
/// long as what is returned lives.
///
/// # Errors
/// See [`SchemaError`].
pub(super) async fn prepare(
    database: &DatabaseConnection,
    config: &Config,
) -> Result<Serving, SchemaError> {
    let serving = migration::enter(database).await?;
    let migrator = migrator(config);
    if config.database.migrate_on_start {
        migrator.up(database, None).await?;
    }
    let standing = migrator.status(database).await?;
    let newer = Migrator::newer(&standing)?;
    if !newer.is_empty() {
        let newer = names(newer.into_iter());
        tracing::warn!(
            newer,
            "the database has migrations of a newer program, which this one works with"
        );
    }
    let pending = names(standing.iter().filter(|one| one.state == State::Pending));
    if !pending.is_empty() {
        return Err(SchemaError::Outdated { pending });
    }
    let (users, provisions) = (config.users_table(), config.provisions_users());
    user::check(database, &users, provisions).await?;
    rights::check(database, &users, provisions).await?;
    Ok(serving)
}

fn names<'a>(standing: impl Iterator<Item = &'a Standing>) -> String {
    let names: Vec<_> = standing.map(|one| one.name.as_str()).collect();
    names.join(", ")
}
