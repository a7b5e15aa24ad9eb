//! The calls of those who run the service.

mod audit;
mod erasure;
mod export;
mod queue;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Checks, Error, Page, Resource},
    store::{self, PageRequest},
};

use super::{
    authentication::{caller, end_of_stream, principal},
    call,
    page::{bounded_page, page_request},
    proto::{self, admin_service_server::AdminService},
    retention,
    stopping::until,
};

use export::Export;

pub(super) use queue::{pause_message, worker_message};

/// Most rows of each step that a report counts.
const MOST_COUNTED: u64 = 100_000;

/// How long a call carries out an erasure before upkeep does.
const ERASING: Duration = Duration::from_secs(10);

pub(super) struct Admin {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_audit_entries(
        &self,
        request: Request<proto::ListAuditEntriesRequest>,
    ) -> Result<Response<proto::ListAuditEntriesResponse>, Status> {
        let caller = caller(&request)?;
        let mut request = request.into_inner();
        let mut checks = Checks::default();
        let token = std::mem::take(&mut request.page_token);
        let asked = (request.page_size, token);
        let page = page_request(self.app.sealer(caller), asked, &mut checks);
        let filter = audit::filter_from(request, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(&filter, page)).await?;
        Ok(Response::new(proto::ListAuditEntriesResponse {
            entries: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_retention_report(
        &self,
        request: Request<proto::GetRetentionReportRequest>,
    ) -> Result<Response<proto::GetRetentionReportResponse>, Status> {
        caller(&request)?;
        let steps = self.app.retention_report(MOST_COUNTED).await?;
        Ok(Response::new(proto::GetRetentionReportResponse {
            steps: steps.into_iter().map(retention::message).collect(),
        }))
    }

    async fn erase_user(
        &self,
        request: Request<proto::EraseUserRequest>,
    ) -> Result<Response<proto::EraseUserResponse>, Status> {
        let acting = self.app.acting(principal(&request)?.actor());
        let begun = acting.erase_user(request.get_ref().user_id).await?;
        call::note(Resource::Erasure, begun.id);
        let erasure = self.app.carry_out(begun, ERASING).await?;
        Ok(Response::new(proto::EraseUserResponse {
            erasure: Some(erasure::message(&erasure)?),
        }))
    }

    type ExportUserStream = BoxStream<'static, Result<proto::ExportUserResponse, Status>>;

    async fn export_user(
        &self,
        request: Request<proto::ExportUserRequest>,
    ) -> Result<Response<Self::ExportUserStream>, Status> {
        let principal = principal(&request)?;
        let asked = request.get_ref();
        let mut checks = Checks::default();
        checks.id("user_id", asked.user_id);
        checks.finish(())?;
        let export = Export {
            app: self.app.clone(),
            user_id: asked.user_id,
            with_files: !asked.omit_files,
        };
        let end = end_of_stream(self.app.clone(), principal);
        let parts = until(export.parts(), end);
        let parts = parts.map_ok(export::response).map_err(Status::from);
        Ok(Response::new(parts.boxed()))
    }

    async fn get_erasure(
        &self,
        request: Request<proto::GetErasureRequest>,
    ) -> Result<Response<proto::GetErasureResponse>, Status> {
        let mut checks = Checks::default();
        checks.id("id", request.get_ref().id);
        checks.finish(())?;
        let erasure = self.app.find_erasure(request.get_ref().id).await?;
        Ok(Response::new(proto::GetErasureResponse {
            erasure: Some(erasure::message(&erasure)?),
        }))
    }

    async fn pause_queue(
        &self,
        request: Request<proto::PauseQueueRequest>,
    ) -> Result<Response<proto::PauseQueueResponse>, Status> {
        let acting = self.app.acting(principal(&request)?.actor());
        let proto::PauseQueueRequest { part, reason } = request.into_inner();
        let mut checks = Checks::default();
        let part = queue::part_from(part, &mut checks);
        let pause = acting.pause_queue(&part, &reason, checks).await?;
        Ok(Response::new(proto::PauseQueueResponse {
            pause: Some(pause_message(pause)),
        }))
    }

    async fn resume_queue(
        &self,
        request: Request<proto::ResumeQueueRequest>,
    ) -> Result<Response<proto::ResumeQueueResponse>, Status> {
        let acting = self.app.acting(principal(&request)?.actor());
        let mut checks = Checks::default();
        let part = queue::part_from(request.into_inner().part, &mut checks);
        let ended = acting.resume_queue(&part, checks).await?;
        Ok(Response::new(proto::ResumeQueueResponse {
            pause: ended.map(pause_message),
        }))
    }

    async fn get_queue(
        &self,
        _: Request<proto::GetQueueRequest>,
    ) -> Result<Response<proto::GetQueueResponse>, Status> {
        let (queue, crew) = (self.app.queue().await?, self.app.crew().await?);
        Ok(Response::new(queue::message(queue, &crew)?))
    }

    async fn drain_worker(
        &self,
        request: Request<proto::DrainWorkerRequest>,
    ) -> Result<Response<proto::DrainWorkerResponse>, Status> {
        let acting = self.app.acting(principal(&request)?.actor());
        let proto::DrainWorkerRequest { worker_id, reason } = request.into_inner();
        let drained = acting.drain_worker(&worker_id, &reason).await?;
        Ok(Response::new(proto::DrainWorkerResponse {
            worker: Some(worker_message(&drained, &self.app.crew().await?)?),
        }))
    }

    async fn undrain_worker(
        &self,
        request: Request<proto::UndrainWorkerRequest>,
    ) -> Result<Response<proto::UndrainWorkerResponse>, Status> {
        let acting = self.app.acting(principal(&request)?.actor());
        let undrained = acting.undrain_worker(&request.get_ref().worker_id).await?;
        Ok(Response::new(proto::UndrainWorkerResponse {
            worker: Some(worker_message(&undrained, &self.app.crew().await?)?),
        }))
    }
}

impl Admin {
    async fn page(
        &self,
        filter: &store::audit::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::AuditEntry>, Error> {
        let page = store::audit::list(self.app.store.reader(), filter, &page).await?;
        Ok(Page {
            items: page.items.into_iter().map(audit::message).collect(),
            next_page_token: page.next_page_token,
        })
    }
}
