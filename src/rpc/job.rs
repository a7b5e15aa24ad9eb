//! The calls about jobs, with the watch of one.

mod diagnosis;
mod message;

use futures::{TryStreamExt, stream::BoxStream};
use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Page, View},
    store::{self, PageRequest},
};

use super::{
    authentication::principal,
    batch::{batch, batch_ids},
    call, caller, cancellable_id, check_id,
    page::{bounded_page, page_request},
    proto::{self, job_service_server::JobService},
    required_id,
    view::{Viewed, view_from},
    watches::{Brevity, Watches, in_place},
};

use message::{
    event_message, fallbacks_left, filter_from, listed, message_now, news_message, status_counts,
    told_messages,
};

pub(super) use message::{
    brief_message, brief_messages, message, status_message, told_message, with_outlook,
};

pub(super) struct Jobs {
    pub(super) app: App,
    pub(super) watches: Watches,
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn get_job(
        &self,
        request: Request<proto::GetJobRequest>,
    ) -> Result<Response<proto::GetJobResponse>, Status> {
        let caller = caller(&request)?;
        let proto::GetJobRequest { id, view } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let view = view_from(view, caller, &mut checks);
        checks.finish(())?;
        let job = store::job::find(self.app.store.reader(), caller, id).await?;
        Ok(Response::new(proto::GetJobResponse {
            job: Some(message_now(&self.app, job, view).await?),
        }))
    }

    async fn batch_get_jobs(
        &self,
        request: Request<proto::BatchGetJobsRequest>,
    ) -> Result<Response<proto::BatchGetJobsResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let request = request.into_inner();
        let view = view_from(request.view, caller, &mut checks);
        let ids = batch_ids(request.ids, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::job::find_all(db, caller, ids.iter().copied()).await?;
        let messages = told_messages(&self.app, found, view).await?;
        let batch = batch(ids, messages, |it| it.id);
        Ok(Response::new(proto::BatchGetJobsResponse {
            jobs: batch.items,
            missing_ids: batch.missing_ids,
            left_out_ids: batch.left_out_ids,
        }))
    }

    async fn list_jobs(
        &self,
        request: Request<proto::ListJobsRequest>,
    ) -> Result<Response<proto::ListJobsResponse>, Status> {
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
        let view = view_from(request.view, caller, &mut checks);
        let filter = filter_from(request, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page((caller, view), &filter, page)).await?;
        Ok(Response::new(proto::ListJobsResponse {
            jobs: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn count_jobs(
        &self,
        request: Request<proto::CountJobsRequest>,
    ) -> Result<Response<proto::CountJobsResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut asked = listed(request.into_inner());
        asked.user_id = principal.acts_for(asked.user_id)?;
        let mut checks = Checks::default();
        let filter = filter_from(asked, &mut checks);
        checks.finish(())?;
        let counts = store::job::count(self.app.store.reader(), caller, &filter).await?;
        Ok(Response::new(status_counts(counts)))
    }

    async fn list_job_events(
        &self,
        request: Request<proto::ListJobEventsRequest>,
    ) -> Result<Response<proto::ListJobEventsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut checks = Checks::default();
        check_id("job_id", request.job_id, &mut checks);
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token),
            &mut checks,
        );
        let view = view_from(request.view, caller, &mut checks);
        checks.finish(())?;
        let events = |page| self.events((caller, view), request.job_id, page);
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
        let caller = caller(&request)?;
        let proto::CancelJobRequest {
            id,
            stop_processing,
        } = request.into_inner();
        let id = cancellable_id(id, stop_processing, caller)?;
        let job = self.app.cancel_job(caller, id, stop_processing).await?;
        Ok(Response::new(proto::CancelJobResponse {
            job: Some(message(job, caller.view())),
        }))
    }

    async fn retry_job(
        &self,
        request: Request<proto::RetryJobRequest>,
    ) -> Result<Response<proto::RetryJobResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let job = self.app.retry_job(caller, id).await?;
        call::note_id(job.id);
        Ok(Response::new(proto::RetryJobResponse {
            job: Some(message(job, caller.view())),
        }))
    }

    async fn delete_job(
        &self,
        request: Request<proto::DeleteJobRequest>,
    ) -> Result<Response<proto::DeleteJobResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let job = self.app.delete_job(caller, id).await?;
        Ok(Response::new(proto::DeleteJobResponse {
            job: Some(message(job, caller.view())),
        }))
    }

    async fn undelete_job(
        &self,
        request: Request<proto::UndeleteJobRequest>,
    ) -> Result<Response<proto::UndeleteJobResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let job = self.app.undelete_job(caller, id).await?;
        Ok(Response::new(proto::UndeleteJobResponse {
            job: Some(message(job, caller.view())),
        }))
    }

    async fn diagnose_job(
        &self,
        request: Request<proto::DiagnoseJobRequest>,
    ) -> Result<Response<proto::DiagnoseJobResponse>, Status> {
        let id = required_id(request.get_ref().id)?;
        let diagnosis = self.app.diagnose_job(id).await?;
        Ok(Response::new(diagnosis::message(diagnosis)?))
    }

    type WatchJobStream = BoxStream<'static, Result<proto::WatchJobResponse, Status>>;

    async fn watch_job(
        &self,
        request: Request<proto::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let caller = caller(&request)?;
        let place = self.watches.open(&request);
        let proto::WatchJobRequest {
            id,
            after_revision,
            view,
            omit_unchanged,
        } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        checks.not_negative("after_revision", after_revision);
        let view = view_from(view, caller, &mut checks);
        checks.finish(())?;
        let place = place?;
        let news = self.app.watch_job(caller, id, after_revision).await?;
        let app = self.app.clone();
        let mut brevity = Brevity::new(omit_unchanged);
        let messages = news.and_then(move |news| {
            // A fallback changes the input.
            let whole = brevity.tells_whole(fallbacks_left(&news));
            // Apart: a watch mostly waits, and would keep the room for it.
            Box::pin(news_message(app.clone(), view, whole, news))
        });
        Ok(Response::new(in_place(place, messages)))
    }
}

impl Jobs {
    async fn page(
        &self,
        (caller, view): (Caller, View),
        filter: &store::job::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Job>, Error> {
        let page = store::job::list(self.app.store.reader(), caller, filter, &page).await?;
        Ok(Page {
            items: told_messages(&self.app, page.items, view).await?,
            next_page_token: page.next_page_token,
        })
    }

    async fn events(
        &self,
        (caller, view): (Caller, View),
        job_id: i64,
        page: PageRequest,
    ) -> Result<Page<proto::JobEvent>, Error> {
        let db = self.app.store.reader();
        let page = store::job_event::list(db, caller, job_id, &page).await?;
        let events = page.items.into_iter();
        let events = events.map(|event| event_message(event).map(|it| it.seen(view)));
        Ok(Page {
            items: events.collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }
}
