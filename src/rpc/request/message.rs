//! Requests between the contract and the domain: what is asked for, the filter, and what the calls answer.

use std::sync::Arc;

use crate::{
    app::{App, Kind, News, ValidRequest},
    domain::{
        Checks, Error, Flaw, GenerationInput, JobCounts, JobInput, OutputSettings, Problem,
        RequestDraft, RequestStatus, Resolved, RetentionStep, Schedule, View, Violation, etag,
        stored,
    },
    identity::Principal,
    store::{self, request::Counted},
};

use crate::rpc::{
    call,
    error::violation_detail,
    job, json, media,
    page::{any_of, any_or},
    proto,
    retention::purge_time,
    time::{optional_time, time_range, timestamp, told},
    view::Viewed,
};

pub(in crate::rpc) const MAX_PLAN_CHARS: usize = 64;
const MAX_METADATA_KEY_CHARS: usize = 200;
const MAX_METADATA_VALUE_CHARS: usize = 1_000;

/// What is wrong with the message itself.
pub(in crate::rpc) fn check_message(
    request: &proto::CreateRequestRequest,
    mut checks: Checks,
) -> Checks {
    let input = request.input.as_ref();
    let variables = input.into_iter().flat_map(|input| input.variables.values());
    json::check_finite("input.variables", variables, &mut checks);
    let extra = json::values_of(input.and_then(|input| input.extra.as_ref()));
    json::check_finite("input.extra", extra, &mut checks);
    let metadata = json::values_of(request.metadata.as_ref());
    json::check_finite("metadata", metadata, &mut checks);
    checks.line("plan", &request.plan, MAX_PLAN_CHARS);
    optional_time("not_before_time", request.not_before_time, &mut checks);
    optional_time(
        "start_deadline_time",
        request.start_deadline_time,
        &mut checks,
    );
    let by_both = [
        (
            "feature",
            request.feature_id != 0 && !request.feature.is_empty(),
        ),
        (
            "template",
            request.template_id.is_some() && !request.template.is_empty(),
        ),
    ];
    for (field, by_both) in by_both {
        checks.require(!by_both, field, || {
            Flaw::Conflict.says(format!("must be left out beside {field}_id"))
        });
    }
    checks
}

/// Has the request name the plan that it goes by.
pub(in crate::rpc) fn take_plan(
    principal: &Principal,
    request: &mut proto::CreateRequestRequest,
    checks: &mut Checks,
) {
    let plan = principal.plan_of("plan", &request.plan, checks);
    request.plan = plan.unwrap_or_default();
}

pub(in crate::rpc) fn draft(request: proto::CreateRequestRequest) -> RequestDraft {
    RequestDraft {
        user_id: request.user_id,
        project_id: request.project_id,
        feature_id: request.feature_id,
        template_id: request.template_id,
        feature: request.feature,
        template: request.template,
        user_prompt: request.user_prompt,
        user_media_urls: request.user_media_urls,
        input: request.input.map(input_from).unwrap_or_default(),
        metadata: request.metadata.map(json::from_struct).unwrap_or_default(),
        priority: request.priority,
        schedule: Schedule {
            not_before: request.not_before_time.and_then(told),
            start_deadline: request.start_deadline_time.and_then(told),
        },
        idempotency_key: request.idempotency_key,
        client: None,
        trace: call::trace(),
        preview: None,
        plan: Some(request.plan).filter(|plan| !plan.is_empty()),
    }
}

pub(in crate::rpc) fn input_from(input: proto::GenerationInput) -> GenerationInput {
    GenerationInput {
        negative_prompt: input.negative_prompt,
        seed: input.seed,
        cfg_scale: input.cfg_scale,
        lora_weights: input
            .lora_weights
            .map(|lora| lora.weights.into_iter().collect()),
        product_url: input.product_url,
        mask_url: input.mask_url,
        batch_size: input.variations,
        output: input.output.map(output_from).unwrap_or_default(),
        variables: input
            .variables
            .into_iter()
            .map(|(name, value)| (name, json::from_value(value)))
            .collect(),
        extra: input.extra.map(json::from_struct).unwrap_or_default(),
    }
}

