//! The calls about requests, with the watches of one, of several and of a user's.

mod include;
mod message;
mod update;

use std::collections::BTreeSet;

use futures::{TryStreamExt, stream::BoxStream};
use tonic::{Request, Response, Status};

use crate::{
    app::{App, NewsStream},
    domain::{Checks, CursorOf, Flaw, Problem, Resource, UserCursor, View, WatchCursor},
    entity, store,
};

use super::{
    authentication::principal,
    batch::{batch, batch_ids, entries_from},
    call, caller, cancellable_id, check_id, job,
    page::{bounded_page, bounded_slice, page_request},
    proto::{self, request_service_server::RequestService},
    required_id,
    view::view_from,
    watches::{Brevity, Watch, Watches, in_place},
};

use include::{include_from, messages_with};
use message::{filter_from, listed, news_message, status_counts, validated, warning_messages};

use update::change_from;

pub(super) use include::messages;
pub(super) use message::{
    MAX_PLAN_CHARS, check_message, draft, input_from, input_message, message, take_plan,
};

/// Most requests that one stream watches.
const MAX_WATCHED: usize = 100;

type MessageStream<M> = BoxStream<'static, Result<M, Status>>;

pub(super) struct Requests {
    pub(super) app: App,
    pub(super) watches: Watches,
}

#[tonic::async_trait]
impl RequestService for Requests {
    async fn create_request(
        &self,
        request: Request<proto::CreateRequestRequest>,
    ) -> Result<Response<proto::CreateRequestResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut request = request.into_inner();
        request.user_id = principal.acts_for(request.user_id)?;
        call::note(Resource::Feature, request.feature_id);
        call::note(Resource::Template, request.template_id());
        let mut checks = check_message(&request, Checks::default());
        principal.check_project("project_id", request.project_id, &mut checks);
        take_plan(&principal, &mut request, &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        let validate_only = request.validate_only;
        let mut draft = draft(request);
        draft.client = principal.client;
        if validate_only {
            let valid = self.app.validate_request(caller, &draft, &checks).await?;
            return Ok(Response::new(validated(valid, view)));
        }
        let accepted = self.app.create_request(caller, draft.clone(), &checks);
        let (request, jobs) = accepted.await?;
        note_jobs(request.request.id, &jobs);
        let warnings = self.app.warnings(&draft, &jobs).await;
        call::note(Resource::Feature, request.request.feature_id);
        call::note(Resource::Template, request.request.template_id.unwrap_or(0));
        Ok(Response::new(proto::CreateRequestResponse {
            request: Some(message(&self.app, request, view)),
            jobs: job::brief_messages(jobs, view),
            resolved_input: None,
            warnings: warning_messages(&warnings),
            balance_after: None,
        }))
    }

