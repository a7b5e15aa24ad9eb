//! `generation_upload_tickets`: the URLs that files are put to, and what has come by them.

use sea_orm::entity::prelude::*;

/// A URL that takes one file.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_upload_tickets")]
pub struct Model {
    /// Stands in the URL.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whose file it takes.
    pub user_id: i64,
    /// What has come; `None` while nothing has.
    pub upload_id: Option<i64>,
    /// From when on nobody may ask any more.
    pub expires_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