fn output_from(output: proto::OutputSettings) -> OutputSettings {
    OutputSettings {
        format: output.format,
        aspect_ratio: output.aspect_ratio,
        width: output.width,
        height: output.height,
        duration_seconds: output.duration_seconds,
        formats: output.formats,
    }
}

pub(in crate::rpc) fn input_message(input: GenerationInput) -> proto::GenerationInput {
    proto::GenerationInput {
        negative_prompt: input.negative_prompt,
        seed: input.seed,
        cfg_scale: input.cfg_scale,
        lora_weights: input.lora_weights.map(|weights| proto::LoraWeights {
            weights: weights.into_iter().collect(),
        }),
        product_url: input.product_url,
        mask_url: input.mask_url,
        variations: input.batch_size,
        output: Some(proto::OutputSettings {
            format: input.output.format,
            aspect_ratio: input.output.aspect_ratio,
            width: input.output.width,
            height: input.output.height,
            duration_seconds: input.output.duration_seconds,
            formats: input.output.formats,
        }),
        variables: input
            .variables
            .into_iter()
            .map(|(name, value)| (name, json::to_value(value)))
            .collect(),
        extra: Some(json::to_struct(input.extra)),
    }
}

/// A status in a filter.
fn status_from(status: i32) -> Option<RequestStatus> {
    match proto::RequestStatus::try_from(status).ok()? {
        proto::RequestStatus::Unspecified => None,
        proto::RequestStatus::Pending => Some(RequestStatus::Pending),
        proto::RequestStatus::Processing => Some(RequestStatus::Processing),
        proto::RequestStatus::Completed => Some(RequestStatus::Completed),
        proto::RequestStatus::Failed => Some(RequestStatus::Failed),
        proto::RequestStatus::Cancelled => Some(RequestStatus::Cancelled),
    }
}

fn status_message(status: RequestStatus) -> proto::RequestStatus {
    match status {
        RequestStatus::Pending => proto::RequestStatus::Pending,
        RequestStatus::Processing => proto::RequestStatus::Processing,
        RequestStatus::Completed => proto::RequestStatus::Completed,
        RequestStatus::Failed => proto::RequestStatus::Failed,
        RequestStatus::Cancelled => proto::RequestStatus::Cancelled,
    }
}

/// The request by itself, without what may be told with it.
pub(in crate::rpc) fn message(app: &App, counted: Counted, view: View) -> proto::Request {
    let Counted { request, counts } = counted;
    let input = stored::show(request.input_metadata);
    let message = proto::Request {
        id: request.id,
        user_id: request.user_id,
        project_id: request.project_id,
        feature_id: request.feature_id,
        template_id: request.template_id,
        template_prompt: view.prompt(
            request.template_prompt.unwrap_or_default(),
            request.hides_prompt,
        ),
        system_prompt: request.system_prompt.unwrap_or_default(),
        user_prompt: request.user_prompt,
        user_media_urls: request
            .user_media_urls
            .map(|urls| urls.items().to_vec())
            .unwrap_or_default(),
        input: Some(input_message(input)),
        status: status_message(request.status).into(),
        job_counts: Some(counts_message(counts)),
        metadata: request.metadata.map(json::stored_to_struct),
        create_time: Some(timestamp(request.created_at)),
        update_time: Some(timestamp(request.updated_at)),
        delete_time: request.deleted_at.map(timestamp),
        etag: etag(request.version),
        is_preview: request.is_preview,
        archive_time: request.archived_at.map(timestamp),
        not_before_time: request.not_before.map(timestamp),
        start_deadline_time: request.start_deadline.map(timestamp),
        purged_jobs: request.purged_jobs.into(),
        purge_time: purge_time(app, RetentionStep::PurgeRequests, request.deleted_at),
        title: request.title.unwrap_or_default(),
        ..Default::default()
    };
    message.seen(view)
}

/// The request without what its caller has given and what was made of that.
fn brief(request: proto::Request) -> proto::Request {
    proto::Request {
        template_prompt: String::new(),
        system_prompt: String::new(),
        user_prompt: String::new(),
        user_media_urls: Vec::new(),
        input: None,
        metadata: None,
        ..request
    }
}

