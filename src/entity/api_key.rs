//! `generation_api_keys`: the keys of services.

use sea_orm::entity::prelude::*;

/// A key of a service, as far as the database knows it. Debug output leaves out what it is checked by.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_api_keys")]
pub struct Model {
    /// Stands in the key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The client's; several keys may have it.
    pub name: String,
    /// `service` or `admin`.
    pub role: String,
    /// What a key of the installation makes of the secret in the key.
    pub tag: Vec<u8>,
    /// Which key of the installation that is, among those for [API keys](crate::domain::Purpose::ApiKeys).
    pub secret_id: i32,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTimeUtc>,
    /// When a call last came with it, to a minute or so.
    pub last_used_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "API key {} of {}", self.id, self.name)
    }
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
