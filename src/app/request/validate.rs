//! What a request would come to and cost, for forms that ask before they send it, see docs/domain.md#flow.

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Exceeded, MediaType, RequestDraft, Resolved, Violation},
    store::{self, feature::Offered, plan::Wish, queue},
};

use super::{create::check_owner, uploads::upload_keys};

/// A request that would be accepted now.
#[derive(Clone, Debug)]
pub struct ValidRequest {
    /// What its jobs would get.
    pub resolved: Resolved,
    /// Credits for all variations; 0 when the feature sets no price.
    pub cost: i64,
    /// What its user would have left; `None` where nobody keeps credits.
    pub balance_after: Option<i64>,
    /// What of it would have no effect, and that no worker is known who would make it.
    pub warnings: Vec<Violation>,
}

impl App {
    /// Fails while none of the request's providers answers, as far as this process and the workers know. The request itself
    /// would wait.
    async fn check_answers(&self, resolved: &Resolved, category: MediaType) -> Result<(), Error> {
        let Some(job) = resolved.jobs.first() else {
            return Ok(());
        };
        let mut announced = self.announced().await?;
        announced.retain(|it| it.category == category && it.is_away());
        let is_away = |name: &str| {
            self.providers.is_away(name) || announced.iter().any(|it| it.provider == name)
        };
        match job.providers().all(is_away) {
            true => Err(Error::ProviderAway {
                provider: job.provider.clone(),
            }),
            false => Ok(()),
        }
    }

    /// What a request that names a feature comes to now; nothing keeps it from changing.
    pub(super) async fn resolve_now(
        &self,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<(Offered, Resolved), Error> {
        let users = &self.settings.users;
        let db = self.store.reader();
        let asked = &store::feature::find_asked_for(db, draft).await?;
        let asked_for = (asked, upload_keys(asked));
        let offered = store::feature::find_offered(db, users, asked_for, false).await?;
        let resolved = self.resolve_draft(asked, &offered, checks)?;
        self.check_provider(&resolved)?;
        if !offered.user_known && !self.settings.provision_users {
            return Err(Error::UserUnknown(draft.user_id));
        }
        Ok((offered, resolved))
    }

    /// The same for a caller who may ask for it.
    pub(in crate::app) async fn resolve_for(
        &self,
        caller: Caller,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<(Offered, Resolved), Error> {
        check_owner(caller, draft)?;
        self.require_feature(draft, checks)?;
        self.resolve_now(draft, checks).await
    }

    /// Fails if the user does not have as many credits; what would be left of them.
    async fn check_credits(&self, user_id: i64, needed: i64) -> Result<Option<i64>, Error> {
        let left = self.balance_after(user_id, needed).await?;
        match left {
            Some(missing) if missing < 0 && needed > 0 => Err(Error::CreditsInsufficient {
                user_id,
                needed,
                available: missing.saturating_add(needed),
            }),
            left => Ok(left),
        }
    }

    /// What the user's plan leaves no room in for the request now.
    pub(in crate::app) async fn exceeded_by(
        &self,
        draft: &RequestDraft,
        resolved: &Resolved,
    ) -> Result<Option<Exceeded>, Error> {
        let Some(plan) = self.plan_of(draft)?.filter(|plan| plan.has_quotas()) else {
            return Ok(None);
        };
        let db = self.store.reader();
        let now = queue::time(db, self.clock.queue()).await?;
        let wish = Wish {
            plan,
            user_id: draft.user_id,
            jobs: resolved.jobs.len(),
        };
        let exceeded = store::plan::exceeded(db, &[wish], now).await?;
        Ok(exceeded.into_iter().next().flatten())
    }

    /// Fails if the user's plan leaves no room for the request now.
    pub(super) async fn check_quotas(
        &self,
        draft: &RequestDraft,
        resolved: &Resolved,
    ) -> Result<(), Error> {
        match self.exceeded_by(draft, resolved).await? {
            Some(exceeded) => Err(Error::QuotaExceeded(exceeded)),
            None => Ok(()),
        }
    }

    /// Checks a request as [`App::create_request`] does and stores nothing. The idempotency key is not looked up.
    pub async fn validate_request(
        &self,
        caller: Caller,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<ValidRequest, Error> {
        let (offered, resolved) = self.resolve_for(caller, draft, checks).await?;
        self.check_content(draft).await?;
        let category = offered.feature.category;
        self.check_answers(&resolved, category).await?;
        self.check_quotas(draft, &resolved).await?;
        let balance_after = self.check_credits(draft.user_id, resolved.cost()).await?;
        let mut warnings = Vec::new();
        if let Some(job) = resolved.jobs.first() {
            warnings = self.warnings_of(draft, category, job);
            warnings.extend(self.without_worker(category, job).await);
        }
        Ok(ValidRequest {
            cost: resolved.cost(),
            balance_after,
            resolved,
            warnings,
        })
    }
}
