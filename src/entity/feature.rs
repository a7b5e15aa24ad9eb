//! `generation_features`, see docs/domain.md#features.

use sea_orm::entity::prelude::*;

use crate::domain::MediaType;

/// A feature. A text that was left empty is `None`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_features")]
pub struct Model {
    /// Assigned by the database.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique among live features, at most 128 characters.
    pub name: String,
    /// What it makes, for a person.
    pub description: Option<String>,
    /// What it makes; never changes.
    pub category: MediaType,
    /// Instruction for the AI service, for trusted callers only.
    pub system_prompt: Option<String>,
    /// A [`FeatureProperties`](crate::domain::FeatureProperties); `None` only where another program wrote the row.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub properties: Option<Json>,
    /// A picture or clip that advertises it.
    pub preview_url: Option<String>,
    /// Likewise, as an icon.
    pub icon_url: Option<String>,
    /// Whether it takes requests.
    pub is_active: bool,
    /// Position in lists, lower first; equal ones go by id.
    pub order_index: i32,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// When a client last changed it, or it was deleted or brought back.
    pub updated_at: DateTimeUtc,
    /// `None` while it is live, see docs/domain.md#soft-delete.
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
    /// Name and description as a search compares them, in the version beside it.
    pub search_text: Option<String>,
    /// The version that these are of; where it is not the row's, they are made anew before a search.
    pub search_version: Option<i64>,
    /// The media of the system user that it is shown by, which may be deleted by now.
    pub preview_media_id: Option<i64>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