fn counts_message(counts: JobCounts) -> proto::JobCounts {
    proto::JobCounts {
        pending: counts.pending.into(),
        processing: counts.processing.into(),
        completed: counts.completed.into(),
        failed: counts.failed.into(),
        cancelled: counts.cancelled.into(),
    }
}

pub(super) fn filter_from(
    request: &proto::ListRequestsRequest,
    checks: &mut Checks,
) -> store::request::Filter {
    checks.optional_id("user_id", request.user_id);
    checks.optional_id("project_id", request.project_id);
    checks.optional_id("feature_id", request.feature_id);
    checks.optional_id("template_id", request.template_id);
    let (created_from, created_before) =
        time_range(request.create_time_start, request.create_time_end, checks);
    checks.search("text", &request.text);
    checks.line(
        "metadata_key",
        &request.metadata_key,
        MAX_METADATA_KEY_CHARS,
    );
    checks.text(
        "metadata_value",
        &request.metadata_value,
        MAX_METADATA_VALUE_CHARS,
    );
    let (of_user, of_project) = (request.user_id != 0, request.project_id != 0);
    for (field, is_set, has_what_it_needs, needs) in [
        ("text", !request.text.is_empty(), of_user, "a user_id"),
        (
            "metadata_key",
            !request.metadata_key.is_empty(),
            of_user || of_project,
            "a user_id or a project_id",
        ),
        (
            "metadata_value",
            !request.metadata_value.is_empty(),
            !request.metadata_key.is_empty(),
            "a metadata_key",
        ),
        (
            "order",
            request.order() == proto::RequestOrder::Updated,
            of_user,
            "a user_id",
        ),
    ] {
        checks.require(!is_set || has_what_it_needs, field, || {
            Flaw::Conflict.says(format!("needs {needs}"))
        });
    }
    let is_order = proto::RequestOrder::try_from(request.order).is_ok();
    checks.require(is_order, "order", || {
        Problem::no_value_of("RequestOrder", request.order)
    });
    let metadata = (request.metadata_key.clone(), request.metadata_value.clone());
    store::request::Filter {
        user_id: any_or(request.user_id),
        project_id: any_or(request.project_id),
        feature_id: any_or(request.feature_id),
        category: None,
        template_id: any_or(request.template_id),
        created_from,
        created_before,
        statuses: any_of(
            "statuses",
            "RequestStatus",
            &request.statuses,
            status_from,
            checks,
        ),
        show_deleted: request.show_deleted,
        show_previews: request.show_previews,
        show_only_deleted: request.show_only_deleted,
        show_archived: request.show_archived,
        text: request.text.clone(),
        metadata: Some(metadata).filter(|(key, _)| !key.is_empty()),
        has_failed_jobs: request.has_failed_jobs,
        by_update: request.order() == proto::RequestOrder::Updated,
        reversed: false,
    }
}

/// The list of what is to be counted.
pub(super) fn listed(request: proto::CountRequestsRequest) -> proto::ListRequestsRequest {
    proto::ListRequestsRequest {
        user_id: request.user_id,
        project_id: request.project_id,
        feature_id: request.feature_id,
        template_id: request.template_id,
        create_time_start: request.create_time_start,
        create_time_end: request.create_time_end,
        show_deleted: request.show_deleted,
        show_previews: request.show_previews,
        show_only_deleted: request.show_only_deleted,
        show_archived: request.show_archived,
        ..Default::default()
    }
}

pub(super) fn status_counts(counts: Vec<(RequestStatus, i64)>) -> proto::CountRequestsResponse {
    let mut told = proto::CountRequestsResponse::default();
    for (status, count) in counts {
        told.total += count;
        match status {
            RequestStatus::Pending => told.pending += count,
            RequestStatus::Processing => told.processing += count,
            RequestStatus::Completed => told.completed += count,
            RequestStatus::Failed => told.failed += count,
            RequestStatus::Cancelled => told.cancelled += count,
        }
    }
    told
}

