//! `generation_job_events`: one row for each transition of a job, the audit trail and what a watcher resumes from.

use sea_orm::entity::prelude::*;

use crate::domain::JobStatus;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_job_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: i64,
    /// Dense per job, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub status: JobStatus,
    pub attempt: i32,
    /// Why the transition happened, see `domain::job::EventDetail`.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub detail: Option<Json>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
