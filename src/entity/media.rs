//! `generation_media`, see docs/domain.md#media.

use sea_orm::entity::prelude::*;

use crate::domain::{MediaRole, MediaType};

/// A file that a job made.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_media")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The request that it belongs to, which tells whose it is.
    pub request_id: i64,
    /// The job that made it; `None` once that has been removed for good.
    pub job_id: Option<i64>,
    /// Stable address of the stored file; to open it takes a signed link.
    pub media_url: String,
    /// What the file is, by its bytes.
    pub media_type: MediaType,
    /// Bytes; `None` only where another program wrote the row.
    pub file_size: Option<i64>,
    /// Whole seconds, rounded up.
    pub duration: Option<i32>,
    /// A [`MediaMetadata`](crate::domain::MediaMetadata).
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// What to draw until the file is there, 4x3 components; never empty.
    pub blurhash: String,
    /// A tiny picture in its place, as a data URL.
    pub tiny_preview_base64: Option<String>,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// As `created_at` until it is deleted or brought back.
    pub updated_at: DateTimeUtc,
    /// `None` while it is live; the request's where it was deleted with that.
    pub deleted_at: Option<DateTimeUtc>,
    /// Path of the object in the media storage, which equal files of a user share; `None` once it is gone.
    pub storage_key: Option<String>,
    /// What it is to its job.
    pub role: MediaRole,
    /// 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// When the file was given up, see docs/retention.md; only of what is deleted, which does not come back then.
    pub content_deleted_at: Option<DateTimeUtc>,
    /// The request's user, by whom equal files are found; `None` in rows from before they were, whose objects nothing shares.
    pub owner_id: Option<i64>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
