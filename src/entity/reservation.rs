//! `generation_reservations`: what Billing holds, takes and gives back for jobs.

use sea_orm::entity::prelude::*;

use crate::domain::ReservationState;

/// What Billing is told of a job, until it has answered to its end.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_reservations")]
pub struct Model {
    /// The job, which may not be stored yet, or be gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: i64,
    /// A random UUID, by which Billing knows it.
    pub reservation_id: String,
    /// The job's.
    pub request_id: i64,
    /// Who pays.
    pub user_id: i64,
    /// More than zero.
    pub amount: i64,
    /// What Billing is to be told next.
    pub state: ReservationState,
    /// Whether Billing has said that it holds it.
    pub is_reserved: bool,
    /// When it is to be told; while somebody tells it, until when he has it to himself.
    pub due_at: DateTimeUtc,
    /// How often it was told in vain.
    pub attempts: i32,
    /// Why Billing does not take it, in its own words; `None` while it has not said so.
    pub last_error: Option<String>,
    /// When it was intended.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
