//! Jobs between the contract and the domain. Where several are told the inputs are left out, which are large.

use serde_json::Value;

use crate::{
    app::{App, Kind, News, Outlook, Outlooks},
    domain::{
        Checks, Error, JobStatus, Language, Reason, View,
        job::{Cause, Phase},
    },
    entity::{job, job_event},
    store::{self, job_event::detail},
};

use crate::rpc::{
    call, json,
    media::{self, media_type, media_type_from},
    page::{any_of, any_or},
    proto,
    time::{time_range, timestamp},
    view::Viewed,
};

/// Longest name of a worker, in characters.
const MAX_WORKER_ID_CHARS: usize = 64;
const MAX_ERROR_CODE_CHARS: usize = 64;

pub(super) fn filter_from(
    request: proto::ListJobsRequest,
    checks: &mut Checks,
) -> store::job::Filter {
    for (field, id) in [
        ("request_id", request.request_id),
        ("user_id", request.user_id),
        ("project_id", request.project_id),
        ("feature_id", request.feature_id),
        ("template_id", request.template_id),
    ] {
        checks.optional_id(field, id);
    }
    checks.text("worker_id", &request.worker_id, MAX_WORKER_ID_CHARS);
    checks.text("error_code", &request.error_code, MAX_ERROR_CODE_CHARS);
    let (created_from, created_before) =
        time_range(request.create_time_start, request.create_time_end, checks);
    store::job::Filter {
        request_id: any_or(request.request_id),
        user_id: any_or(request.user_id),
        project_id: any_or(request.project_id),
        feature_id: any_or(request.feature_id),
        category: media_type_from("category", request.category, checks),
        template_id: any_or(request.template_id),
        created_from,
        created_before,
        statuses: any_of(
            "statuses",
            "JobStatus",
            &request.statuses,
            status_from,
            checks,
        ),
        error_code: Some(request.error_code).filter(|code| !code.is_empty()),
        superseded: request.is_superseded,
        worker_id: Some(request.worker_id).filter(|id| !id.is_empty()),
        show_deleted: request.show_deleted,
        show_previews: request.show_previews,
    }
}

/// The list of what is to be counted.
pub(super) fn listed(request: proto::CountJobsRequest) -> proto::ListJobsRequest {
    proto::ListJobsRequest {
        request_id: request.request_id,
        user_id: request.user_id,
        feature_id: request.feature_id,
        project_id: request.project_id,
        category: request.category,
        worker_id: request.worker_id,
        template_id: request.template_id,
        create_time_start: request.create_time_start,
        create_time_end: request.create_time_end,
        error_code: request.error_code,
        is_superseded: request.is_superseded,
        show_deleted: request.show_deleted,
        show_previews: request.show_previews,
        ..Default::default()
    }
}

pub(super) fn status_counts(counts: Vec<(JobStatus, i64)>) -> proto::CountJobsResponse {
    let mut told = proto::CountJobsResponse::default();
    for (status, count) in counts {
        told.total += count;
        match status {
            JobStatus::Pending => told.pending += count,
            JobStatus::Processing => told.processing += count,
            JobStatus::Completed => told.completed += count,
            JobStatus::Failed => told.failed += count,
            JobStatus::Cancelled => told.cancelled += count,
        }
    }
    told
}

/// A status in a filter.
fn status_from(status: i32) -> Option<JobStatus> {
    match proto::JobStatus::try_from(status).ok()? {
        proto::JobStatus::Unspecified => None,
        proto::JobStatus::Pending => Some(JobStatus::Pending),
        proto::JobStatus::Processing => Some(JobStatus::Processing),
        proto::JobStatus::Completed => Some(JobStatus::Completed),
        proto::JobStatus::Failed => Some(JobStatus::Failed),
        proto::JobStatus::Cancelled => Some(JobStatus::Cancelled),
    }
}

pub(in crate::rpc) fn status_message(status: JobStatus) -> proto::JobStatus {
    match status {
        JobStatus::Pending => proto::JobStatus::Pending,
        JobStatus::Processing => proto::JobStatus::Processing,
        JobStatus::Completed => proto::JobStatus::Completed,
        JobStatus::Failed => proto::JobStatus::Failed,
        JobStatus::Cancelled => proto::JobStatus::Cancelled,
    }
}

/// The job without its input, which is large and the same in all jobs of a request but for the seed.
pub(in crate::rpc) fn brief_message(mut job: job::Model, view: View) -> proto::Job {
    job.input_json = Value::Null;
    proto::Job {
        input: None,
        ..message(job, view)
    }
}

pub(in crate::rpc) fn brief_messages(jobs: Vec<job::Model>, view: View) -> Vec<proto::Job> {
    let messages = jobs.into_iter().map(|job| brief_message(job, view));
    messages.collect()
}

/// The same with what is told beside its row.
pub(in crate::rpc) fn told_message(job: job::Model, outlooks: &Outlooks, view: View) -> proto::Job {
    let outlook = outlooks.of(&job);
    with_outlook(brief_message(job, view), outlook, view)
}

pub(in crate::rpc) fn with_outlook(
    mut job: proto::Job,
    outlook: Outlook,
    view: View,
) -> proto::Job {
    (job.waiting_reason, job.is_paused) = (outlook.waiting_reason, outlook.is_paused);
    job.is_stalled = outlook.is_stalled;
    if let Some(place) = outlook.place {
        job.queue_position = i32::try_from(place.position).unwrap_or(i32::MAX);
        job.estimated_start_time = place.start.map(timestamp);
    }
    job.seen(view)
}

