//! Features and templates to try things on.

use std::collections::HashMap;

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateTemplateRequest, FeaturePrice, FeatureProperties, GenerationInput,
    MediaType, OutputSettings, ProviderFallback, TemplateChoice, TemplateData, TemplateVariable,
    TemplateVariableType, Translation,
};
use prost_types::Timestamp;
use serde_json::json;

use crate::support::client::{plain_template, scripted_feature};
use crate::support::structure::{structure, value};

/// A feature with every field set.
pub(crate) fn full_feature(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        description: "Áp phích".to_owned() + name,
        category: MediaType::Image.into(),
        system_prompt: "Be kind.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "studio".to_owned(),
            model: "studio-3".to_owned(),
            settings: Some(structure(&json!({ "quality": "high" }))),
            fallbacks: vec![ProviderFallback {
                provider: "spare".to_owned(),
                model: "spare-1".to_owned(),
                settings: Some(structure(&json!({ "quality": "low" }))),
            }],
            max_resolution: "2K".to_owned(),
            formats: vec!["png".to_owned()],
            max_duration_seconds: 60,
            supported_aspect_ratios: vec!["16:9".to_owned()],
            cost_per_generation: 5,
            price: Some(FeaturePrice {
                base: 2,
                ..Default::default()
            }),
            max_batch_size: 4,
            max_concurrent_jobs: 2,
            job_timeout_seconds: 90,
            max_attempts: 2,
            max_prompt_chars: 100,
            allow_empty_prompt: true,
            frame_rate: 25,
            thumbnail_sizes: vec![64, 256],
            omit_thumbnails: false,
            make_poster: false,
            make_preview: false,
            omit_recipe: true,
            hide_prompt: true,
            refuse_ignored_inputs: true,
            extra: Some(structure(&json!({ "lights": 1 }))),
        }),
        preview_url: "https://a.vn/p.png".to_owned(),
        icon_url: "https://a.vn/i.png".to_owned(),
        is_active: Some(true),
        order_index: 3,
        display_name: "Áp phích".to_owned(),
        original_language: "vi".to_owned(),
        translations: english("Poster"),
        ..Default::default()
    }
}

fn english(display_name: &str) -> HashMap<String, Translation> {
    let texts = Translation {
        display_name: display_name.to_owned(),
        ..Default::default()
    };
    [("en".to_owned(), texts)].into()
}

/// A feature with a limit of every kind.
pub(crate) fn limited_feature() -> CreateFeatureRequest {
    CreateFeatureRequest {
        properties: Some(FeatureProperties {
            max_resolution: "1080p".to_owned(),
            formats: vec!["webp".to_owned(), "png".to_owned()],
            supported_aspect_ratios: vec!["16:9".to_owned(), "1:1".to_owned()],
            cost_per_generation: 3,
            max_batch_size: 2,
            max_prompt_chars: 5,
            ..Default::default()
        }),
        ..scripted_feature("limited")
    }
}

pub(crate) fn variable(name: &str, kind: TemplateVariableType) -> TemplateVariable {
    TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        ..Default::default()
    }
}

pub(crate) fn choice(value: &str) -> TemplateChoice {
    TemplateChoice {
        value: value.to_owned(),
        label: String::new(),
    }
}

/// A prompt with three variables, of which one must be given.
pub(crate) fn sale() -> TemplateData {
    TemplateData {
        prompt: "{{ user_prompt }} {{ percent }}% {{ city }}".to_owned(),
        negative_prompt: "mờ".to_owned(),
        variables: vec![
            TemplateVariable {
                default_value: Some(value(&json!(10))),
                min: Some(1.0),
                max: Some(90.0),
                ..variable("percent", TemplateVariableType::Integer)
            },
            TemplateVariable {
                choices: vec![choice("Hà Nội"), choice("Huế")],
                is_required: true,
                ..variable("city", TemplateVariableType::Enum)
            },
            variable("note", TemplateVariableType::String),
        ],
        ..Default::default()
    }
}

/// A template with every field set.
pub(crate) fn full_template(feature_id: i64, name: &str) -> CreateTemplateRequest {
    CreateTemplateRequest {
        description: "Giảm giá".to_owned(),
        template_data: Some(TemplateData {
            defaults: Some(GenerationInput {
                seed: Some(5),
                variations: 2,
                output: Some(OutputSettings {
                    aspect_ratio: Some("16:9".to_owned()),
                    ..Default::default()
                }),
                extra: Some(structure(&json!({}))),
                ..Default::default()
            }),
            style: Some(structure(&json!({ "palette": "sunset" }))),
            extra: Some(structure(&json!({ "house": true }))),
            ..sale()
        }),
        preview_url: "https://a.vn/p.png".to_owned(),
        tags: vec!["sale".to_owned(), "tết".to_owned()],
        is_active: Some(true),
        order_index: 3,
        trend_start_time: Some(Timestamp {
            seconds: 1_000,
            nanos: 0,
        }),
        trend_end_time: Some(Timestamp {
            seconds: 2_000,
            nanos: 0,
        }),
        display_name: "Giảm giá".to_owned(),
        original_language: "vi".to_owned(),
        translations: english("Sale"),
        ..plain_template(feature_id, name)
    }
}
