//! `generation_pauses`: what operators have paused, see docs/operations.md#holding-the-queue.

use sea_orm::entity::prelude::*;

use crate::domain::QueuePart;

/// A part of the queue of which nothing is begun.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_pauses")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The jobs of this provider; `None` where it is not the part.
    pub provider: Option<String>,
    /// The jobs of this feature; `None` where it is not the part. All jobs, if neither is.
    pub feature_id: Option<i64>,
    /// Why, for people; may be empty.
    pub reason: String,
    /// In whose name, see [`Actor`](crate::domain::Actor).
    pub actor: String,
    /// Since when.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// What is paused.
    pub fn part(&self) -> QueuePart {
        QueuePart::of(self.provider.clone(), self.feature_id)
    }
}
