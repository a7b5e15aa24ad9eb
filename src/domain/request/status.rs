//! The statuses of a request. They are a job's, but text in the table, see docs/domain.md#enums.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Where a request stands: the sum of its jobs (docs/domain.md#request-status).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RequestStatus {
    /// All of its jobs wait.
    Pending,
    /// A job runs, or some wait and others have ended.
    Processing,
    /// All jobs have ended, one or more with media.
    Completed,
    /// All jobs have ended, none with media, and one or more failed.
    Failed,
    /// All jobs were cancelled.
    Cancelled,
}
