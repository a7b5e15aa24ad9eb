use chrono::{DateTime, Utc};

use crate::{
    domain::{Error, Resource, check_etag, deletion_time},
    entity::feature,
    store::{self, Transaction},
};

use super::App;

impl App {
    /// Hides a feature and its live templates. A deleted one is returned as it is.
    ///
    /// No request slips in: the foreign key of one that is being stored waits for the row's lock, or holds the deletion up
    /// until its jobs are there to be counted.
    pub async fn delete_feature(&self, id: i64, etag: &str) -> Result<feature::Model, Error> {
        self.store
            .write(async |tx| {
                let feature = store::feature::lock_whole(tx, id).await?;
                if feature.deleted_at.is_some() {
                    return Ok(feature);
                }
                check_etag(Resource::Feature, id, feature.version, etag)?;
                delete_whole(tx, &feature, self.clock.now()).await
            })
            .await
    }
}

/// Hides a live feature, locked with [`store::feature::lock_whole`], and its live templates.
pub(super) async fn delete_whole(
    tx: &Transaction,
    feature: &feature::Model,
    now: DateTime<Utc>,
) -> Result<feature::Model, Error> {
    let id = feature.id;
    let (pending, processing) = store::feature::unfinished_jobs(tx, id).await?;
    if pending + processing > 0 {
        return Err(Error::FeatureInUse {
            id,
            pending,
            processing,
        });
    }
    let latest = store::template::last_deletion(tx, id).await?;
    let deleted_at = deletion_time(now, latest);
    store::template::delete_of_feature(tx, id, deleted_at, now).await?;
    store::feature::set_deleted(tx, feature, Some(deleted_at), now).await
}
