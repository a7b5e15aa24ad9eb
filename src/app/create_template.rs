use crate::{
    domain::{Checks, Error, FeatureProperties, TemplateDraft, stored},
    entity::{feature, template},
    store,
};

use super::App;

impl App {
    /// Adds a ready-made style to a live feature, within its limits.
    pub async fn create_template(&self, draft: TemplateDraft) -> Result<template::Model, Error> {
        let mut checks = Checks::default();
        checks.id("feature_id", draft.feature_id);
        checks.finish(())?;
        let feature = store::feature::find_live(self.store.reader(), draft.feature_id).await?;
        draft.check(&properties_of(&feature)?, feature.category)?;
        store::template::insert(self.store.writer(), draft, self.clock.now()).await
    }
}

/// The typed properties of a stored feature.
pub(super) fn properties_of(feature: &feature::Model) -> Result<FeatureProperties, Error> {
    stored::read(feature.properties.clone())
        .map_err(|error| Error::internal(format!("properties of feature {}: {error}", feature.id)))
}
