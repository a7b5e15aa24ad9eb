//! A new template, within the limits of its feature, see docs/domain.md#templates.

use crate::{
    app::{Acting, feature::properties_of},
    domain::{AuditAction, Checks, Deed, Error, FeatureProperties, MediaType, TemplateDraft},
    entity::template,
    store,
};

impl Acting<'_> {
    /// Adds a ready-made style to a live feature, within its limits. `checks` holds what is wrong with it already.
    /// With `validate_only` nothing is stored, and it has no id.
    pub async fn create_template(
        &self,
        draft: TemplateDraft,
        mut checks: Checks,
        validate_only: bool,
    ) -> Result<template::Model, Error> {
        checks.id("feature_id", draft.feature_id);
        // Without a feature the rest is checked against one without limits, so that every mistake is told.
        let (properties, category) = if draft.feature_id > 0 {
            let db = self.app.store.reader();
            let feature = store::feature::find_live(db, draft.feature_id).await?;
            (properties_of(&feature)?, feature.category)
        } else {
            (FeatureProperties::default(), MediaType::Image)
        };
        draft.check(&properties, category, &mut checks);
        self.app
            .check_look(&properties, category, &draft.data, &mut checks);
        self.app
            .check_preview(draft.preview_media_id, &mut checks)
            .await?;
        checks.finish(())?;
        let mut template = self
            .write_unless(validate_only, async |tx| {
                // Deleted meanwhile, it would not take the new template along.
                let feature = store::feature::hold(tx, draft.feature_id).await?;
                store::feature::live(feature)?;
                let template = store::template::insert(tx, draft, self.app.clock.now()).await?;
                let created = Deed::to(AuditAction::CreateTemplate, template.id);
                let created = created.with("feature_id", template.feature_id);
                let created = created.with("name", template.name.as_str());
                Ok((template, vec![created]))
            })
            .await?;
        if validate_only {
            template.id = 0;
        }
        Ok(template)
    }
}
