//! `generation_templates`, see docs/domain.md#templates.

use sea_orm::entity::prelude::*;

use super::TextList;

/// A template. A text that was left empty is `None`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_templates")]
pub struct Model {
    /// Assigned by the database.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The feature that it belongs to; never changes.
    pub feature_id: i64,
    /// Unique among the feature's live templates, at most 128 characters.
    pub name: String,
    /// What the style looks like, for a person.
    pub description: Option<String>,
    /// A [`TemplateData`](crate::domain::TemplateData).
    #[sea_orm(column_type = "JsonBinary")]
    pub template_data: Json,
    /// A picture or clip that shows it.
    pub preview_url: Option<String>,
    /// See docs/domain.md#popularity-and-trends; brought up to date by each fold.
    pub is_trending: bool,
    /// `trend_weight` rounded, as of the last fold that changed it.
    pub trend_score: i32,
    /// Accepted requests that used it, as of the last fold.
    pub usage_count: i32,
    /// Views, one for each user and day, as of the last fold.
    pub view_count: i32,
    /// Start of the window in which it is trending; `None` for an open side, or no window.
    pub trend_start_date: Option<DateTimeUtc>,
    /// End of that window, itself not part of it.
    pub trend_end_date: Option<DateTimeUtc>,
    /// Words to filter by; `None` if there are none.
    #[sea_orm(save_as = "text[]", nullable)]
    pub tags: Option<TextList>,
    /// Whether requests may use it.
    pub is_active: bool,
    /// Position within the feature, lower first; equal ones go by id.
    pub order_index: i32,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// When its version last changed; counters and trend leave it.
    pub updated_at: DateTimeUtc,
    /// `None` while it is live, see docs/domain.md#soft-delete.
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that a client makes or sees; its etag.
    pub version: i64,
    /// The decaying sum of uses and views, as it was at `trend_weighed_at`.
    pub trend_weight: f64,
    /// `None` where there is no weight.
    pub trend_weighed_at: Option<DateTimeUtc>,
    /// Name and description as a search compares them, in the version below.
    pub search_text: Option<String>,
    /// The tags, likewise.
    #[sea_orm(save_as = "text[]", nullable)]
    pub search_tags: Option<TextList>,
    /// The version that these are of; where it is not the row's, they are made anew before a search.
    pub search_version: Option<i64>,
    /// The media of the system user that it is shown by, which may be deleted by now.
    pub preview_media_id: Option<i64>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
