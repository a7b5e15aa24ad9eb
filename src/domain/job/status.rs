//! The statuses of a job; `transition` says what leads from one to another.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Where a job stands (`generation_job_status_enum`, docs/domain.md#enums).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobStatus {
    /// It waits for a worker: for its first attempt, or for another.
    Pending,
    /// A worker has it, and a lease on it.
    Processing,
    /// An attempt made media.
    Completed,
    /// It made nothing and is not tried again by itself; a retry makes a new job.
    Failed,
    /// It was taken off the queue while it waited; a retry makes a new job.
    Cancelled,
}

impl JobStatus {
    /// The name in the database and in messages to people.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
