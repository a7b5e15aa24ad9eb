//! `generation_rates`, see docs/identity.md#how-often.

use sea_orm::entity::prelude::*;

/// What is left to a caller of his calls of a class.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_rates")]
pub struct Model {
    /// Such as `user:7`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    /// Of calls: `read`, `write` or `admin`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub class: String,
    /// When a minute's calls may come at once again, in microseconds since 1970.
    pub whole_at: i64,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
