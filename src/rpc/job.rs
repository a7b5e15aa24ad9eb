mod event;

use std::pin::Pin;

use futures::{Stream, stream};
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::{
    app::{App, JobNews, JobUpdate, JobWatch},
    domain::{Caller, Checks, Error, JobStatus, Page},
    entity::job,
    store::{self, PageRequest},
};

use super::{
    call, caller, json,
    media::{self, media_type, media_type_from},
    page::{any_or, bounded_page, page_request},
    proto::{self, job_service_server::JobService},
    required_id,
    time::timestamp,
};

/// Longest name of a worker, in characters.
const MAX_WORKER_ID_CHARS: usize = 64;

pub(super) struct Jobs {
    pub(super) app: App,
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn get_job(
        &self,
        request: Request<proto::GetJobRequest>,
    ) -> Result<Response<proto::GetJobResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let job = store::job::find(self.app.store.reader(), caller, id).await?;
        Ok(Response::new(proto::GetJobResponse {
            job: Some(message_now(&self.app, job, caller).await?),
        }))
    }

    async fn list_jobs(
        &self,
        request: Request<proto::ListJobsRequest>,
    ) -> Result<Response<proto::ListJobsResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token.clone(), &mut checks);
        let filter = filter_from(request, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(caller, &filter, page)).await?;
        Ok(Response::new(proto::ListJobsResponse {
            jobs: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_job_events(
        &self,
        request: Request<proto::ListJobEventsRequest>,
    ) -> Result<Response<proto::ListJobEventsResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        checks.id("job_id", request.job_id);
        let page = page_request(request.page_size, request.page_token, &mut checks);
        checks.finish(())?;
        let events = |page| self.events(caller, request.job_id, page);
        let page = bounded_page(page, events).await?;
        Ok(Response::new(proto::ListJobEventsResponse {
            events: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn cancel_job(
        &self,
        request: Request<proto::CancelJobRequest>,
    ) -> Result<Response<proto::CancelJobResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let job = self.app.cancel_job(caller, id).await?;
        Ok(Response::new(proto::CancelJobResponse {
            job: Some(message(job, caller)),
        }))
    }

    async fn retry_job(
        &self,
        request: Request<proto::RetryJobRequest>,
    ) -> Result<Response<proto::RetryJobResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let job = self.app.retry_job(caller, id).await?;
        call::note_id(job.id);
        Ok(Response::new(proto::RetryJobResponse {
            job: Some(message(job, caller)),
        }))
    }

    async fn delete_job(
        &self,
        request: Request<proto::DeleteJobRequest>,
    ) -> Result<Response<proto::DeleteJobResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let job = self.app.delete_job(caller, id).await?;
        Ok(Response::new(proto::DeleteJobResponse {
            job: Some(message(job, caller)),
        }))
    }

    async fn undelete_job(
        &self,
        request: Request<proto::UndeleteJobRequest>,
    ) -> Result<Response<proto::UndeleteJobResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let job = self.app.undelete_job(caller, id).await?;
        Ok(Response::new(proto::UndeleteJobResponse {
            job: Some(message(job, caller)),
        }))
    }

    type WatchJobStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchJobResponse, Status>> + Send>>;

    async fn watch_job(
        &self,
        request: Request<proto::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let caller = caller(&request);
        let proto::WatchJobRequest {
            job_id,
            after_revision,
        } = request.into_inner();
        let mut checks = Checks::default();
        checks.id("job_id", job_id);
        checks.require(after_revision >= 0, "after_revision", || {
            format!("must not be negative, got {after_revision}")
        });
        checks.finish(())?;
        let watch = self.app.watch_job(caller, job_id, after_revision).await?;
        Ok(Response::new(Box::pin(updates(
            self.app.clone(),
            caller,
            watch,
        ))))
    }
}

impl Jobs {
    async fn page(
        &self,
        caller: Caller,
        filter: &store::job::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Job>, Error> {
        let page = store::job::list(self.app.store.reader(), caller, filter, &page).await?;
        let reasons = self.app.waiting_reasons(&page.items).await?;
        let jobs = page.items.into_iter().map(|job| proto::Job {
            waiting_reason: reasons.of(&job),
            ..brief_message(job, caller)
        });
        Ok(Page {
            items: jobs.collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn events(
        &self,
        caller: Caller,
        job_id: i64,
        page: PageRequest,
    ) -> Result<Page<proto::JobEvent>, Error> {
        let db = self.app.store.reader();
        let page = store::job_event::list(db, caller, job_id, &page).await?;
        let events = page.items.into_iter().map(event::message);
        Ok(Page {
            items: events.collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }
}

fn filter_from(request: proto::ListJobsRequest, checks: &mut Checks) -> store::job::Filter {
    for (field, id) in [
        ("request_id", request.request_id),
        ("user_id", request.user_id),
        ("project_id", request.project_id),
        ("feature_id", request.feature_id),
    ] {
        checks.optional_id(field, id);
    }
    checks.text("worker_id", &request.worker_id, MAX_WORKER_ID_CHARS);
    store::job::Filter {
        request_id: any_or(request.request_id),
        user_id: any_or(request.user_id),
        project_id: any_or(request.project_id),
        feature_id: any_or(request.feature_id),
        category: media_type_from("category", request.category, checks),
        status: status_from(request.status, checks),
        worker_id: Some(request.worker_id).filter(|id| !id.is_empty()),
        show_deleted: request.show_deleted,
    }
}

/// Reads on only when the client takes the next message, so a slow one costs no memory.
fn updates(
    app: App,
    caller: Caller,
    watch: JobWatch,
) -> impl Stream<Item = Result<proto::WatchJobResponse, Status>> + Send {
    stream::try_unfold((app, watch), move |(app, mut watch)| async move {
        let message = next_message(&app, caller, &mut watch).await?;
        Ok(message.map(|message| (message, (app, watch))))
    })
}

async fn next_message(
    app: &App,
    caller: Caller,
    watch: &mut JobWatch,
) -> Result<Option<proto::WatchJobResponse>, Error> {
    let Some(update) = watch.next().await? else {
        return Ok(None);
    };
    let (event, job, media) = match update {
        JobUpdate::News(JobNews::Transition { job, media }) => {
            (proto::WatchJobEvent::Transition, job, media)
        }
        JobUpdate::News(JobNews::Progress(job)) => {
            (proto::WatchJobEvent::Progress, job, Vec::new())
        }
        JobUpdate::Heartbeat(job) => (proto::WatchJobEvent::Heartbeat, job, Vec::new()),
    };
    Ok(Some(proto::WatchJobResponse {
        event: event.into(),
        revision: job.revision,
        job: Some(message_now(app, job, caller).await?),
        media: media::messages(app, media).await?,
    }))
}

/// The status in a filter; unspecified means any.
fn status_from(status: i32, checks: &mut Checks) -> Option<JobStatus> {
    match proto::JobStatus::try_from(status) {
        Ok(proto::JobStatus::Unspecified) => None,
        Ok(proto::JobStatus::Pending) => Some(JobStatus::Pending),
        Ok(proto::JobStatus::Processing) => Some(JobStatus::Processing),
        Ok(proto::JobStatus::Completed) => Some(JobStatus::Completed),
        Ok(proto::JobStatus::Failed) => Some(JobStatus::Failed),
        Ok(proto::JobStatus::Cancelled) => Some(JobStatus::Cancelled),
        Err(_) => {
            checks.add(
                "status",
                format!("must be a value of JobStatus, got {status}"),
            );
            None
        }
    }
}

pub(super) fn status_message(status: JobStatus) -> proto::JobStatus {
    match status {
        JobStatus::Pending => proto::JobStatus::Pending,
        JobStatus::Processing => proto::JobStatus::Processing,
        JobStatus::Completed => proto::JobStatus::Completed,
        JobStatus::Failed => proto::JobStatus::Failed,
        JobStatus::Cancelled => proto::JobStatus::Cancelled,
    }
}

/// The job without its input, which is large and the same in all jobs of a request but for the seed.
pub(super) fn brief_message(mut job: job::Model, caller: Caller) -> proto::Job {
    job.input_json = Value::Null;
    proto::Job {
        input: None,
        ..message(job, caller)
    }
}

pub(super) fn brief_messages(jobs: Vec<job::Model>, caller: Caller) -> Vec<proto::Job> {
    let messages = jobs.into_iter().map(|job| brief_message(job, caller));
    messages.collect()
}

/// The job with why it waits, should no worker be able to run it.
async fn message_now(app: &App, job: job::Model, caller: Caller) -> Result<proto::Job, Error> {
    let reasons = app.waiting_reasons(std::slice::from_ref(&job)).await?;
    Ok(proto::Job {
        waiting_reason: reasons.of(&job),
        ..message(job, caller)
    })
}

/// The same without its input.
pub(super) async fn brief_message_now(
    app: &App,
    mut job: job::Model,
    caller: Caller,
) -> Result<proto::Job, Error> {
    job.input_json = Value::Null;
    let job = message_now(app, job, caller).await?;
    Ok(proto::Job { input: None, ..job })
}

fn message(job: job::Model, caller: Caller) -> proto::Job {
    let error = error_message(&job, caller);
    let waits = job.status == JobStatus::Pending && job.run_after > job.updated_at;
    proto::Job {
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
        input: caller
            .is_trusted()
            .then(|| json::stored_to_struct(job.input_json)),
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
    }
}

fn error_message(job: &job::Model, caller: Caller) -> Option<proto::JobError> {
    let code = job.error_code.clone()?;
    let detail = job.error_detail.clone().filter(|_| caller.is_trusted());
    Some(proto::JobError {
        code,
        message: job.error_message.clone().unwrap_or_default(),
        detail: detail.unwrap_or_default(),
    })
}
