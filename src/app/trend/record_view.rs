//! A view of a template, see docs/domain.md#popularity-and-trends.

use crate::{
    app::App,
    domain::{Caller, Checks, Error},
    store,
};

use super::day;

impl App {
    /// Counts that a user has seen a live template, once a day (UTC). Returns whether it counted; the template shows it after
    /// the next fold. `checks` holds what is wrong already.
    pub async fn record_template_view(
        &self,
        caller: Caller,
        template_id: i64,
        user_id: i64,
        mut checks: Checks,
    ) -> Result<bool, Error> {
        checks.id("id", template_id);
        checks.id("user_id", user_id);
        checks.finish(())?;
        if caller.scope().is_some_and(|own| own != user_id) {
            return Err(Error::UserUnknown(user_id));
        }
        store::template::find_live(self.store.reader(), template_id).await?;
        let counted = self.count_views(user_id, &[template_id]).await?;
        Ok(!counted.is_empty())
    }

    /// The same for several templates at once: those that counted, by id. What is not there or deleted is passed over.
    pub async fn record_template_views(
        &self,
        caller: Caller,
        template_ids: &[i64],
        user_id: i64,
    ) -> Result<Vec<i64>, Error> {
        if caller.scope().is_some_and(|own| own != user_id) {
            return Err(Error::UserUnknown(user_id));
        }
        self.count_views(user_id, template_ids).await
    }

    async fn count_views(&self, user_id: i64, template_ids: &[i64]) -> Result<Vec<i64>, Error> {
        let now = self.clock.now();
        let of = (user_id, day(now)?);
        self.store
            .write(async |tx| store::trend::count_views(tx, template_ids, of, now).await)
            .await
    }
}