    async fn get_request(
        &self,
        request: Request<proto::GetRequestRequest>,
    ) -> Result<Response<proto::GetRequestResponse>, Status> {
        let caller = caller(&request)?;
        let proto::GetRequestRequest { id, include, view } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let include = include_from(&include, &mut checks);
        let view = view_from(view, caller, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::request::find(db, caller, id).await?;
        let found = store::request::count(db, found).await?;
        let mut found = messages_with(&self.app, view, vec![found], include).await?;
        Ok(Response::new(proto::GetRequestResponse {
            request: found.pop(),
        }))
    }

    async fn batch_get_requests(
        &self,
        request: Request<proto::BatchGetRequestsRequest>,
    ) -> Result<Response<proto::BatchGetRequestsResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let request = request.into_inner();
        let view = view_from(request.view, caller, &mut checks);
        let ids = batch_ids(request.ids, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::request::find_all(db, caller, ids.iter().copied()).await?;
        let messages = messages(&self.app, found, view).await?;
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
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut request = request.into_inner();
        request.user_id = principal.acts_for(request.user_id)?;
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token.clone()),
            &mut checks,
        );
        let filter = filter_from(&request, &mut checks);
        let include = include_from(&request.include, &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        checks.finish(())?;
        let slice = |slice| include::page(&self.app, (caller, view), &filter, include, slice);
        let page = match filter.scans() {
            true => bounded_slice(page, slice).await?,
            false => bounded_page(page, slice).await?,
        };
        Ok(Response::new(proto::ListRequestsResponse {
            requests: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn count_requests(
        &self,
        request: Request<proto::CountRequestsRequest>,
    ) -> Result<Response<proto::CountRequestsResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut asked = listed(request.into_inner());
        asked.user_id = principal.acts_for(asked.user_id)?;
        let mut checks = Checks::default();
        let filter = filter_from(&asked, &mut checks);
        checks.finish(())?;
        let counts = store::request::count_all(self.app.store.reader(), caller, &filter).await?;
        Ok(Response::new(status_counts(counts)))
    }

    async fn cancel_request(
        &self,
        request: Request<proto::CancelRequestRequest>,
    ) -> Result<Response<proto::CancelRequestResponse>, Status> {
        let caller = caller(&request)?;
        let proto::CancelRequestRequest {
            id,
            stop_processing,
        } = request.into_inner();
        let id = cancellable_id(id, stop_processing, caller)?;
        let cancellation = self.app.cancel_request(caller, id, stop_processing).await?;
        note_jobs(id, &cancellation.cancelled);
        let request = message(&self.app, cancellation.request, caller.view());
        let uncancelled = |job: &entity::job::Model| proto::UncancelledJob {
            id: job.id,
            status: job::status_message(job.status).into(),
        };
        Ok(Response::new(proto::CancelRequestResponse {
            request: Some(request),
            cancelled_jobs: job::brief_messages(cancellation.cancelled, caller.view()),
            uncancelled_jobs: cancellation.others.iter().map(uncancelled).collect(),
        }))
    }

    async fn retry_request(
        &self,
        request: Request<proto::RetryRequestRequest>,
    ) -> Result<Response<proto::RetryRequestResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let (request, jobs) = self.app.retry_request(caller, id).await?;
        note_jobs(request.request.id, &jobs);
        Ok(Response::new(proto::RetryRequestResponse {
            request: Some(message(&self.app, request, caller.view())),
            jobs: job::brief_messages(jobs, caller.view()),
        }))
    }

    async fn delete_request(
        &self,
        request: Request<proto::DeleteRequestRequest>,
    ) -> Result<Response<proto::DeleteRequestResponse>, Status> {
        let caller = caller(&request)?;
        let proto::DeleteRequestRequest { id, etag } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        checks.etag("etag", &etag);
        checks.finish(())?;
        let request = self.app.delete_request(caller, id, &etag).await?;
        Ok(Response::new(proto::DeleteRequestResponse {
            request: Some(message(&self.app, request, caller.view())),
        }))
    }

    async fn undelete_request(
        &self,
        request: Request<proto::UndeleteRequestRequest>,
    ) -> Result<Response<proto::UndeleteRequestResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let request = self.app.undelete_request(caller, id).await?;
        Ok(Response::new(proto::UndeleteRequestResponse {
            request: Some(message(&self.app, request, caller.view())),
        }))
    }

    async fn update_request(
        &self,
        request: Request<proto::UpdateRequestRequest>,
    ) -> Result<Response<proto::UpdateRequestResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let request = request.into_inner();
        let given = request.request.unwrap_or_default();
        let (id, etag) = (given.id, given.etag.clone());
        call::note_id(id);
        let (change, checks) = change_from(given, request.update_mask, &principal);
        let updated = self.app.update_request(caller, id, &etag, checks, change);
        Ok(Response::new(proto::UpdateRequestResponse {
            request: Some(message(&self.app, updated.await?, caller.view())),
        }))
    }

    async fn update_requests(
        &self,
        request: Request<proto::UpdateRequestsRequest>,
    ) -> Result<Response<proto::UpdateRequestsResponse>, Status> {
        let principal = principal(&request)?;
        let proto::UpdateRequestsRequest {
            user_id,
            project_id,
            new_project_id,
        } = request.into_inner();
        let user_id = principal.acts_for(user_id)?;
        let mut checks = Checks::default();
        checks.id("user_id", user_id);
        checks.id("project_id", project_id);
        principal.check_project("new_project_id", new_project_id, &mut checks);
        if let Some(id) = new_project_id {
            checks.id("new_project_id", id);
        }
        checks.require(new_project_id != Some(project_id), "new_project_id", || {
            Flaw::Conflict.says("must be another than project_id")
        });
        checks.finish(())?;
        let of = (user_id, project_id);
        let updated_count = self.app.move_requests(of, new_project_id).await?;
        Ok(Response::new(proto::UpdateRequestsResponse {
            updated_count,
        }))
    }

