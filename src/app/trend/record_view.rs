//! A view of a template, see docs/domain.md#popularity-and-trends.

use crate::{
    app::App,
    domain::{Caller, Checks, Error},
    entity::template_view,
    store,
};

use super::day;

impl App {
    /// Counts that a user has seen a live template, once a day (UTC). Returns whether it counted; the template shows it after
    /// the next fold.
    pub async fn record_template_view(
        &self,
        caller: Caller,
        template_id: i64,
        user_id: i64,
    ) -> Result<bool, Error> {
        let mut checks = Checks::default();
        checks.id("template_id", template_id);
        checks.id("user_id", user_id);
        checks.finish(())?;
        if caller.scope().is_some_and(|own| own != user_id) {
            return Err(Error::UserUnknown(user_id));
        }
        store::template::find_live(self.store.reader(), template_id).await?;
        let now = self.clock.now();
        let view = template_view::Model {
            template_id,
            user_id,
            day: day(now)?,
        };
        self.store
            .write(async |tx| store::trend::count_view(tx, view, now).await)
            .await
    }
}
