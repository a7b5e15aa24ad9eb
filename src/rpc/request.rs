mod resolved;
mod watch;

use std::pin::Pin;

use futures::Stream;
use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{
        Caller, Checks, Error, GenerationInput, JobCounts, OutputSettings, Page, RequestDraft,
        Resource, WatchCursor, etag, stored,
    },
    entity::{self, RequestStatus, request},
    store::{self, PageRequest, request::Counted},
};

use super::{
    call, caller, job, json,
    page::{any_or, bounded_page, page_request},
    proto::{self, request_service_server::RequestService},
    required_id,
    time::{optional_time, timestamp},
};

pub(super) struct Requests {
    pub(super) app: App,
}

#[tonic::async_trait]
impl RequestService for Requests {
    async fn create_request(
        &self,
        request: Request<proto::CreateRequestRequest>,
    ) -> Result<Response<proto::CreateRequestResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let checks = check_finite(&request);
        let validate_only = request.validate_only;
        let draft = draft(request);
        if validate_only {
            let valid = self.app.validate_request(caller, &draft, &checks).await?;
            return Ok(Response::new(resolved::response(valid)));
        }
        let (request, jobs) = self.app.create_request(caller, draft, &checks).await?;
        note_jobs(request.request.id, &jobs);
        Ok(Response::new(proto::CreateRequestResponse {
            request: Some(message(request, caller)),
            jobs: job::brief_messages(jobs, caller),
            resolved_input: None,
        }))
    }

    async fn get_request(
        &self,
        request: Request<proto::GetRequestRequest>,
    ) -> Result<Response<proto::GetRequestResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let db = self.app.store.reader();
        let found = store::request::find(db, caller, id).await?;
        let found = store::request::count(db, found).await?;
        Ok(Response::new(proto::GetRequestResponse {
            request: Some(message(found, caller)),
        }))
    }

    async fn list_requests(
        &self,
        request: Request<proto::ListRequestsRequest>,
    ) -> Result<Response<proto::ListRequestsResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token.clone(), &mut checks);
        let filter = filter_from(&request, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(caller, &filter, page)).await?;
        Ok(Response::new(proto::ListRequestsResponse {
            requests: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn cancel_request(
        &self,
        request: Request<proto::CancelRequestRequest>,
    ) -> Result<Response<proto::CancelRequestResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let cancellation = self.app.cancel_request(caller, id).await?;
        let request = message(cancellation.request, caller);
        let uncancelled = |job: &entity::job::Model| proto::UncancelledJob {
            id: job.id,
            status: job::status_message(job.status).into(),
        };
        Ok(Response::new(proto::CancelRequestResponse {
            request: Some(request),
            cancelled_jobs: job::brief_messages(cancellation.cancelled, caller),
            uncancelled_jobs: cancellation.others.iter().map(uncancelled).collect(),
        }))
    }

    async fn retry_request(
        &self,
        request: Request<proto::RetryRequestRequest>,
    ) -> Result<Response<proto::RetryRequestResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let (request, jobs) = self.app.retry_request(caller, id).await?;
        note_jobs(request.request.id, &jobs);
        Ok(Response::new(proto::RetryRequestResponse {
            request: Some(message(request, caller)),
            jobs: job::brief_messages(jobs, caller),
        }))
    }

    async fn delete_request(
        &self,
        request: Request<proto::DeleteRequestRequest>,
    ) -> Result<Response<proto::DeleteRequestResponse>, Status> {
        let caller = caller(&request);
        let proto::DeleteRequestRequest { id, etag } = request.into_inner();
        let mut checks = Checks::default();
        checks.id("id", id);
        checks.etag("etag", &etag);
        checks.finish(())?;
        let request = self.app.delete_request(caller, id, &etag).await?;
        Ok(Response::new(proto::DeleteRequestResponse {
            request: Some(message(request, caller)),
        }))
    }

    async fn undelete_request(
        &self,
        request: Request<proto::UndeleteRequestRequest>,
    ) -> Result<Response<proto::UndeleteRequestResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let request = self.app.undelete_request(caller, id).await?;
        Ok(Response::new(proto::UndeleteRequestResponse {
            request: Some(message(request, caller)),
        }))
    }

    type WatchRequestStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchRequestResponse, Status>> + Send>>;

    async fn watch_request(
        &self,
        request: Request<proto::WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        let caller = caller(&request);
        let proto::WatchRequestRequest { request_id, cursor } = request.into_inner();
        let mut checks = Checks::default();
        checks.id("request_id", request_id);
        let cursor = WatchCursor::decode(request_id, &cursor, &mut checks)?;
        checks.finish(())?;
        let watch = self.app.watch_request(caller, request_id, cursor).await?;
        let updates = watch::updates(self.app.clone(), caller, watch);
        Ok(Response::new(Box::pin(updates)))
    }
}

