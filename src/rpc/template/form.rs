//! What a form for a request needs beside the template's variables.

use codec::Format;

use crate::{
    domain::{
        AspectRatio, FeatureProperties, IntakeLimits, MediaType, TemplateData, further_formats,
        stored,
    },
    entity::{feature, template},
};

use crate::rpc::{media::media_type, proto, request::input_message};

/// The feature's properties; those that cannot be read, which Atelier does not write, limit nothing.
pub(super) fn properties_of(feature: &feature::Model) -> FeatureProperties {
    stored::show(feature.properties.clone())
}

pub(super) fn input_limits(
    properties: &FeatureProperties,
    category: MediaType,
    limits: IntakeLimits,
) -> proto::InputLimits {
    let formats = properties.formats(category);
    let ratios = properties.aspect_ratios();
    let resolution = match category {
        MediaType::Audio => String::new(),
        MediaType::Image | MediaType::Video => properties.resolution().to_string(),
    };
    proto::InputLimits {
        category: media_type(category).into(),
        formats: formats.iter().map(Format::to_string).collect(),
        further_formats: further_formats(&formats)
            .map(|format| format.to_string())
            .collect(),
        aspect_ratios: ratios.iter().map(AspectRatio::to_string).collect(),
        max_resolution: resolution,
        max_duration_seconds: small(properties.max_duration),
        max_variations: small(properties.variations(limits)),
        max_prompt_chars: small(properties.prompt_chars(limits)),
        allow_empty_prompt: properties.allow_empty_prompt,
        cost_per_generation: properties.cost_per_generation,
    }
}

pub(super) fn input_defaults(
    template: &template::Model,
    properties: &FeatureProperties,
    category: MediaType,
) -> proto::GenerationInput {
    let data: TemplateData = stored::show(Some(template.template_data.clone()));
    input_message(data.effective_defaults(properties, category))
}

fn small(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
