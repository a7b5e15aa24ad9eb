//! A change of a live feature. Requests that are stored keep what they were resolved with, see
//! docs/domain.md#resolving-a-request.

use crate::{
    app::Acting,
    domain::{
        AuditAction, Checks, Deed, Error, FeatureDraft, Named, Resource, TemplateData, check_etag,
        stored,
    },
    entity::feature,
    store::{self, Transaction, report},
};

use super::{changed_fields, draft_of};

impl Acting<'_> {
    /// Changes a live feature. `checks` holds what is wrong with the change already; the outcome is checked like a new
    /// feature. What `change` leaves as it is makes no new version. Returns the feature with the templates whose defaults it
    /// does not allow any more, which there are with `allow_breaking` only. With `validate_only` nothing is
    /// stored.
    pub async fn update_feature(
        &self,
        id: i64,
        etag: &str,
        mut checks: Checks,
        allow_breaking: bool,
        validate_only: bool,
        change: impl FnOnce(&mut FeatureDraft),
    ) -> Result<(feature::Model, Vec<i64>), Error> {
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        let mut is_limit_changed = false;
        let written = self.write_unless(validate_only, async |tx| {
            let feature = store::feature::lock(tx, id).await?;
            let before = draft_of(&feature);
            let mut draft = before.clone();
            change(&mut draft);
            self.app.check_maker(&draft, &mut checks);
            let preview = draft.preview_media_id;
            let preview = preview.filter(|_| preview != before.preview_media_id);
            self.app.check_preview(preview, &mut checks).await?;
            draft.check(checks)?;
            check_etag(Resource::Feature, id, feature.version, etag)?;
            if draft == before {
                return Ok(((feature, Vec::new()), Vec::new()));
            }
            let templates = broken_templates(tx, &feature, &before, &draft).await?;
            if !templates.is_empty() && !allow_breaking {
                return Err(Error::FeatureBreaksTemplates { id, templates });
            }
            let limit = |draft: &FeatureDraft| draft.properties.max_concurrent_jobs;
            is_limit_changed = limit(&before) != limit(&draft);
            let updated = Deed::to(AuditAction::UpdateFeature, id);
            let updated = updated.with("fields", changed_fields(&before, &draft));
            let now = self.app.clock.now();
            let feature = store::feature::update(tx, &feature, draft, now).await?;
            Ok(((feature, templates), vec![updated]))
        });
        let written = written.await?;
        if is_limit_changed && !validate_only {
            self.app.wake_workers();
            if let Err(error) = self.app.let_back_resumed().await {
                // It is changed all the same, and the upkeep does it.
                report(
                    &error,
                    "cannot let back jobs of a feature that more may run of",
                );
            }
        }
        Ok(written)
    }
}

/// The live templates of a locked feature that could be written for it before its change, and not after it.
async fn broken_templates(
    tx: &Transaction,
    feature: &feature::Model,
    before: &FeatureDraft,
    after: &FeatureDraft,
) -> Result<Vec<i64>, Error> {
    if before.properties == after.properties {
        return Ok(Vec::new());
    }
    let templates = store::template::live_data_of_feature(tx, feature.id).await?;
    let broken = templates.into_iter().filter_map(|(id, data)| {
        let data: Named<TemplateData> = stored::show(Some(data));
        let fits = |draft: &FeatureDraft| data.rest.fits(&draft.properties, feature.category);
        (fits(before) && !fits(after)).then_some(id)
    });
    Ok(broken.collect())
}
