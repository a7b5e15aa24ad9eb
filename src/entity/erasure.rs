//! `generation_erasures`, see docs/privacy.md.

use sea_orm::entity::prelude::*;

use crate::domain::{Erased, Error};

/// The erasure of a user, and its receipt when it has ended.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_erasures")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Who is erased; `None` from its end on.
    pub user_id: Option<i64>,
    /// Under which the ledger and the audit log have what they keep.
    pub account_id: i64,
    /// An [`Erased`].
    #[sea_orm(column_type = "JsonBinary")]
    pub removed: Json,
    /// Until when whoever carries it out has it to himself.
    pub claimed_until: Option<DateTimeUtc>,
    /// When it was asked for.
    pub created_at: DateTimeUtc,
    /// `None` while it goes on.
    pub ended_at: Option<DateTimeUtc>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// How much it has removed so far.
    ///
    /// # Errors
    /// Where another program wrote the row.
    pub fn erased(&self) -> Result<Erased, Error> {
        serde_json::from_value(self.removed.clone()).map_err(Error::internal)
    }
}
