//! Applies migrations and takes them back.

use std::pin::Pin;
use std::time::Duration;

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::time::sleep;

use crate::history::{self, Standing, State};
use crate::loss::{self, Columns, Loss};
use crate::users::{self, Users};
use crate::{Change, Error, MIGRATIONS, Migration, Scripts, Settings, postgres, serving};

/// How often a transaction that could not lock a table is tried again, and the longest pause between.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(5);

/// A list of migrations, and what they are applied with.
#[derive(Debug, Clone)]
pub struct Migrator {
    /// Oldest first.
    pub migrations: &'static [Migration],
    /// What the database stands among.
    pub settings: Settings,
}

impl Default for Migrator {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Migrator {
    /// The migrations of this program.
    pub fn new(settings: Settings) -> Self {
        Self {
            migrations: MIGRATIONS,
            settings,
        }
    }

    /// Where each known migration stands, oldest first, and those that a newer program has applied. Only reads, so it
    /// needs no right to create.
    ///
    /// # Errors
    /// The database's error, or that the schema is somewhere else or closed to this role.
    pub async fn status(&self, db: &impl ConnectionTrait) -> Result<Vec<Standing>, Error> {
        if db.get_database_backend() == DbBackend::Postgres {
            postgres::explain_absence(db, self.schema(db)).await?;
            postgres::require_records(db, self.schema(db)).await?;
        }
        history::read(db, self.schema(db), self.migrations).await
    }

    /// The migrations of a newer program that are applied and that this program works with.
    ///
    /// # Errors
    /// [`Error::TooOld`] if there is one that it does not work with.
    pub fn newer(standing: &[Standing]) -> Result<Vec<&Standing>, Error> {
        history::newer(standing)
    }

