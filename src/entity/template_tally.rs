//! `generation_template_tallies`: uses and views that are not folded into their template yet.

use sea_orm::entity::prelude::*;

/// What was counted at one moment. The fold that adds it to its template removes it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_template_tallies")]
pub struct Model {
    /// Assigned by the database; the lowest is folded first.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The template that was used or viewed.
    pub template_id: i64,
    /// Accepted requests: 1 or 0.
    pub uses: i32,
    /// Views: 1 or 0.
    pub views: i32,
    /// When it was counted, which its weight decays from.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
