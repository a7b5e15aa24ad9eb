//! `generation_credit_grants`: the credits that users were given.

use sea_orm::entity::prelude::*;

/// What an admin gave a user, or took back.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_credit_grants")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose credits they are.
    pub user_id: i64,
    /// Below zero where they were taken back.
    pub amount: i64,
    /// What of it nobody has reserved or spent.
    pub remaining: i64,
    /// For people.
    pub reason: String,
    /// The same of the same user changes nothing.
    pub idempotency_key: String,
    /// From when on nothing is reserved of it; `None`: never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was given.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