    /// Applies the next `steps` pending migrations, or all of them. With nothing to do it only reads.
    ///
    /// Safe to call from several processes at once: the later ones wait and then find nothing to do. A table that others
    /// use is waited for in short turns, so that nobody waits long behind this.
    ///
    /// # Errors
    /// See [`Error`]. What the failing transaction did is undone.
    pub async fn up(&self, db: &DatabaseConnection, steps: Option<u32>) -> Result<(), Error> {
        let mut left = usize::try_from(steps.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        while left > 0 && !self.pending(db).await?.is_empty() {
            left -= with_patience(|| Box::pin(self.apply(db, left)))
                .await?
                .min(left);
        }
        Ok(())
    }

    /// The SQL that [`Self::up`] would run, one text a migration.
    ///
    /// # Errors
    /// As [`Self::up`].
    pub async fn plan(
        &self,
        db: &DatabaseConnection,
        steps: Option<u32>,
    ) -> Result<Vec<(String, String)>, Error> {
        let steps = usize::try_from(steps.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        let pending = self.pending(db).await?;
        let users = self.users(db, &pending).await?;
        let backend = db.get_database_backend();
        let schema = self.schema(db);
        let mut tables = schema.map_or_else(String::new, |schema| {
            format!("CREATE SCHEMA IF NOT EXISTS {};\n", history::quoted(schema))
        });
        tables.push_str(&history::tables(schema));
        let planned = pending.into_iter().take(steps).map(|migration| {
            let change = match scripts(migration, backend).up {
                Change::Script(script) => users.name_in(script),
                Change::Builds(builds) => builds
                    .iter()
                    .map(|build| format!("{};\n", build.statement.trim_end_matches(';')))
                    .collect(),
            };
            let before = std::mem::take(&mut tables);
            let record = history::record(backend, schema, migration);
            (
                migration.name.to_owned(),
                format!("{before}{}\n{record}", change.trim_end()),
            )
        });
        Ok(planned.collect())
    }

    /// What [`Self::down`] would take along, found by doing it and undoing that.
    ///
    /// # Errors
    /// As [`Self::down`].
    pub async fn rehearse_down(&self, db: &DatabaseConnection, steps: u32) -> Result<Loss, Error> {
        let (before, after, migrations) =
            with_patience(|| Box::pin(self.try_down(db, steps))).await?;
        let (tables, columns) = loss::count(db, &before, &after).await?;
        Ok(Loss {
            migrations,
            tables,
            columns,
        })
    }

    /// Takes back the last `steps` applied migrations with all data that only they could hold, the latest first.
    ///
    /// # Errors
    /// See [`Error`]; among others that servers are running. Nothing has changed then.
    pub async fn down(&self, db: &DatabaseConnection, steps: u32) -> Result<(), Error> {
        with_patience(|| {
            Box::pin(async move {
                let transaction = begin_alone(db).await?;
                let _no_server_starts = serving::alone(&transaction).await?;
                self.revert(&transaction, steps).await?;
                Ok(transaction.commit().await?)
            })
        })
        .await
    }

    /// Applies what one transaction can: scripts up to the next build of indexes, or that build alone. How many
    /// migrations these were.
    async fn apply(&self, db: &DatabaseConnection, most: usize) -> Result<usize, Error> {
        let alone = begin_alone(db).await?;
        // Another process may have applied some while this one waited.
        let pending = self.pending(&alone).await?;
        let Some(next) = pending.first() else {
            alone.rollback().await?;
            return Ok(0);
        };
        let backend = alone.get_database_backend();
        let users = self.users(&alone, &pending).await?;
        if backend == DbBackend::Postgres {
            if let Some(schema) = self.schema(&alone) {
                postgres::make_schema(&alone, schema).await?;
            }
            postgres::require_create(&alone, next).await?;
            if let Users::Theirs(table) = &users {
                users::require_reference(&alone, table).await?;
            }
        } else if concern_users(&pending, backend) {
            users::require_unique(&alone, &self.settings).await?;
        }
        alone
            .execute_unprepared(&history::tables(self.schema(&alone)))
            .await?;
        let mut applied = 0;
        for migration in pending.into_iter().take(most) {
            match scripts(migration, backend).up {
                Change::Script(script) => {
                    alone.execute_unprepared(&users.name_in(script)).await?;
                }
                Change::Builds(_) if applied > 0 => break,
                Change::Builds(builds) => postgres::build(db, &alone, builds).await?,
            }
            let record = history::record(backend, self.schema(&alone), migration);
            alone.execute_unprepared(&record).await?;
            applied += 1;
            if matches!(scripts(migration, backend).up, Change::Builds(_)) {
                break;
            }
        }
        alone.commit().await?;
        Ok(applied)
    }

    /// Takes migrations back and undoes that: the columns before and after, and the migrations.
    async fn try_down(
        &self,
        db: &DatabaseConnection,
        steps: u32,
    ) -> Result<(Columns, Columns, Vec<String>), Error> {
        let transaction = begin_alone(db).await?;
        let _no_server_starts = serving::alone(&transaction).await?;
        let before = loss::columns(&transaction).await?;
        let migrations = self.revert(&transaction, steps).await?;
        let after = loss::columns(&transaction).await?;
        transaction.rollback().await?;
        Ok((before, after, migrations))
    }

    /// Takes back the last `steps` applied migrations; their names in that order.
    async fn revert(&self, alone: &DatabaseTransaction, steps: u32) -> Result<Vec<String>, Error> {
        let standing = self.status(alone).await?;
        if let Some(newer) = history::of(&standing, State::Newer).last() {
            return Err(Error::NewerFirst(newer.name.clone()));
        }
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let mut reverted = Vec::new();
        let known = self.migrations.iter().zip(&standing).rev();
        for (migration, standing) in known
            .filter(|(_, standing)| standing.state == State::Applied)
            .take(steps)
        {
            let script = scripts(migration, alone.get_database_backend()).down;
            alone.execute_unprepared(script).await?;
            history::forget(alone, self.schema(alone), &standing.name).await?;
            reverted.push(standing.name.clone());
        }
        Ok(reverted)
    }

    async fn pending(&self, db: &impl ConnectionTrait) -> Result<Vec<&'static Migration>, Error> {
        let standing = self.status(db).await?;
        let newer = history::newer(&standing)?;
        let pending = self.migrations.iter().zip(&standing);
        let pending: Vec<_> = pending
            .filter(|(_, standing)| standing.state == State::Pending)
            .map(|(migration, _)| migration)
            .collect();
        match (newer.first(), pending.first()) {
            (Some(newer), Some(pending)) => Err(Error::OutOfOrder {
                newer: newer.name.clone(),
                pending: pending.name.to_owned(),
            }),
            _ => Ok(pending),
        }
    }

    /// The table of users, looked for only where one of these migrations needs it.
    async fn users(
        &self,
        db: &impl ConnectionTrait,
        pending: &[&Migration],
    ) -> Result<Users, Error> {
        match concern_users(pending, db.get_database_backend()) {
            true => users::find(db, &self.settings).await,
            false => Ok(Users::Ours),
        }
    }

    fn schema(&self, db: &impl ConnectionTrait) -> Option<&str> {
        let schema = self.settings.schema.as_deref();
        schema.filter(|_| db.get_database_backend() == DbBackend::Postgres)
    }
}

fn concern_users(pending: &[&Migration], backend: DbBackend) -> bool {
    pending.iter().any(|migration| {
        let change = scripts(migration, backend).up;
        matches!(change, Change::Script(script) if users::concern(script))
    })
}

fn scripts(migration: &Migration, backend: DbBackend) -> &Scripts {
    match backend {
        DbBackend::Postgres => &migration.postgres,
        _ => &migration.sqlite,
    }
}

/// Begins a transaction that waits for every other migrating process to end. On SQLite it holds the write lock from its
/// first statement on; the wait is the connection's busy timeout.
async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    if db.get_database_backend() == DbBackend::Postgres {
        return postgres::begin_alone(db).await;
    }
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Tries `work` until it gets its locks, with growing pauses in which others come through.
async fn with_patience<'a, T>(work: impl Fn() -> Work<'a, T>) -> Result<T, Error> {
    for attempt in 1..=ATTEMPTS {
        match work().await {
            Err(error) if error.is_lock_timeout() => {
                sleep((Duration::from_millis(250) * attempt).min(PAUSE)).await;
            }
            outcome => return outcome,
        }
    }
    Err(Error::Locked { attempts: ATTEMPTS })
}