impl Requests {
    async fn page(
        &self,
        caller: Caller,
        filter: &store::request::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Request>, Error> {
        let page = store::request::list(self.app.store.reader(), caller, filter, &page).await?;
        Ok(Page {
            items: messages(&self.app, page.items, caller).await?,
            next_page_token: page.next_page_token,
        })
    }
}

/// The requests with how their jobs stand.
pub(super) async fn messages(
    app: &App,
    requests: Vec<request::Model>,
    caller: Caller,
) -> Result<Vec<proto::Request>, Error> {
    let counts = store::request::job_counts(app.store.reader(), &requests).await?;
    let message = |request: request::Model| {
        let counts = counts.get(&request.id).copied().unwrap_or_default();
        message(Counted { request, counts }, caller)
    };
    Ok(requests.into_iter().map(message).collect())
}

fn filter_from(
    request: &proto::ListRequestsRequest,
    checks: &mut Checks,
) -> store::request::Filter {
    checks.optional_id("user_id", request.user_id);
    checks.optional_id("project_id", request.project_id);
    checks.optional_id("feature_id", request.feature_id);
    checks.optional_id("template_id", request.template_id);
    let created_from = optional_time("create_time_start", request.create_time_start, checks);
    let created_before = optional_time("create_time_end", request.create_time_end, checks);
    if let (Some(start), Some(end)) = (created_from, created_before) {
        checks.require(start <= end, "create_time_end", || {
            format!("must not be before create_time_start, got {end} and {start}")
        });
    }
    store::request::Filter {
        user_id: any_or(request.user_id),
        project_id: any_or(request.project_id),
        feature_id: any_or(request.feature_id),
        template_id: any_or(request.template_id),
        created_from,
        created_before,
        status: status_from(request.status, checks),
        show_deleted: request.show_deleted,
    }
}

fn check_finite(request: &proto::CreateRequestRequest) -> Checks {
    let input = request.input.as_ref();
    let mut checks = Checks::default();
    let variables = input.into_iter().flat_map(|input| input.variables.values());
    json::check_finite("input.variables", variables, &mut checks);
    let extra = json::values_of(input.and_then(|input| input.extra.as_ref()));
    json::check_finite("input.extra", extra, &mut checks);
    let metadata = json::values_of(request.metadata.as_ref());
    json::check_finite("metadata", metadata, &mut checks);
    checks
}

/// The log tells of the first job alone; the others are found by their request.
fn note_jobs(request_id: i64, jobs: &[entity::job::Model]) {
    call::note(Resource::Request, request_id);
    if let Some(job) = jobs.first() {
        call::note(Resource::Job, job.id);
    }
}

fn draft(request: proto::CreateRequestRequest) -> RequestDraft {
    RequestDraft {
        user_id: request.user_id,
        project_id: request.project_id,
        feature_id: request.feature_id,
        template_id: request.template_id,
        user_prompt: request.user_prompt,
        user_media_urls: request.user_media_urls,
        input: request.input.map(input_from).unwrap_or_default(),
        metadata: request.metadata.map(json::from_struct).unwrap_or_default(),
        priority: request.priority,
        idempotency_key: request.idempotency_key,
        trace: call::trace(),
    }
}

pub(super) fn input_from(input: proto::GenerationInput) -> GenerationInput {
    GenerationInput {
        negative_prompt: input.negative_prompt,
        seed: input.seed,
        cfg_scale: input.cfg_scale,
        lora_weights: input.lora_weights.into_iter().collect(),
        product_url: input.product_url,
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

pub(super) fn input_message(input: GenerationInput) -> proto::GenerationInput {
    proto::GenerationInput {
        negative_prompt: input.negative_prompt,
        seed: input.seed,
        cfg_scale: input.cfg_scale,
        lora_weights: input.lora_weights.into_iter().collect(),
        product_url: input.product_url,
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

/// The status in a filter; unspecified means any.
fn status_from(status: i32, checks: &mut Checks) -> Option<RequestStatus> {
    match proto::RequestStatus::try_from(status) {
        Ok(proto::RequestStatus::Unspecified) => None,
        Ok(proto::RequestStatus::Pending) => Some(RequestStatus::Pending),
        Ok(proto::RequestStatus::Processing) => Some(RequestStatus::Processing),
        Ok(proto::RequestStatus::Completed) => Some(RequestStatus::Completed),
        Ok(proto::RequestStatus::Failed) => Some(RequestStatus::Failed),
        Ok(proto::RequestStatus::Cancelled) => Some(RequestStatus::Cancelled),
        Err(_) => {
            checks.add(
                "status",
                format!("must be a value of RequestStatus, got {status}"),
            );
            None
        }
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

pub(super) fn message(counted: Counted, caller: Caller) -> proto::Request {
    let Counted { request, counts } = counted;
    let input = stored::show(request.input_metadata);
    proto::Request {
        id: request.id,
        user_id: request.user_id,
        project_id: request.project_id,
        feature_id: request.feature_id,
        template_id: request.template_id,
        template_prompt: request.template_prompt.unwrap_or_default(),
        system_prompt: request
            .system_prompt
            .filter(|_| caller.is_trusted())
            .unwrap_or_default(),
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
    }
}

fn counts_message(counts: JobCounts) -> proto::JobCounts {
    let count = |jobs: u32| i32::try_from(jobs).unwrap_or(i32::MAX);
    proto::JobCounts {
        pending: count(counts.pending),
        processing: count(counts.processing),
        completed: count(counts.completed),
        failed: count(counts.failed),
        cancelled: count(counts.cancelled),
    }
}
