//! Spec 2.7, `generation_media`.

use sea_orm::entity::prelude::*;

use crate::domain::{MediaRole, MediaType};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_media")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub request_id: i64,
    pub job_id: Option<i64>,
    pub media_url: String,
    pub media_type: MediaType,
    pub file_size: Option<i64>,
    /// Whole seconds, rounded up.
    pub duration: Option<i32>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    pub blurhash: String,
    pub tiny_preview_base64: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Path of the object in the media storage.
    pub storage_key: Option<String>,
    pub role: MediaRole,
    /// 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
