//! `generation_uploads`, see docs/uploads.md.

use sea_orm::entity::prelude::*;

/// A file that a user gave.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_uploads")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// Of what is stored: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Path of the object in the media storage, which no other row ever names.
    pub storage_key: String,
    /// As the user calls it.
    pub file_name: Option<String>,
    /// What it is, by its bytes.
    pub format: String,
    /// Bytes of what is stored.
    pub file_size: i64,
    /// Pixels, as shown; `None` for sound.
    pub width: Option<i32>,
    /// Pixels, as shown; `None` for sound.
    pub height: Option<i32>,
    /// Of a video or sound.
    pub duration_ms: Option<i64>,
    /// How the picture is damaged that is shown as far as it goes.
    pub damaged: Option<String>,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// When it was last given, or known to be used.
    pub updated_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
