//! `generation_template_views`: who has viewed a template on which day, so that a view counts once a day.

use sea_orm::entity::prelude::*;

/// A view that counts, forgotten when its day and the next are over.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_template_views")]
pub struct Model {
    /// What was viewed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub template_id: i64,
    /// Who viewed it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// Days since 1970-01-01, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i32,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
