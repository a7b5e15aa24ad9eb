//! Spec 2.6, `generation_jobs`, and what execution needs beside it.

use sea_orm::entity::prelude::*;

use crate::domain::{JobStatus, MediaType};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_jobs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub request_id: i64,
    pub user_id: i64,
    pub project_id: Option<i64>,
    pub feature_id: i64,
    pub category: MediaType,
    pub status: JobStatus,
    pub priority: i32,
    pub worker_id: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_json: Json,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub output_metadata: Option<Json>,
    pub error_message: Option<String>,
    pub error_code: Option<String>,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Number of the last transition; the event of that number is in `generation_job_events`.
    pub revision: i64,
    /// Which variation of the request the job makes, from 0.
    pub variation: i32,
    /// Attempts that have started.
    pub attempt: i32,
    pub max_attempts: i32,
    /// A pending job may run from then on.
    pub run_after: DateTimeUtc,
    /// Names the attempt that owns a processing job; every write of that attempt is conditional on it.
    pub lease_token: Option<String>,
    pub lease_expires_at: Option<DateTimeUtc>,
    /// 0 to 1, of the current attempt.
    pub progress: f64,
    pub progress_message: Option<String>,
    /// A tiny picture of what the current attempt has so far, as a data URL.
    pub progress_preview: Option<String>,
    /// The job that a retry made in this one's place.
    pub superseded_by: Option<i64>,
    /// The provider that the job is for. `None` in a row of an older program, before its first submission: the input says
    /// it.
    pub provider: Option<String>,
    /// Written before a task is submitted to a provider that must not get it twice.
    pub submission_key: Option<String>,
    /// The provider's own name of the submitted task, written before it is first polled.
    pub provider_task_id: Option<String>,
    /// What the provider said, word for word, for operators.
    pub error_detail: Option<String>,
    /// The x-request-id of the call that made the job.
    pub x_request_id: Option<String>,
    /// Its traceparent, as the caller sent it.
    pub traceparent: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The provider that the job is for: that of the input, where an older program left the column empty.
    pub fn provider(&self) -> Option<&str> {
        let column = self.provider.as_deref();
        column.or_else(|| self.input_json.get("provider")?.as_str())
    }
}
