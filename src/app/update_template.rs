use crate::{
    domain::{Checks, Error, Resource, TemplateDraft, check_etag, stored},
    entity::template,
    store,
};

use super::{App, create_template::properties_of};

impl App {
    /// Changes a live template. `checks` holds what is wrong with the change already; the outcome is checked like a new
    /// template. What `change` leaves as it is makes no new version.
    pub async fn update_template(
        &self,
        id: i64,
        etag: &str,
        mut checks: Checks,
        change: impl FnOnce(&mut TemplateDraft),
    ) -> Result<template::Model, Error> {
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        self.store
            .write(async |tx| {
                let template = store::template::lock(tx, id).await?;
                let feature = store::feature::find(tx, template.feature_id).await?;
                let before = draft_of(&template);
                let mut draft = before.clone();
                change(&mut draft);
                let (properties, category) = (properties_of(&feature)?, feature.category);
                draft.check(&properties, category, &mut checks);
                self.check_look(&properties, category, &draft.data, &mut checks);
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

/// What a client may say of the template. Data that cannot be read, which Atelier does not write, are all unknown keys.
pub(super) fn draft_of(template: &template::Model) -> TemplateDraft {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let tags = template.tags.as_ref().map(|tags| tags.items().to_vec());
    TemplateDraft {
        feature_id: template.feature_id,
        name: template.name.clone(),
        description: text(&template.description),
        data: stored::show(Some(template.template_data.clone())),
        preview_url: text(&template.preview_url),
        tags: tags.unwrap_or_default(),
        is_active: template.is_active,
        order_index: template.order_index,
        trend_start: template.trend_start_date,
        trend_end: template.trend_end_date,
    }
}
