//! The messages of a job's audit trail.

use crate::{
    domain::{Error, JobStatus, job::Cause},
    entity::job_event,
    rpc::{proto, time::timestamp},
    store::job_event::detail,
};

pub(super) fn message(event: job_event::Model) -> Result<proto::JobEvent, Error> {
    let detail = detail(event.detail)?;
    let error = detail.error_code.map(|code| proto::JobError {
        code,
        message: detail.error_message.unwrap_or_default(),
        detail: String::new(),
    });
    let waits = |time: &_| event.status == JobStatus::Pending && *time > event.created_at;
    Ok(proto::JobEvent {
        job_id: event.job_id,
        revision: event.revision,
        status: super::status_message(event.status).into(),
        attempt: event.attempt,
        cause: cause(detail.cause).into(),
        worker_id: detail.worker_id.unwrap_or_default(),
        error,
        create_time: Some(timestamp(event.created_at)),
        next_attempt_time: detail.run_after.filter(waits).map(timestamp),
    })
}

fn cause(cause: Option<Cause>) -> proto::JobEventCause {
    match cause {
        None => proto::JobEventCause::Unspecified,
        Some(Cause::Retry) => proto::JobEventCause::Retry,
        Some(Cause::Rescue) => proto::JobEventCause::Rescue,
        Some(Cause::HandBack) => proto::JobEventCause::HandBack,
        Some(Cause::Deleted) => proto::JobEventCause::Deleted,
    }
}
