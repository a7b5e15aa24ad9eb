//! `generation_plan_retries`, see docs/plans.md.

use sea_orm::entity::prelude::*;

/// A retry of a user whose plan counts requests.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_plan_retries")]
pub struct Model {
    /// Assigned by the database.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose.
    pub user_id: i64,
    /// When.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
