//! `generation_request_uploads`: which requests name which uploads.

use sea_orm::entity::prelude::*;

/// A request and an upload that it names.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_request_uploads")]
pub struct Model {
    /// Of the user whose upload it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: i64,
    /// Named by it once or several times.
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload_id: i64,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
