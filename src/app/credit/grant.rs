//! What admins give users, and take back.

use crate::{
    app::{Acting, App},
    billing::Billing,
    domain::{AuditAction, Balance, Checks, Deed, Error, Flaw, GrantDraft},
    entity::credit_grant,
    store::{self, Transaction, queue},
};

use super::hold::told;

impl App {
    /// Fails where nobody keeps credits, or somebody else does.
    pub(crate) fn require_ledger(&self) -> Result<(), Error> {
        match self.settings.billing {
            Billing::Off => Err(Error::BillingDisabled),
            Billing::Ledger => Ok(()),
            Billing::Remote(_) => Err(Error::BillingElsewhere),
        }
    }

    /// How many credits a user has; none if nobody has heard of him.
    pub async fn balance(&self, user_id: i64) -> Result<Balance, Error> {
        if let Billing::Remote(remote) = &self.settings.billing {
            let balance = remote.balance(user_id).await;
            return balance.map_err(|refusal| told(refusal, user_id));
        }
        self.require_ledger()?;
        let db = self.store.reader();
        let now = queue::time(db, self.clock.queue()).await?;
        store::credit::balance(db, user_id, now).await
    }

    async fn require_user(&self, id: i64) -> Result<(), Error> {
        let users = &self.settings.users;
        if store::credit::knows_user(self.store.reader(), users, id).await? {
            return Ok(());
        }
        match self.settings.provision_users {
            true => store::user::provision(self.store.writer(), users, id).await,
            false => Err(Error::UserUnknown(id)),
        }
    }
}

impl Acting<'_> {
    /// Gives a user credits, or takes them back. The same call again changes nothing. `checks` holds what is wrong already.
    ///
    /// # Errors
    /// [`Error::CreditsInsufficient`] if more is to be taken back than is available.
    pub async fn grant_credits(
        &self,
        draft: &GrantDraft,
        mut checks: Checks,
    ) -> Result<credit_grant::Model, Error> {
        let now = self.app.clock.now();
        draft.check(now, &mut checks);
        checks.finish(())?;
        self.app.require_ledger()?;
        self.app.require_user(draft.user_id).await?;
        let give = async |tx: &Transaction| match store::credit::grant(tx, draft, now).await? {
            Some((grant, true)) => {
                let deed = given(&grant);
                Ok((Some(grant), vec![deed]))
            }
            replayed => Ok((replayed.map(|(grant, _)| grant), Vec::new())),
        };
        self.write(give).await?.ok_or_else(|| {
            let mut checks = Checks::default();
            let words = "came before with another amount, expire_time or reason";
            checks.add("idempotency_key", Flaw::Conflict.says(words));
            Error::Validation(checks.into_violations())
        })
    }
}

fn given(grant: &credit_grant::Model) -> Deed {
    let action = match grant.amount {
        1.. => AuditAction::GrantCredits,
        _ => AuditAction::DeductCredits,
    };
    Deed::to(action, grant.user_id)
        .with("grant_id", grant.id)
        .with("amount", grant.amount)
        .with("reason", grant.reason.as_str())
        .at("expire_time", grant.expires_at)
        .with("idempotency_key", grant.idempotency_key.as_str())
}
