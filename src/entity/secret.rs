//! `generation_secrets`: the keys of the installation.

use sea_orm::entity::prelude::*;

/// A key of one purpose, which debug output leaves out.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_secrets")]
pub struct Model {
    /// What it is for, see [`Purpose`](crate::domain::Purpose).
    #[sea_orm(primary_key, auto_increment = false)]
    pub purpose: String,
    /// Counts from 1 for each purpose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: i32,
    /// 256 random bits.
    pub secret: Vec<u8>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on nothing verifies by it.
    pub retired_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {} of {}", self.key_id, self.purpose)
    }
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