pub(super) async fn told_messages(
    app: &App,
    jobs: Vec<job::Model>,
    view: View,
) -> Result<Vec<proto::Job>, Error> {
    let outlooks = app.outlooks(&jobs).await?;
    let messages = jobs.into_iter();
    Ok(messages
        .map(|job| told_message(job, &outlooks, view))
        .collect())
}

/// The job with what is told beside its row.
pub(super) async fn message_now(
    app: &App,
    job: job::Model,
    view: View,
) -> Result<proto::Job, Error> {
    let outlook = app.outlooks([&job]).await?.of(&job);
    Ok(with_outlook(message(job, view), outlook, view))
}

pub(in crate::rpc) fn message(job: job::Model, view: View) -> proto::Job {
    let error = error_message(&job);
    let is_told = job.progress_message.is_some();
    let phase = Phase::of(job.status, job.progress, is_told);
    let waits = job.status == JobStatus::Pending && job.run_after > job.updated_at;
    let message = proto::Job {
        id: job.id,
        request_id: job.request_id,
        user_id: job.user_id,
        project_id: job.project_id,
        feature_id: job.feature_id,
        category: media_type(job.category).into(),
        status: status_message(job.status).into(),
        priority: job.priority,
        worker_id: job.worker_id.unwrap_or_default(),
        variation: job.variation,
        revision: job.revision,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        progress: job.progress,
        progress_message: job.progress_message.unwrap_or_default(),
        progress_preview: job.progress_preview.unwrap_or_default(),
        input: Some(json::stored_to_struct(job.input_json)),
        output_metadata: job.output_metadata.map(json::stored_to_struct),
        error,
        next_attempt_time: waits.then(|| timestamp(job.run_after)),
        start_time: job.started_at.map(timestamp),
        end_time: job.completed_at.map(timestamp),
        create_time: Some(timestamp(job.created_at)),
        update_time: Some(timestamp(job.updated_at)),
        delete_time: job.deleted_at.map(timestamp),
        superseded_by: job.superseded_by,
        waiting_reason: String::new(),
        is_paused: false,
        phase: phase_message(phase).into(),
        queue_position: 0,
        estimated_start_time: None,
        is_stalled: false,
    };
    message.seen(view)
}

fn phase_message(phase: Option<Phase>) -> proto::JobPhase {
    match phase {
        None => proto::JobPhase::Unspecified,
        Some(Phase::Queued) => proto::JobPhase::Queued,
        Some(Phase::Starting) => proto::JobPhase::Starting,
        Some(Phase::Generating) => proto::JobPhase::Generating,
        Some(Phase::Storing) => proto::JobPhase::Storing,
    }
}

fn error_message(job: &job::Model) -> Option<proto::JobError> {
    let code = job.error_code.clone()?;
    Some(proto::JobError {
        message: told_error(&code, job.error_message.clone()),
        code,
        detail: job.error_detail.clone().unwrap_or_default(),
    })
}

/// The sentence for the caller: as it was written down, in English, or by its code in the caller's language.
fn told_error(code: &str, written: Option<String>) -> String {
    let written = written.unwrap_or_default();
    match (call::language(), code.parse::<Reason>()) {
        (Language::En, _) | (_, Err(_)) => written,
        (language, Ok(reason)) => reason.sentence(language, &written),
    }
}

/// What WatchJob tells; of its job without the input, unless it is told `whole`.
/// To how many more providers the job may go: with each that it goes to, its input changes.
pub(super) fn fallbacks_left(news: &News) -> i64 {
    let job = news.job.as_ref();
    let fallbacks = job.and_then(|job| job.input_json.get("fallbacks")?.as_array());
    fallbacks.map_or(0, |fallbacks| {
        i64::try_from(fallbacks.len()).unwrap_or(i64::MAX)
    })
}

pub(super) async fn news_message(
    app: App,
    view: View,
    whole: bool,
    news: News,
) -> Result<proto::WatchJobResponse, Error> {
    let event = match news.kind {
        Kind::Transition => proto::WatchJobEvent::Transition,
        Kind::Progress => proto::WatchJobEvent::Progress,
        Kind::Deleted => proto::WatchJobEvent::Deleted,
        Kind::Heartbeat | Kind::Opened | Kind::Purged => proto::WatchJobEvent::Heartbeat,
    };
    let job = news.job.map(|job| match whole {
        true => message(job, view),
        false => brief_message(job, view),
    });
    let job = job.map(|job| with_outlook(job, news.outlook, view));
    Ok(proto::WatchJobResponse {
        event: event.into(),
        revision: news.revision,
        job,
        media: media::messages(&app, news.media, view).await?,
    })
}

pub(super) fn event_message(event: job_event::Model) -> Result<proto::JobEvent, Error> {
    let detail = detail(event.detail)?;
    let error = detail.error_code.map(|code| proto::JobError {
        message: told_error(&code, detail.error_message),
        code,
        detail: String::new(),
    });
    let waits = |time: &_| event.status == JobStatus::Pending && *time > event.created_at;
    Ok(proto::JobEvent {
        job_id: event.job_id,
        revision: event.revision,
        status: status_message(event.status).into(),
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
        Some(Cause::FallBack) => proto::JobEventCause::FallBack,
        Some(Cause::Deleted) => proto::JobEventCause::Deleted,
        Some(Cause::Stopped) => proto::JobEventCause::Stopped,
    }
}
