//! A migration written in SQL, one script for each database.

use async_trait::async_trait;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// The statements that apply a migration to one kind of database, and those that revert it.
pub(crate) struct Script {
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// One entry of the migrator's list. Its name is recorded in the database and must never change.
pub(crate) struct ScriptMigration {
    pub(crate) name: &'static str,
    pub(crate) postgres: Script,
    pub(crate) sqlite: Script,
}

impl ScriptMigration {
    fn script(&self, backend: DbBackend) -> Result<&Script, DbErr> {
        match backend {
            DbBackend::Postgres => Ok(&self.postgres),
            DbBackend::Sqlite => Ok(&self.sqlite),
            other => Err(DbErr::BackendNotSupported {
                db: other.as_str(),
                ctx: "migration",
            }),
        }
    }
}

impl MigrationName for ScriptMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl MigrationTrait for ScriptMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let script = self.script(manager.get_database_backend())?;
        manager
            .get_connection()
            .execute_unprepared(script.up)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let script = self.script(manager.get_database_backend())?;
        manager
            .get_connection()
            .execute_unprepared(script.down)
            .await?;
        Ok(())
    }
}
