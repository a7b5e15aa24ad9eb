//! Spec 2.3, `generation_templates`.

use sea_orm::entity::prelude::*;

use super::TextList;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_templates")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub feature_id: i64,
    pub name: String,
    pub description: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub template_data: Json,
    pub preview_url: Option<String>,
    pub is_trending: bool,
    pub trend_score: i32,
    pub usage_count: i32,
    pub view_count: i32,
    pub trend_start_date: Option<DateTimeUtc>,
    pub trend_end_date: Option<DateTimeUtc>,
    #[sea_orm(save_as = "text[]", nullable)]
    pub tags: Option<TextList>,
    pub is_active: bool,
    pub order_index: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
    /// The decaying sum of uses and views, as it was at `trend_weighed_at`.
    pub trend_weight: f64,
    pub trend_weighed_at: Option<DateTimeUtc>,
    /// Name and description as a search compares them, in the version below.
    pub search_text: Option<String>,
    #[sea_orm(save_as = "text[]", nullable)]
    pub search_tags: Option<TextList>,
    pub search_version: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
