//! A new feature, see docs/domain.md#features.

use crate::{
    app::App,
    domain::{Checks, Error, FeatureDraft},
    entity::feature,
    store::{self, Transaction},
};

impl App {
    /// Adds a capability to the catalogue. `checks` holds what is wrong with it already. With
    /// `validate_only` nothing is stored, and it has no id.
    pub async fn create_feature(
        &self,
        draft: FeatureDraft,
        mut checks: Checks,
        validate_only: bool,
    ) -> Result<feature::Model, Error> {
        self.check_maker(&draft, &mut checks);
        self.check_preview(draft.preview_media_id, &mut checks)
            .await?;
        let category = draft.check(checks)?;
        let insert = async |tx: &Transaction| {
            store::feature::insert(tx, draft, category, self.clock.now()).await
        };
        let mut feature = self.store.write_unless(validate_only, insert).await?;
        if validate_only {
            feature.id = 0;
        }
        Ok(feature)
    }
}
