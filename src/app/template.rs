//! Templates: what a client may say of one.

mod create;
mod delete;
mod render;
mod reorder;
mod restore;
mod undelete;
mod update;

use crate::{
    app::App,
    domain::{
        Checks, Error, FeatureProperties, MediaType, Named, TemplateData, TemplateDraft,
        changed_template_fields, stored,
    },
    entity::template,
    provider::{Inputs, Place, Preset},
};

pub use render::{Rendered, Trial};

/// What a client may say of the template. Data that cannot be read, which Atelier does not write, are all unknown keys.
pub(super) fn draft_of(template: &template::Model) -> TemplateDraft {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let tags = template.tags.as_ref().map(|tags| tags.items().to_vec());
    let Named { names, rest } = stored::show(Some(template.template_data.clone()));
    TemplateDraft {
        feature_id: template.feature_id,
        name: template.name.clone(),
        names,
        description: text(&template.description),
        data: rest,
        preview_url: text(&template.preview_url),
        preview_media_id: template.preview_media_id,
        tags: tags.unwrap_or_default(),
        is_active: template.is_active,
        order_index: template.order_index,
        trend_start: template.trend_start_date,
        trend_end: template.trend_end_date,
    }
}

/// The keys, as a catalogue has them, in which two drafts differ. A draft that no catalogue could have tells none.
pub(super) fn changed_fields(before: &TemplateDraft, after: &TemplateDraft) -> Vec<String> {
    let mut changed = changed_template_fields(before, after).unwrap_or_default();
    if before.preview_media_id != after.preview_media_id {
        changed.push("preview_media_id".to_owned());
    }
    changed
}

/// The typed data of a stored template.
pub(super) fn data_of(template: &template::Model) -> Result<TemplateData, Error> {
    stored::read(Some(&template.template_data)).map_err(|error| {
        Error::internal(format!(
            "template_data of template {}: {error}",
            template.id
        ))
    })
}

impl App {
    /// Notes what the feature's provider could not read of a template, if this process has that provider.
    pub(super) fn check_look(
        &self,
        properties: &FeatureProperties,
        category: MediaType,
        data: &TemplateData,
        checks: &mut Checks,
    ) {
        let Some(provider) = self.providers.get(properties.provider()) else {
            return;
        };
        let feature = Preset::of_feature(category, &properties.model, &properties.settings);
        let preset = feature.styled(&data.style);
        let loras = Inputs::default().with_loras(&data.defaults.lora_weights, |name| {
            format!("template_data.defaults.lora_weights.weights.{name}")
        });
        for (field, problem) in provider.check_inputs(preset, &loras) {
            checks.add(field, problem);
        }
        let defaults = data.variables.iter().filter_map(|variable| {
            let value = variable.default.clone()?;
            Some((variable.name.clone(), value))
        });
        for unfit in provider.check(preset, &defaults.collect()) {
            let mut names = data.variables.iter().map(|variable| &variable.name);
            let field = match (unfit.place, names.position(|name| *name == unfit.key)) {
                (Place::Style, _) => format!("template_data.style.{}", unfit.key),
                (Place::Variable, Some(index)) => {
                    format!("template_data.variables[{index}].default_value")
                }
                // That is told of the feature.
                _ => continue,
            };
            checks.add(field, unfit.problem());
        }
    }
}
