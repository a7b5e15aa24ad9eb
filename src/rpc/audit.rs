//! The calls of AdminService: the audit log, and how the retention stands.

mod message;

use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Checks, Error, Page},
    store::{self, PageRequest},
};

use super::{
    authentication::caller,
    page::{bounded_page, page_request},
    proto::{self, admin_service_server::AdminService},
    retention,
};

use message::{filter_from, message};

/// Most rows of each step that a report counts.
const MOST_COUNTED: u64 = 100_000;

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
        let filter = filter_from(request, &mut checks);
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
}

impl Admin {
    async fn page(
        &self,
        filter: &store::audit::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::AuditEntry>, Error> {
        let page = store::audit::list(self.app.store.reader(), filter, &page).await?;
        Ok(Page {
            items: page.items.into_iter().map(message).collect(),
            next_page_token: page.next_page_token,
        })
    }
}
