//! `generation_idempotency_keys`: which request a user's key stands for.

use sea_orm::entity::prelude::*;

/// A key, kept for as long as its request.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_idempotency_keys")]
pub struct Model {
    /// Whose key it is: two users may use the same.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// As the caller gave it, at most 128 characters.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Of the payload, see [`RequestDraft::fingerprint`](crate::domain::RequestDraft::fingerprint).
    pub fingerprint: String,
    /// The request that was made with the key.
    pub request_id: i64,
    /// The request's.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