/// What a watch tells; of its request without what stays the same, unless it is told `whole`.
pub(super) async fn news_message(
    app: App,
    view: View,
    whole: bool,
    news: News,
) -> Result<proto::WatchRequestResponse, Error> {
    let event = match news.kind {
        Kind::Transition => proto::WatchRequestEvent::Transition,
        Kind::Progress => proto::WatchRequestEvent::Progress,
        Kind::Deleted => proto::WatchRequestEvent::Deleted,
        Kind::Opened => proto::WatchRequestEvent::Opened,
        Kind::Purged => proto::WatchRequestEvent::Purged,
        Kind::Heartbeat => proto::WatchRequestEvent::Heartbeat,
    };
    let job = news.job.map(|job| job::brief_message(job, view));
    let job = job.map(|job| job::with_outlook(job, news.outlook, view));
    let request = news.request.map(Arc::unwrap_or_clone);
    let request = request.map(|request| message(&app, request, view));
    let request = request.map(|request| match whole {
        true => request,
        false => brief(request),
    });
    Ok(proto::WatchRequestResponse {
        event: event.into(),
        job,
        request,
        media: media::messages(&app, news.media, view).await?,
        cursor: news.cursor,
    })
}

impl From<proto::WatchRequestResponse> for proto::WatchRequestsResponse {
    fn from(message: proto::WatchRequestResponse) -> Self {
        Self {
            event: message.event,
            job: message.job,
            request: message.request,
            media: message.media,
            cursor: message.cursor,
        }
    }
}

impl From<proto::WatchRequestResponse> for proto::WatchUserResponse {
    fn from(message: proto::WatchRequestResponse) -> Self {
        Self {
            event: message.event,
            job: message.job,
            request: message.request,
            media: message.media,
            cursor: message.cursor,
        }
    }
}

/// What `validate_only` answers with.
pub(super) fn validated(valid: ValidRequest, view: View) -> proto::CreateRequestResponse {
    proto::CreateRequestResponse {
        request: None,
        jobs: Vec::new(),
        warnings: warning_messages(&valid.warnings),
        balance_after: valid.balance_after,
        resolved_input: resolved_message(valid, view).map(|it| it.seen(view)),
    }
}

pub(super) fn warning_messages(warnings: &[Violation]) -> Vec<proto::Warning> {
    let message = |warning: &Violation| proto::Warning {
        field: warning.field.clone(),
        reason: warning.flaw.as_str().to_owned(),
        message: warning.sentence(call::language()),
        detail: Some(violation_detail(warning)),
    };
    warnings.iter().map(message).collect()
}

/// The first job's input stands for all: they differ by the seed only.
fn resolved_message(
    ValidRequest { resolved, cost, .. }: ValidRequest,
    view: View,
) -> Option<proto::ResolvedInput> {
    let Resolved {
        random_seed, jobs, ..
    } = resolved;
    let variations = whole(jobs.len());
    let seeds = jobs.iter().map(|job| i64::from(job.seed));
    let seeds = seeds.filter(|_| !random_seed).collect();
    let first = jobs.into_iter().next()?;
    Some(proto::ResolvedInput {
        seeds,
        has_random_seed: random_seed,
        variations,
        cost,
        ..job_input_message(first, view)
    })
}

fn job_input_message(job: JobInput, view: View) -> proto::ResolvedInput {
    let told = |text| view.prompt(text, job.hide_prompt);
    let variables = job.variables.into_iter();
    let formats = job.formats.into_iter();
    let further = formats.filter(|format| Some(format) != job.format.as_ref());
    proto::ResolvedInput {
        prompt: told(job.prompt),
        template_prompt: told(job.template_prompt.unwrap_or_default()),
        user_prompt: job.user_prompt,
        negative_prompt: told(job.negative_prompt),
        width: whole(job.width),
        height: whole(job.height),
        aspect_ratio: job.aspect_ratio,
        duration_seconds: job.duration_seconds.map_or(0, whole),
        further_formats: further.collect(),
        format: job.format.unwrap_or_default(),
        frame_rate: job.frame_rate.map_or(0, whole),
        cfg_scale: job.cfg_scale,
        lora_weights: job.lora_weights.into_iter().collect(),
        product_url: job.product_url,
        mask_url: job.mask_url,
        variables: variables
            .map(|(name, value)| (name, json::to_value(value)))
            .collect(),
        media_urls: job.media_urls,
        extra: Some(json::to_struct(job.extra)),
        ..Default::default()
    }
}

/// A size or number within the bounds of a request, all of which fit.
fn whole(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
