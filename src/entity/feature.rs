//! Spec 2.2, `generation_features`.

use sea_orm::entity::prelude::*;

use crate::domain::MediaType;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_features")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub description: Option<String>,
    pub category: MediaType,
    pub system_prompt: Option<String>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub properties: Option<Json>,
    pub preview_url: Option<String>,
    pub icon_url: Option<String>,
    pub is_active: bool,
    pub order_index: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
    /// Name and description as a search compares them, in the version beside it.
    pub search_text: Option<String>,
    pub search_version: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
