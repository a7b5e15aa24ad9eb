use crate::{
    domain::{Checks, Error, FeatureDraft, Resource, check_etag, stored},
    entity::feature,
    store,
};

use super::App;

impl App {
    /// Changes a live feature. `checks` holds what is wrong with the change already; the outcome is checked like a new
    /// feature. What `change` leaves as it is makes no new version.
    pub async fn update_feature(
        &self,
        id: i64,
        etag: &str,
        mut checks: Checks,
        change: impl FnOnce(&mut FeatureDraft),
    ) -> Result<feature::Model, Error> {
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        self.store
            .write(async |tx| {
                let feature = store::feature::lock(tx, id).await?;
                let before = draft_of(&feature);
                let mut draft = before.clone();
                change(&mut draft);
                draft.check(checks)?;
                check_etag(Resource::Feature, id, feature.version, etag)?;
                if draft == before {
                    return Ok(feature);
                }
                store::feature::update(tx, &feature, draft, self.clock.now()).await
            })
            .await
    }
}

/// What a client may say of the feature. Properties that cannot be read, which Atelier does not write, are all unknown ones.
pub(super) fn draft_of(feature: &feature::Model) -> FeatureDraft {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    FeatureDraft {
        name: feature.name.clone(),
        description: text(&feature.description),
        category: Some(feature.category),
        system_prompt: text(&feature.system_prompt),
        properties: stored::show(feature.properties.clone()),
        preview_url: text(&feature.preview_url),
        icon_url: text(&feature.icon_url),
        is_active: feature.is_active,
        order_index: feature.order_index,
    }
}
