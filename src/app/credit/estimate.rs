//! What a request would cost, for those who ask before they send it.

use crate::{
    app::App,
    billing::Billing,
    domain::{Caller, Checks, Error, Exceeded, RequestDraft},
};

/// What a request would cost now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Credits for all variations.
    pub cost: i64,
    /// Credits for one of them.
    pub cost_per_job: i64,
    /// What its user would have left, below zero if it is not enough; `None` where nobody keeps credits, or can tell.
    pub balance_after: Option<i64>,
    /// What its user's plan leaves no room in for it now.
    pub exceeded: Option<Exceeded>,
}

impl App {
    /// What a request costs that would be accepted as far as its fields go, whether or not its user has as much.
    pub async fn estimate_cost(
        &self,
        caller: Caller,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<Estimate, Error> {
        let (_, resolved) = self.resolve_for(caller, draft, checks).await?;
        Ok(Estimate {
            cost: resolved.cost(),
            cost_per_job: resolved.cost_per_job,
            balance_after: self.balance_after(draft.user_id, resolved.cost()).await?,
            exceeded: self.exceeded_by(draft, &resolved).await?,
        })
    }

    /// What a user would have left; `None` too while nobody can tell and jobs are taken all the same.
    pub(in crate::app) async fn balance_after(
        &self,
        user_id: i64,
        cost: i64,
    ) -> Result<Option<i64>, Error> {
        let balance = match &self.settings.billing {
            Billing::Off => return Ok(None),
            Billing::Ledger => self.balance(user_id).await?,
            Billing::Remote(remote) => match self.balance(user_id).await {
                Err(Error::BillingUnavailable(_)) if remote.accept_unreserved() > 0 => {
                    return Ok(None);
                }
                balance => balance?,
            },
        };
        Ok(Some(balance.available.saturating_sub(cost)))
    }
}
