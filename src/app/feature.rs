//! Features: their typed properties, what a client may say of them, and their deletion, which a catalogue does too.

mod create;
mod delete;
mod undelete;
mod update;

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    domain::{
        Checks, Error, FeatureDraft, FeatureProperties, Flaw, JsonMap, MediaType, Named,
        changed_feature_fields, deletion_time, stored,
    },
    entity::feature,
    provider::{Place, Preset},
    store::{self, Transaction},
};

/// The typed properties of a stored feature.
pub(super) fn properties_of(feature: &feature::Model) -> Result<FeatureProperties, Error> {
    stored::read(feature.properties.as_ref())
        .map_err(|error| Error::internal(format!("properties of feature {}: {error}", feature.id)))
}

/// What a client may say of the feature. Properties that cannot be read, which Atelier does not write, are all unknown ones.
pub(super) fn draft_of(feature: &feature::Model) -> FeatureDraft {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let Named { names, rest } = stored::show(feature.properties.clone());
    FeatureDraft {
        name: feature.name.clone(),
        names,
        description: text(&feature.description),
        category: Some(feature.category),
        system_prompt: text(&feature.system_prompt),
        properties: rest,
        preview_url: text(&feature.preview_url),
        preview_media_id: feature.preview_media_id,
        icon_url: text(&feature.icon_url),
        is_active: feature.is_active,
        order_index: feature.order_index,
    }
}

/// The keys, as a catalogue has them, in which two drafts differ. A draft that no catalogue could have tells none.
pub(super) fn changed_fields(before: &FeatureDraft, after: &FeatureDraft) -> Vec<String> {
    let mut changed = changed_feature_fields(before, after).unwrap_or_default();
    if before.preview_media_id != after.preview_media_id {
        changed.push("preview_media_id".to_owned());
    }
    changed
}

impl App {
    /// Notes what the feature's providers cannot make of it, as far as this process knows them: its type of media, its model,
    /// its settings.
    pub(super) fn check_maker(&self, draft: &FeatureDraft, checks: &mut Checks) {
        let properties = &draft.properties;
        let (model, settings) = (&properties.model, &properties.settings);
        let name = properties.provider();
        self.check_one_maker("properties", name, model, settings, draft.category, checks);
        for (index, fallback) in properties.fallbacks.iter().enumerate() {
            let path = format!("properties.fallbacks[{index}]");
            let (model, settings) = (&fallback.model, &fallback.settings);
            let name = &fallback.provider;
            self.check_one_maker(&path, name, model, settings, draft.category, checks);
        }
    }

    fn check_one_maker(
        &self,
        path: &str,
        name: &str,
        model: &str,
        settings: &JsonMap,
        category: Option<MediaType>,
        checks: &mut Checks,
    ) {
        let (Some(provider), Some(category)) = (self.providers.get(name), category) else {
            return;
        };
        if !provider.makes(category) {
            let words = format!("must make {}, which {name:?} does not", category.as_str());
            return checks.add(format!("{path}.provider"), Flaw::Conflict.says(words));
        }
        let preset = Preset::of_feature(category, model, settings);
        for unfit in provider.check(preset, &JsonMap::new()) {
            let field = match unfit.place {
                Place::Model => format!("{path}.model"),
                _ => format!("{path}.settings.{}", unfit.key),
            };
            checks.add(field, unfit.problem());
        }
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
