//! What happens to jobs, and what that means for their request.

mod attempt_end;
mod band;
mod capability;
mod counts;
mod obstacle;
mod phase;
mod place;
mod status;
mod transition;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Reason, sha256_hex};

pub use attempt_end::AttemptEnd;
pub use band::Band;
pub use capability::{Capability, Skill};
pub use counts::{JobCounts, request_status};
pub use obstacle::Obstacle;
pub use phase::{PROVIDER_SHARE, Phase};
pub use place::{Pace, Place};
pub use status::JobStatus;
pub use transition::{Attempts, Rule, Transition};

/// Why an attempt did not succeed, as the job's row keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kept as `error_code`.
    pub reason: Reason,
    /// A sentence for the user.
    pub message: String,
    /// What the provider said, for operators.
    pub detail: Option<String>,
}

impl Failure {
    /// One without a word of the provider.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            detail: None,
        }
    }

    /// Adds what the provider said.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// What a transition's event keeps beside the status, so that the job can be shown as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventDetail {
    /// Why the transition happened, if the statuses alone do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The job's by then; `None` before its first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// The job's by then; `None` before its first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// The job's by then: if it waits, when it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_after: Option<DateTime<Utc>>,
    /// [`attempt_key`] of the attempt that begins with it; `None` if none does, or an older program wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_key: Option<String>,
    /// Why it has failed by then, or why its last attempt has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The sentence for the user that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// What tells an attempt from all others, also in public: a digest of its lease token.
pub fn attempt_key(lease_token: &str) -> String {
    let mut digest = sha256_hex(lease_token.as_bytes());
    digest.truncate(32);
    digest
}

/// Whether the worker of a job that stands so is late to say that it still runs it: its lease ends before `time`.
pub fn is_stalled(
    status: JobStatus,
    lease_end: Option<DateTime<Utc>>,
    time: DateTime<Utc>,
) -> bool {
    status == JobStatus::Processing && lease_end.is_some_and(|end| end < time)
}

/// Why a transition happened, where the statuses do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A transient error, with attempts left.
    Retry,
    /// The worker vanished: its lease ran out.
    Rescue,
    /// The worker stopped and gave the job back; the attempt does not count.
    HandBack,
    /// The provider is away, and another one gets the job; the attempt does not count.
    FallBack,
    /// The job was deleted, by itself or with its request: it neither waits nor runs any more.
    Deleted,
    /// A client had the attempt cut off.
    Stopped,
}
