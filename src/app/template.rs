//! Templates: what a client may say of one.

mod create;
mod delete;
mod fold;
mod render;
mod undelete;
mod update;

use crate::{
    domain::{TemplateDraft, stored},
    entity::template,
};

pub use render::{Rendered, Trial};

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
