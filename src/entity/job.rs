//! `generation_jobs`, see docs/domain.md#jobs, with what execution needs beside it.

use std::cmp::Reverse;

use sea_orm::entity::prelude::*;

use crate::domain::{JobStatus, MediaType};

/// A job: one variation of a request.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_jobs")]
pub struct Model {
    /// Assigned by the database; higher is newer.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The request that it fulfils.
    pub request_id: i64,
    /// The request's.
    pub user_id: i64,
    /// The request's.
    pub project_id: Option<i64>,
    /// The request's.
    pub feature_id: i64,
    /// The feature's.
    pub category: MediaType,
    /// Changes by a [`Transition`](crate::domain::job::Transition) only.
    pub status: JobStatus,
    /// Higher runs first, -100 to 100; equal ones take turns.
    pub priority: i32,
    /// Who runs it, or ran it last; `None` before the first attempt.
    pub worker_id: Option<String>,
    /// A [`JobInput`](crate::domain::JobInput); null in what a list has read.
    #[sea_orm(column_type = "JsonBinary")]
    pub input_json: Json,
    /// What the provider tells, the recipe, and what could not be made; `None` until it has completed.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub output_metadata: Option<Json>,
    /// A sentence for the user, with `error_code`.
    pub error_message: Option<String>,
    /// Why it failed, or why its last attempt did, as a [`Reason`](crate::domain::Reason); a new attempt clears it.
    pub error_code: Option<String>,
    /// When the last attempt began.
    pub started_at: Option<DateTimeUtc>,
    /// When it ended, in whatever way; `None` before.
    pub completed_at: Option<DateTimeUtc>,
    /// Set once.
    pub created_at: DateTimeUtc,
    /// When it last made a transition, was superseded, deleted or brought back; progress leaves it.
    pub updated_at: DateTimeUtc,
    /// `None` while it is live; the request's where it was deleted with that.
    pub deleted_at: Option<DateTimeUtc>,
    /// Number of the last transition; the event of that number is in `generation_job_events`.
    pub revision: i64,
    /// Which variation of the request the job makes, from 0.
    pub variation: i32,
    /// Attempts that have started.
    pub attempt: i32,
    /// Attempts after which an error that may pass is final: what its feature or else `executor.max_attempts` said when it was made; a retry has as many.
    pub max_attempts: i32,
    /// A pending job may run from then on.
    pub run_after: DateTimeUtc,
    /// Names the attempt that owns a processing job; every write of that attempt is conditional on it.
    pub lease_token: Option<String>,
    /// From then on the job may be taken from its worker; set while it is processing.
    pub lease_expires_at: Option<DateTimeUtc>,
    /// 0 to 1, of the current attempt.
    pub progress: f64,
    /// What the current attempt does, as the provider says it.
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
    /// Its place in a trace as a traceparent: the caller's as it was sent, or where spans are sent that of the call itself.
    pub traceparent: Option<String>,
    /// Credits that it takes, as its feature said when it was made; a retry takes as many again. `None` for a job of a time
    /// before this was kept.
    pub cost: Option<i64>,
    /// It begins only while fewer jobs of its user run that have such a limit; a retry has the same. `None`: whatever runs.
    pub concurrency: Option<i32>,
    /// Whether it is out of the queue until another job of its user ends: as many run as may.
    pub held: bool,
    /// Whether it is out of the queue until `run_after`.
    pub parked: bool,
    /// By when its first attempt has to begin; `None`: whenever there is time.
    pub start_deadline: Option<DateTimeUtc>,
    /// Its turn among those of its priority; `None`: its id.
    pub pass: Option<i64>,
    /// Whether it is out of the queue because its feature is paused or full, which a claim has met.
    pub paused: bool,
    /// Whether another of its feature may begin when it leaves its worker, or the queue.
    pub counted: bool,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The provider that the job is for: that of the input, where an older program left the column empty.
    pub fn provider(&self) -> Option<&str> {
        let column = self.provider.as_deref();
        column.or_else(|| self.input_json.get("provider")?.as_str())
    }

    /// What workers take jobs by that are due, the least first.
    pub fn place(&self) -> (Reverse<i32>, i64, i64) {
        (
            Reverse(self.priority),
            self.pass.unwrap_or(self.id),
            self.id,
        )
    }

    /// Whether a worker has it.
    pub fn is_running(&self) -> bool {
        self.status == JobStatus::Processing
    }

    /// All providers that may make it: its own, and those of its input that come after it.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        let fallbacks = self.input_json.get("fallbacks").and_then(Json::as_array);
        let names = fallbacks.into_iter().flatten();
        let names = names.filter_map(|fallback| fallback.get("provider")?.as_str());
        self.provider().into_iter().chain(names)
    }
}
