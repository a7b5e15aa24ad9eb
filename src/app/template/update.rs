//! A change of a live template. Requests that are stored keep the prompt that it made, see
//! docs/domain.md#resolving-a-request.

use crate::{
    app::{App, feature::properties_of},
    domain::{Checks, Error, Resource, TemplateDraft, check_etag},
    entity::template,
    store,
};

use super::draft_of;

impl App {
    /// Changes a live template. `checks` holds what is wrong with the change already; the outcome is checked like a new
    /// template. What `change` leaves as it is makes no new version. With `validate_only` nothing is stored.
    pub async fn update_template(
        &self,
        id: i64,
        etag: &str,
        mut checks: Checks,
        validate_only: bool,
        change: impl FnOnce(&mut TemplateDraft),
    ) -> Result<template::Model, Error> {
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        self.store
            .write_unless(validate_only, async |tx| {
                let template = store::template::lock(tx, id).await?;
                let feature = store::feature::find(tx, template.feature_id).await?;
                let before = draft_of(&template);
                let mut draft = before.clone();
                change(&mut draft);
                let (properties, category) = (properties_of(&feature)?, feature.category);
                draft.check(&properties, category, &mut checks);
                self.check_look(&properties, category, &draft.data, &mut checks);
                let preview = draft.preview_media_id;
                let preview = preview.filter(|_| preview != before.preview_media_id);
                self.check_preview(preview, &mut checks).await?;
                checks.finish(())?;
                check_etag(Resource::Template, id, template.version, etag)?;
                if draft == before {
                    return Ok(template);
                }
                store::template::update(tx, &template, draft, self.clock.now()).await
            })
            .await
    }
}
