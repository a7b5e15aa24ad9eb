//! `generation_workers`: who runs jobs, as each says it of itself, see docs/operations.md#holding-the-queue.

use sea_orm::entity::prelude::*;

use crate::domain::{Error, job::Skill};

/// A worker that has said something of late, or has ended without a word.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_workers")]
pub struct Model {
    /// Assigned by the database.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// As jobs have it in `worker_id`.
    pub name: String,
    /// Drawn at each start, so that a new process of the name is told from the one before.
    pub instance: String,
    /// The machine's name.
    pub host: String,
    /// What its process is for: `all` or `worker`.
    pub role: String,
    /// Of its program.
    pub version: String,
    /// A list of [`Skill`].
    #[sea_orm(column_type = "JsonBinary")]
    pub capabilities: Json,
    /// Jobs that it runs at once at most.
    pub slots: i32,
    /// When its process began.
    pub started_at: DateTimeUtc,
    /// When it last said so.
    pub seen_at: DateTimeUtc,
    /// Since when it takes no job; `None` while it does.
    pub drained_at: Option<DateTimeUtc>,
    /// Why, for people; may be empty.
    pub drain_reason: Option<String>,
    /// In whose name, see [`Actor`](crate::domain::Actor).
    pub drain_actor: Option<String>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// What it runs, and what it lacks to.
    ///
    /// # Errors
    /// Where another program wrote the row.
    pub fn skills(&self) -> Result<Vec<Skill>, Error> {
        serde_json::from_value(self.capabilities.clone()).map_err(Error::internal)
    }
}
