//! `generation_credit_transactions`: the ledger, which is only added to.

use sea_orm::entity::prelude::*;

use crate::domain::{Account, CreditKind};

/// A movement of credits from one account to another.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_credit_transactions")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose credits they are.
    pub user_id: i64,
    /// What moves them.
    pub kind: CreditKind,
    /// Which they leave.
    pub debited: Account,
    /// Which they come to.
    pub credited: Account,
    /// More than zero.
    pub amount: i64,
    /// Of which grant they are.
    pub grant_id: i64,
    /// The job that holds, takes or gives back.
    pub job_id: Option<i64>,
    /// The job's.
    pub request_id: Option<i64>,
    /// That of a grant or a deduction.
    pub reason: Option<String>,
    /// When it happened; of a job that ended, when it did.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
