//! A new feature, see docs/domain.md#features.

use crate::{
    app::Acting,
    domain::{AuditAction, Checks, Deed, Error, FeatureDraft},
    entity::feature,
    store::{self, Transaction},
};

impl Acting<'_> {
    /// Adds a capability to the catalogue. `checks` holds what is wrong with it already. With
    /// `validate_only` nothing is stored, and it has no id.
    pub async fn create_feature(
        &self,
        draft: FeatureDraft,
        mut checks: Checks,
        validate_only: bool,
    ) -> Result<feature::Model, Error> {
        self.app.check_maker(&draft, &mut checks);
        self.app
            .check_preview(draft.preview_media_id, &mut checks)
            .await?;
        let category = draft.check(checks)?;
        let insert = async |tx: &Transaction| {
            let now = self.app.clock.now();
            let feature = store::feature::insert(tx, draft, category, now).await?;
            let created = Deed::to(AuditAction::CreateFeature, feature.id);
            let created = created.with("name", feature.name.as_str());
            Ok((feature, vec![created]))
        };
        let mut feature = self.write_unless(validate_only, insert).await?;
        if validate_only {
            feature.id = 0;
        }
        Ok(feature)
    }
}
