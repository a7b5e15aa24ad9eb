//! Spec 2.5, `generation_requests`.

use sea_orm::entity::prelude::*;

use crate::domain::RequestStatus;

use super::TextList;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_requests")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub project_id: Option<i64>,
    pub feature_id: i64,
    pub template_id: Option<i64>,
    pub template_prompt: Option<String>,
    pub system_prompt: Option<String>,
    pub user_prompt: String,
    #[sea_orm(save_as = "text[]", nullable)]
    pub user_media_urls: Option<TextList>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub input_metadata: Option<Json>,
    pub status: RequestStatus,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
