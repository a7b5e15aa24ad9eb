//! `generation_requests`, see docs/domain.md#requests.

use sea_orm::entity::prelude::*;

use crate::domain::RequestStatus;

use super::TextList;

/// A request: what a user asked for, and what was true then.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_requests")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Identity's user.
    pub user_id: i64,
    /// A collection of the Workspace domain.
    pub project_id: Option<i64>,
    /// The feature, which may be deleted by now.
    pub feature_id: i64,
    /// The template, which may be deleted by now; `None` where none was chosen.
    pub template_id: Option<i64>,
    /// The prompt that the template made; `None` where the user's was taken as it is.
    pub template_prompt: Option<String>,
    /// The feature's, as it was; for trusted callers only.
    pub system_prompt: Option<String>,
    /// What the user wrote, trimmed; may be empty where the feature allows it.
    pub user_prompt: String,
    /// What the user attached; `None` if nothing.
    #[sea_orm(save_as = "text[]", nullable)]
    pub user_media_urls: Option<TextList>,
    /// A [`GenerationInput`](crate::domain::GenerationInput), as it was given, without defaults.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub input_metadata: Option<Json>,
    /// The sum of its jobs, see docs/domain.md#request-status; written with each change of theirs.
    pub status: RequestStatus,
    /// Free data of the caller; `None` if there is none.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// When its version last changed.
    pub updated_at: DateTimeUtc,
    /// `None` while it is live, see docs/domain.md#soft-delete.
    pub deleted_at: Option<DateTimeUtc>,
    /// What the user calls it; `None` while it has no title.
    pub title: Option<String>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
    /// Whether it only tries a template, see docs/domain.md#previews.
    pub is_preview: bool,
    /// Whether its user is not told what the template says.
    pub hides_prompt: bool,
    /// The plan that it was made under; `None` where there was none.
    pub plan: Option<String>,
    /// `None` while lists show it, see docs/retention.md.
    pub archived_at: Option<DateTimeUtc>,
    /// When its jobs may start; `None`: at once.
    pub not_before: Option<DateTimeUtc>,
    /// By when they have to; `None`: whenever there is time.
    pub start_deadline: Option<DateTimeUtc>,
    /// How many of its jobs have been removed for good.
    pub purged_jobs: i32,
    /// Those of them that count for it and had completed.
    pub purged_completed: i32,
    /// Had failed.
    pub purged_failed: i32,
    /// Were cancelled.
    pub purged_cancelled: i32,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
