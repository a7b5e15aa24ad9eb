//! A new feature, see docs/domain.md#features.

use crate::{
    app::App,
    domain::{Checks, Error, FeatureDraft},
    entity::feature,
    store,
};

impl App {
    /// Adds a capability to the catalogue. `checks` holds what is wrong with it already.
    pub async fn create_feature(
        &self,
        draft: FeatureDraft,
        mut checks: Checks,
    ) -> Result<feature::Model, Error> {
        self.check_maker(&draft, &mut checks);
        let category = draft.check(checks)?;
        store::feature::insert(self.store.writer(), draft, category, self.clock.now()).await
    }
}
