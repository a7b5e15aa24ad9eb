//! `generation_upload_tickets`: what has come by the URLs that files are put to.

use sea_orm::entity::prelude::*;

/// A URL by which an upload has come.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_upload_tickets")]
pub struct Model {
    /// Stands in the URL.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What has come.
    pub upload_id: i64,
    /// From when on nobody may ask any more.
    pub expires_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
