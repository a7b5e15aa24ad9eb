//! `generation_shares`, see docs/sharing.md.

use sea_orm::entity::prelude::*;

/// A public link to a media. What the link is stands nowhere.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_shares")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What is shown.
    pub media_id: i64,
    /// The SHA-256 of the link's token.
    pub token_hash: Vec<u8>,
    /// In the owner's words; `None` for the usual one.
    pub title: Option<String>,
    /// Pixels on the longest side; `None` for the media itself.
    pub max_size: Option<i32>,
    /// Whether recipe and other metadata stay in the files.
    pub show_recipe: bool,
    /// A [`SharedFiles`](crate::domain::SharedFiles).
    #[sea_orm(column_type = "JsonBinary")]
    pub files: Json,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// From when on it leads nowhere.
    pub expires_at: Option<DateTimeUtc>,
    /// When its owner ended it.
    pub revoked_at: Option<DateTimeUtc>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
