//! A change of a live template. Requests that are stored keep the prompt that it made, see
//! docs/domain.md#resolving-a-request.

use crate::{
    app::{Acting, feature::properties_of},
    domain::{AuditAction, Checks, Deed, Error, Resource, TemplateDraft, check_etag},
    entity::template,
    store,
};

use super::{changed_fields, draft_of};

impl Acting<'_> {
    /// Changes a live template. `checks` holds what is wrong with the change already; the outcome is checked like a new
    /// template. What `change` leaves as it is makes no new version. With `validate_only` nothing is stored.
    pub async fn update_template(
        &self,
        id: i64,
        etag: &str,
        checks: Checks,
        validate_only: bool,
        change: impl FnOnce(&mut TemplateDraft),
    ) -> Result<template::Model, Error> {
        let update = Deed::to(AuditAction::UpdateTemplate, id);
        self.change_template(update, etag, checks, validate_only, change)
            .await
    }

    /// The same, with a word of its own in the audit log.
    pub(super) async fn change_template(
        &self,
        deed: Deed,
        etag: &str,
        mut checks: Checks,
        validate_only: bool,
        change: impl FnOnce(&mut TemplateDraft),
    ) -> Result<template::Model, Error> {
        let id = deed.subject_id.unwrap_or_default();
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        self.write_unless(validate_only, async |tx| {
            let template = store::template::lock(tx, id).await?;
            let feature = store::feature::find(tx, template.feature_id).await?;
            let before = draft_of(&template);
            let mut draft = before.clone();
            change(&mut draft);
            let (properties, category) = (properties_of(&feature)?, feature.category);
            draft.check(&properties, category, &mut checks);
            self.app
                .check_look(&properties, category, &draft.data, &mut checks);
            let preview = draft.preview_media_id;
            let preview = preview.filter(|_| preview != before.preview_media_id);
            self.app.check_preview(preview, &mut checks).await?;
            checks.finish(())?;
            check_etag(Resource::Template, id, template.version, etag)?;
            if draft == before {
                return Ok((template, Vec::new()));
            }
            let deed = deed.with("fields", changed_fields(&before, &draft));
            let now = self.app.clock.now();
            let template = store::template::update(tx, &template, draft, now).await?;
            Ok((template, vec![deed]))
        })
        .await
    }
}
