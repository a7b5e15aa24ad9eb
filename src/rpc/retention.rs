//! How the retention stands, as a message, and when it removes what is deleted.

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;

use crate::{
    app::{App, RetentionReport},
    domain::RetentionStep,
};

use super::{proto, time::timestamp};

pub(super) fn message(report: RetentionReport) -> proto::RetentionStepReport {
    let last = report.last.as_ref();
    proto::RetentionStepReport {
        step: step(report.step).into(),
        is_enabled: report.is_on,
        period_seconds: i32::try_from(report.period.as_secs()).unwrap_or(i32::MAX),
        due: report.due,
        last_run_time: last.and_then(|last| last.ran_at).map(timestamp),
        last_done: last.map_or(0, |last| last.removed),
        last_error: last.and_then(|last| last.error.clone()).unwrap_or_default(),
    }
}

fn step(step: RetentionStep) -> proto::RetentionStep {
    match step {
        RetentionStep::PlanRequests => proto::RetentionStep::PlanRequests,
        RetentionStep::ArchiveRequests => proto::RetentionStep::ArchiveRequests,
        RetentionStep::PurgeJobs => proto::RetentionStep::PurgeJobs,
        RetentionStep::DeletedMedia => proto::RetentionStep::DeletedMedia,
        RetentionStep::IdempotencyKeys => proto::RetentionStep::IdempotencyKeys,
        RetentionStep::PurgeTemplates => proto::RetentionStep::PurgeTemplates,
        RetentionStep::PurgeFeatures => proto::RetentionStep::PurgeFeatures,
        RetentionStep::PurgeRequests => proto::RetentionStep::PurgeRequests,
    }
}

/// When what was deleted then is removed by this step; `None` where it is not.
pub(super) fn purge_time(
    app: &App,
    step: RetentionStep,
    deleted_at: Option<DateTime<Utc>>,
) -> Option<Timestamp> {
    let period = app.settings.retention.period(step);
    let period = TimeDelta::from_std(period).ok()?;
    let removed_at = deleted_at?.checked_add_signed(period)?;
    (!period.is_zero()).then(|| timestamp(removed_at))
}
