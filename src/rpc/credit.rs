//! The calls about credits.

mod message;

use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Page},
    store::{self, PageRequest},
};

use super::{
    authentication::principal,
    page::{bounded_page, page_request},
    proto::{self, credit_service_server::CreditService},
    request::{MAX_PLAN_CHARS, check_message, draft, take_plan},
    view::view_from,
};

pub(super) use message::message;
use message::{balance_message, filter_from, grant_draft, grant_message, limits_message};

pub(super) struct Credits {
    pub(super) app: App,
}

#[tonic::async_trait]
impl CreditService for Credits {
    async fn get_balance(
        &self,
        request: Request<proto::GetBalanceRequest>,
    ) -> Result<Response<proto::GetBalanceResponse>, Status> {
        let user_id = principal(&request)?.acts_for(request.get_ref().user_id)?;
        let mut checks = Checks::default();
        checks.id("user_id", user_id);
        checks.finish(())?;
        let balance = self.app.balance(user_id).await?;
        Ok(Response::new(balance_message(balance)))
    }

    async fn list_transactions(
        &self,
        request: Request<proto::ListTransactionsRequest>,
    ) -> Result<Response<proto::ListTransactionsResponse>, Status> {
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
        checks.finish(())?;
        self.app.require_ledger()?;
        let page = bounded_page(page, |page| self.page(caller, &filter, page)).await?;
        Ok(Response::new(proto::ListTransactionsResponse {
            transactions: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn grant_credits(
        &self,
        request: Request<proto::GrantCreditsRequest>,
    ) -> Result<Response<proto::GrantCreditsResponse>, Status> {
        let principal = principal(&request)?;
        let mut checks = Checks::default();
        let draft = grant_draft(request.into_inner(), &mut checks);
        let acting = self.app.acting(principal.actor());
        let grant = acting.grant_credits(&draft, checks).await?;
        Ok(Response::new(proto::GrantCreditsResponse {
            grant: Some(grant_message(grant)),
        }))
    }

    async fn estimate_cost(
        &self,
        request: Request<proto::EstimateCostRequest>,
    ) -> Result<Response<proto::EstimateCostResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner().request.unwrap_or_default();
        asked.user_id = principal.acts_for(asked.user_id)?;
        let mut checks = check_message(&asked, Checks::within("request."));
        principal.check_project("project_id", asked.project_id, &mut checks);
        let caller = principal.caller();
        // It shows nothing that it could bear on, and is checked as that of the call would be.
        view_from(asked.view, caller, &mut checks);
        take_plan(&principal, &mut asked, &mut checks);
        let draft = draft(asked);
        let estimate = self.app.estimate_cost(caller, &draft, &checks).await?;
        let exceeded = estimate.exceeded.map(|it| it.quota.as_str());
        Ok(Response::new(proto::EstimateCostResponse {
            cost: estimate.cost,
            cost_per_job: estimate.cost_per_job,
            balance_after: estimate.balance_after,
            exceeded_limit: exceeded.unwrap_or_default().to_owned(),
        }))
    }

    async fn get_limits(
        &self,
        request: Request<proto::GetLimitsRequest>,
    ) -> Result<Response<proto::GetLimitsResponse>, Status> {
        let principal = principal(&request)?;
        let asked = request.into_inner();
        let user_id = principal.acts_for(asked.user_id)?;
        let mut checks = Checks::default();
        checks.id("user_id", user_id);
        checks.line("plan", &asked.plan, MAX_PLAN_CHARS);
        let plan = principal.plan_of("plan", &asked.plan, &mut checks);
        checks.finish(())?;
        let limits = self.app.limits(user_id, plan.as_deref()).await?;
        Ok(Response::new(limits_message(limits)))
    }
}

impl Credits {
    async fn page(
        &self,
        caller: Caller,
        filter: &store::credit::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::CreditTransaction>, Error> {
        let db = self.app.store.reader();
        let page = store::credit::list(db, caller, filter, &page).await?;
        Ok(Page {
            items: page.items.into_iter().map(message).collect(),
            next_page_token: page.next_page_token,
        })
    }
}
