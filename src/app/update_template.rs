use crate::{
    domain::{TemplateData, TemplateDraft, stored},
    entity::template,
};

/// What a client may say of the template. Data that cannot be read, which Atelier does not write, is all unknown keys.
pub(super) fn draft_of(template: &template::Model) -> TemplateDraft {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    TemplateDraft {
        feature_id: template.feature_id,
        name: template.name.clone(),
        description: text(&template.description),
        data: stored::show(Some(template.template_data.clone()), |extra| TemplateData {
            extra,
            ..TemplateData::default()
        }),
        preview_url: text(&template.preview_url),
        tags: template
            .tags
            .as_ref()
            .map(|tags| tags.items().to_vec())
            .unwrap_or_default(),
        is_active: template.is_active,
        order_index: template.order_index,
    }
}
