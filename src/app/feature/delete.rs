//! Deletion of a feature, which unfinished jobs forbid and templates follow, see docs/domain.md#soft-delete.

use crate::{
    app::Acting,
    domain::{AuditAction, Deed, Error, Resource, check_etag},
    entity::feature,
    store,
};

use super::delete_whole;

impl Acting<'_> {
    /// Hides a feature and its live templates. A deleted one is returned as it is.
    ///
    /// No request slips in: the foreign key of one that is being stored waits for the row's lock, or holds the deletion up
    /// until its jobs are there to be counted.
    pub async fn delete_feature(&self, id: i64, etag: &str) -> Result<feature::Model, Error> {
        self.write(async |tx| {
            let feature = store::feature::lock_whole(tx, id).await?;
            if feature.deleted_at.is_some() {
                return Ok((feature, Vec::new()));
            }
            check_etag(Resource::Feature, id, feature.version, etag)?;
            let feature = delete_whole(tx, &feature, self.app.clock.now()).await?;
            let deleted = Deed::to(AuditAction::DeleteFeature, id);
            let deleted = deleted.with("name", feature.name.as_str());
            Ok((feature, vec![deleted]))
        })
        .await
    }
}
