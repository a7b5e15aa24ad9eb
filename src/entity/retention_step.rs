//! `generation_retention_steps`, see docs/retention.md.

use sea_orm::entity::prelude::*;

/// A step of the retention, or another thing that one process does for all: whose turn it is, and what its last run has done.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_retention_steps")]
pub struct Model {
    /// The name of a [`RetentionStep`](crate::domain::RetentionStep), or of another thing.
    #[sea_orm(primary_key, auto_increment = false)]
    pub step: String,
    /// The run that goes on.
    pub holder: Option<String>,
    /// From when on another may take it.
    pub held_until: Option<DateTimeUtc>,
    /// When the last run has ended.
    pub ran_at: Option<DateTimeUtc>,
    /// What that has done.
    pub removed: i64,
    /// The reason that it was cut off for.
    pub error: Option<String>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
