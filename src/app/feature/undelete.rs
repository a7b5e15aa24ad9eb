//! The way back for a deleted feature and what its deletion took along, see docs/domain.md#soft-delete.

use crate::{
    app::Acting,
    domain::{AuditAction, Deed, Error},
    entity::feature,
    store,
};

impl Acting<'_> {
    /// Brings a deleted feature back with the templates that its deletion took along. A live one is returned as it is.
    pub async fn undelete_feature(&self, id: i64) -> Result<feature::Model, Error> {
        self.write(async |tx| {
            let feature = store::feature::lock_whole(tx, id).await?;
            let Some(deleted_at) = feature.deleted_at else {
                return Ok((feature, Vec::new()));
            };
            let now = self.app.clock.now();
            let live = store::feature::set_deleted(tx, &feature, None, now).await?;
            store::template::undelete_of_feature(tx, id, deleted_at, now).await?;
            let undeleted = Deed::to(AuditAction::UndeleteFeature, id);
            let undeleted = undeleted.with("name", live.name.as_str());
            Ok((live, vec![undeleted]))
        })
        .await
    }
}