    async fn batch_delete_requests(
        &self,
        request: Request<proto::BatchDeleteRequestsRequest>,
    ) -> Result<Response<proto::BatchDeleteRequestsResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let entries = entries_from(request.into_inner().entries, &mut checks);
        checks.finish(())?;
        let requests = self.app.delete_requests(caller, &entries).await?;
        let requests = requests
            .into_iter()
            .map(|it| message(&self.app, it, caller.view()));
        Ok(Response::new(proto::BatchDeleteRequestsResponse {
            requests: requests.collect(),
        }))
    }

    async fn batch_undelete_requests(
        &self,
        request: Request<proto::BatchUndeleteRequestsRequest>,
    ) -> Result<Response<proto::BatchUndeleteRequestsResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let entries = entries_from(request.into_inner().entries, &mut checks);
        checks.finish(())?;
        let requests = self.app.undelete_requests(caller, &entries).await?;
        let requests = requests
            .into_iter()
            .map(|it| message(&self.app, it, caller.view()));
        Ok(Response::new(proto::BatchUndeleteRequestsResponse {
            requests: requests.collect(),
        }))
    }

    type WatchRequestStream = MessageStream<proto::WatchRequestResponse>;

    async fn watch_request(
        &self,
        request: Request<proto::WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        let caller = caller(&request)?;
        let sealer = self.app.sealer(caller);
        let place = self.watches.open(&request);
        let proto::WatchRequestRequest {
            id,
            cursor,
            view,
            omit_unchanged,
        } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let view = view_from(view, caller, &mut checks);
        let cursor = WatchCursor::decode(&CursorOf::Request(id), &cursor, &sealer, &mut checks)?;
        checks.finish(())?;
        let place = place?;
        let news = self.app.watch_request(caller, id, cursor).await?;
        Ok(self.messages(place, view, omit_unchanged, news))
    }

    type WatchRequestsStream = MessageStream<proto::WatchRequestsResponse>;

    async fn watch_requests(
        &self,
        request: Request<proto::WatchRequestsRequest>,
    ) -> Result<Response<Self::WatchRequestsStream>, Status> {
        let caller = caller(&request)?;
        let sealer = self.app.sealer(caller);
        let place = self.watches.open(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let ids = check_ids(&request.ids, &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        let cursor_of = CursorOf::Requests(ids.clone());
        let cursor = WatchCursor::decode(&cursor_of, &request.cursor, &sealer, &mut checks)?;
        checks.finish(())?;
        let place = place?;
        let news = self.app.watch_requests(caller, ids, cursor).await?;
        Ok(self.messages(place, view, request.omit_unchanged, news))
    }

    type WatchUserStream = MessageStream<proto::WatchUserResponse>;

    async fn watch_user(
        &self,
        request: Request<proto::WatchUserRequest>,
    ) -> Result<Response<Self::WatchUserStream>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let sealer = self.app.sealer(caller);
        let place = self.watches.open(&request);
        let proto::WatchUserRequest {
            user_id,
            cursor,
            view,
            omit_unchanged,
        } = request.into_inner();
        let user_id = principal.acts_for(user_id)?;
        let mut checks = Checks::default();
        checks.id("user_id", user_id);
        let view = view_from(view, caller, &mut checks);
        let cursor = UserCursor::decode(user_id, &cursor, &sealer, &mut checks)?;
        checks.finish(())?;
        let place = place?;
        let news = self.app.watch_user(caller, user_id, cursor).await?;
        Ok(self.messages(place, view, omit_unchanged, news))
    }
}

impl Requests {
    fn messages<M: From<proto::WatchRequestResponse> + Send + 'static>(
        &self,
        place: Watch,
        view: View,
        omit_unchanged: bool,
        news: NewsStream,
    ) -> Response<MessageStream<M>> {
        let app = self.app.clone();
        let mut brevity = Brevity::new(omit_unchanged);
        let messages = news.and_then(move |news| {
            let request = news.request.as_ref().map(|counted| counted.request.id);
            let whole = request.is_none_or(|id| brevity.tells_whole(id));
            // Apart, as for a job.
            Box::pin(news_message(app.clone(), view, whole, news))
        });
        Response::new(in_place(place, messages.map_ok(M::from)))
    }
}

pub(super) fn note_jobs(request_id: i64, jobs: &[entity::job::Model]) {
    call::note(Resource::Request, request_id);
    for job in jobs {
        call::note(Resource::Job, job.id);
    }
}

/// The requests to watch, each named once.
fn check_ids(ids: &[i64], checks: &mut Checks) -> BTreeSet<i64> {
    checks.require(!ids.is_empty(), "ids", Problem::required);
    let mut named = BTreeSet::new();
    if !checks.count("ids", ids.len(), MAX_WATCHED) {
        return named;
    }
    for (index, id) in ids.iter().copied().enumerate() {
        let field = format!("ids[{index}]");
        check_id(&field, id, checks);
        checks.require(named.insert(id), &field, || {
            Flaw::Duplicate
                .says(format!("{id} is named twice"))
                .found(id)
        });
    }
    named
}
