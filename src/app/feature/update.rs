//! A change of a live feature. Requests that are stored keep what they were resolved with, see
//! docs/domain.md#resolving-a-request.

use crate::{
    app::App,
    domain::{Checks, Error, FeatureDraft, Resource, check_etag},
    entity::feature,
    store,
};

use super::draft_of;

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
                self.check_maker(&draft, &mut checks);
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
