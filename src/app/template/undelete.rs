//! The way back for a deleted template, as long as its feature is live, see docs/domain.md#soft-delete.

use crate::{app::App, domain::Error, entity::template, store};

impl App {
    /// Brings a deleted template of a live feature back. A live one is returned as it is.
    pub async fn undelete_template(&self, id: i64) -> Result<template::Model, Error> {
        self.store
            .write(async |tx| {
                let feature_id = store::template::find(tx, id).await?.feature_id;
                // First the feature and then its templates, as its deletion does.
                let feature = store::feature::hold(tx, feature_id).await?;
                let template = store::template::lock_whole(tx, id).await?;
                if template.deleted_at.is_none() {
                    return Ok(template);
                }
                if feature.deleted_at.is_some() {
                    return Err(Error::FeatureDeleted(feature_id));
                }
                let now = self.clock.now();
                store::template::set_deleted(tx, &template, None, now).await
            })
            .await
    }
}
