//! `generation_installation`: which installation the database is, in one row.

use sea_orm::entity::prelude::*;

/// What [`Installation`](crate::domain::Installation) the database is; no row before it has claimed a storage.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_installation")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub singleton: i32,
    /// A random UUID.
    pub id: String,
    /// Counts the looks for objects to remove.
    pub counter: i64,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
