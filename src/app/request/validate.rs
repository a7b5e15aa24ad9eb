//! What a request would come to and cost, for forms that ask before they send it, see docs/domain.md#flow.

use crate::{
    app::App,
    domain::{Caller, Checks, Error, MediaType, RequestDraft, Resolved, Violation},
    store::{self, feature::Offered},
};

use super::create::check_owner;

/// A request that would be accepted now.
#[derive(Clone, Debug)]
pub struct ValidRequest {
    /// What its jobs would get.
    pub resolved: Resolved,
    /// Credits for all variations; 0 when the feature sets no price.
    pub cost: i64,
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
        let offered = store::feature::find_offered(db, users, asked, false).await?;
        let resolved = self.resolve_draft(asked, &offered, checks)?;
        self.check_provider(&resolved)?;
        if !offered.user_known && !self.settings.provision_users {
            return Err(Error::UserUnknown(draft.user_id));
        }
        Ok((offered, resolved))
    }

    /// Checks a request as [`App::create_request`] does and stores nothing. The idempotency key is not looked up.
    pub async fn validate_request(
        &self,
        caller: Caller,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<ValidRequest, Error> {
        check_owner(caller, draft)?;
        self.require_feature(draft, checks)?;
        let (offered, resolved) = self.resolve_now(draft, checks).await?;
        self.check_content(draft).await?;
        let category = offered.feature.category;
        self.check_answers(&resolved, category).await?;
        let mut warnings = Vec::new();
        if let Some(job) = resolved.jobs.first() {
            warnings = self.warnings_of(draft, category, job);
            warnings.extend(self.without_worker(category, job).await);
        }
        Ok(ValidRequest {
            cost: resolved.cost(),
            resolved,
            warnings,
        })
    }
}
