use crate::{
    domain::{Checks, Error, FeatureDraft},
    entity::feature,
    store,
};

use super::App;

impl App {
    /// Adds a capability to the catalogue.
    pub async fn create_feature(&self, draft: FeatureDraft) -> Result<feature::Model, Error> {
        let category = draft.check(Checks::default())?;
        store::feature::insert(self.store.writer(), draft, category, self.clock.now()).await
    }
}
