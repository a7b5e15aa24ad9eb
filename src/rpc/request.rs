//! The calls about requests, with the watch of one.

mod include;
mod message;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Checks, Resource, WatchCursor},
    entity, store,
};

use super::{
    batch::{batch, batch_ids},
    call, caller, cancellable_id, check_id, job,
    page::{bounded_page, page_request},
    proto::{self, request_service_server::RequestService},
    required_id,
};

use include::{include_from, messages_with};
use message::{
    check_finite, draft, filter_from, listed, message, status_counts, update_message, validated,
};

pub(super) use include::messages;
pub(super) use message::{input_from, input_message};

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
        call::note(Resource::Feature, request.feature_id);
        call::note(Resource::Template, request.template_id());
        let checks = check_finite(&request);
        let validate_only = request.validate_only;
        let draft = draft(request);
        if validate_only {
            let valid = self.app.validate_request(caller, &draft, &checks).await?;
            return Ok(Response::new(validated(valid)));
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
        let proto::GetRequestRequest { id, include } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let include = include_from(&include, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::request::find(db, caller, id).await?;
        let found = store::request::count(db, found).await?;
        let mut found = messages_with(&self.app, caller, vec![found], include).await?;
        Ok(Response::new(proto::GetRequestResponse {
            request: found.pop(),
        }))
    }

    async fn batch_get_requests(
        &self,
        request: Request<proto::BatchGetRequestsRequest>,
    ) -> Result<Response<proto::BatchGetRequestsResponse>, Status> {
        let caller = caller(&request);
        let mut checks = Checks::default();
        let ids = batch_ids(request.into_inner().ids, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::request::find_all(db, caller, ids.iter().copied()).await?;
        let messages = messages(&self.app, found, caller).await?;
        let batch = batch(ids, messages, |it| it.id);
        Ok(Response::new(proto::BatchGetRequestsResponse {
            requests: batch.items,
            missing_ids: batch.missing_ids,
            left_out_ids: batch.left_out_ids,
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
        let include = include_from(&request.include, &mut checks);
        checks.finish(())?;
        let slice = |slice| include::page(&self.app, caller, &filter, include, slice);
        let page = bounded_page(page, slice).await?;
        Ok(Response::new(proto::ListRequestsResponse {
            requests: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn count_requests(
        &self,
        request: Request<proto::CountRequestsRequest>,
    ) -> Result<Response<proto::CountRequestsResponse>, Status> {
        let caller = caller(&request);
        let mut checks = Checks::default();
        let filter = filter_from(&listed(request.into_inner()), &mut checks);
        checks.finish(())?;
        let counts = store::request::count_all(self.app.store.reader(), caller, &filter).await?;
        Ok(Response::new(status_counts(counts)))
    }

    async fn cancel_request(
        &self,
        request: Request<proto::CancelRequestRequest>,
    ) -> Result<Response<proto::CancelRequestResponse>, Status> {
        let caller = caller(&request);
        let proto::CancelRequestRequest {
            id,
            stop_processing,
        } = request.into_inner();
        let id = cancellable_id(id, stop_processing, caller)?;
        let cancellation = self.app.cancel_request(caller, id, stop_processing).await?;
        note_jobs(id, &cancellation.cancelled);
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
        check_id("id", id, &mut checks);
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

    type WatchRequestStream = BoxStream<'static, Result<proto::WatchRequestResponse, Status>>;

    async fn watch_request(
        &self,
        request: Request<proto::WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        let caller = caller(&request);
        let proto::WatchRequestRequest { request_id, cursor } = request.into_inner();
        let mut checks = Checks::default();
        check_id("request_id", request_id, &mut checks);
        let cursor = WatchCursor::decode(request_id, &cursor, &mut checks)?;
        checks.finish(())?;
        let updates = self.app.watch_request(caller, request_id, cursor).await?;
        let app = self.app.clone();
        let messages = updates.and_then(move |update| update_message(app.clone(), caller, update));
        Ok(Response::new(messages.map_err(Status::from).boxed()))
    }
}

fn note_jobs(request_id: i64, jobs: &[entity::job::Model]) {
    call::note(Resource::Request, request_id);
    for job in jobs {
        call::note(Resource::Job, job.id);
    }
}
