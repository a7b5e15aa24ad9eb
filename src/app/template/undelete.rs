//! The way back for a deleted template, as long as its feature is live, see docs/domain.md#soft-delete.

use crate::{
    app::Acting,
    domain::{AuditAction, Deed, Error},
    entity::template,
    store,
};

impl Acting<'_> {
    /// Brings a deleted template of a live feature back. A live one is returned as it is.
    pub async fn undelete_template(&self, id: i64) -> Result<template::Model, Error> {
        self.write(async |tx| {
            let feature_id = store::template::find(tx, id).await?.feature_id;
            // First the feature and then its templates, as its deletion does.
            let feature = store::feature::hold(tx, feature_id).await?;
            let template = store::template::lock_whole(tx, id).await?;
            if template.deleted_at.is_none() {
                return Ok((template, Vec::new()));
            }
            if feature.deleted_at.is_some() {
                return Err(Error::FeatureDeleted(feature_id));
            }
            let now = self.app.clock.now();
            let template = store::template::set_deleted(tx, &template, None, now).await?;
            let undeleted = Deed::to(AuditAction::UndeleteTemplate, id);
            let undeleted = undeleted.with("name", template.name.as_str());
            Ok((template, vec![undeleted]))
        })
        .await
    }
}
