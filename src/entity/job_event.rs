//! `generation_job_events`: one row for each transition of a job, the audit trail and what a watcher resumes from.

use sea_orm::entity::prelude::*;

use crate::domain::JobStatus;

/// A transition of a job. It is never changed.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_job_events")]
pub struct Model {
    /// The job that made it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: i64,
    /// Dense per job, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// That of the job from then on.
    pub status: JobStatus,
    /// Attempts of the job that counted then.
    pub attempt: i32,
    /// Why the transition happened, see `domain::job::EventDetail`.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub detail: Option<Json>,
    /// When it happened: the job's `updated_at` then.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
