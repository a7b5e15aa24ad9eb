//! Features between the contract and the domain, and the paths by which an update names their fields.

use prost_types::Struct;

use crate::{
    domain::{
        Checks, Derivatives, Fallback, FeatureDraft, FeatureProperties, JsonMap, Named, Price,
        View, etag, stored,
    },
    entity::feature,
    store,
};

use crate::rpc::{
    field_mask::{Fields, fields},
    json,
    language::Languages,
    media::{media_type, media_type_from},
    names::{localize_feature, names_from, translations_message},
    proto,
    time::timestamp,
    view::Viewed,
};

/// What UpdateFeature may change.
pub(super) const FIELDS: Fields<FeatureDraft> = Fields {
    changeable: fields!(FeatureDraft {
        "name" => name,
        "display_name" => names.display_name,
        "original_language" => names.original_language,
        "translations" => names.translations,
        "description" => description,
        "system_prompt" => system_prompt,
        "properties" => properties,
        "properties.provider" => properties.provider,
        "properties.model" => properties.model,
        "properties.settings" => properties.settings,
        "properties.fallbacks" => properties.fallbacks,
        "properties.max_resolution" => properties.max_resolution,
        "properties.formats" => properties.formats,
        "properties.max_duration_seconds" => properties.max_duration,
        "properties.supported_aspect_ratios" => properties.supported_aspect_ratios,
        "properties.cost_per_generation" => properties.cost_per_generation,
        "properties.price" => properties.price,
        "properties.max_batch_size" => properties.max_batch_size,
        "properties.max_concurrent_jobs" => properties.max_concurrent_jobs,
        "properties.job_timeout_seconds" => properties.job_timeout,
        "properties.max_attempts" => properties.max_attempts,
        "properties.max_prompt_chars" => properties.max_prompt_chars,
        "properties.allow_empty_prompt" => properties.allow_empty_prompt,
        "properties.frame_rate" => properties.frame_rate,
        "properties.thumbnail_sizes" => properties.derivatives.thumbnail_sizes,
        "properties.omit_thumbnails" => properties.derivatives.omit_thumbnails,
        "properties.make_poster" => properties.derivatives.make_poster,
        "properties.make_preview" => properties.derivatives.make_preview,
        "properties.omit_recipe" => properties.omit_recipe,
        "properties.hide_prompt" => properties.hide_prompt,
        "properties.refuse_ignored_inputs" => properties.refuse_ignored_inputs,
        "properties.extra" => properties.extra,
        "preview_url" => preview_url,
        "preview_media_id" => preview_media_id,
        "icon_url" => icon_url,
        "is_active" => is_active,
        "order_index" => order_index,
    }),
    immutable: &["category"],
    output_only: &[
        "id",
        "preview_media",
        "create_time",
        "update_time",
        "delete_time",
        "purge_time",
        "etag",
        "language",
    ],
};

/// The feature, and what is wrong with it already as a message.
pub(in crate::rpc) fn draft(request: proto::CreateFeatureRequest) -> (FeatureDraft, Checks) {
    let mut checks = Checks::default();
    let category = media_type_from("category", request.category, &mut checks);
    let draft = FeatureDraft {
        name: request.name,
        names: names_from(
            request.display_name,
            request.original_language,
            request.translations,
        ),
        description: request.description,
        category,
        system_prompt: request.system_prompt,
        properties: request.properties.map(properties_from).unwrap_or_default(),
        preview_url: request.preview_url,
        preview_media_id: request.preview_media_id,
        icon_url: request.icon_url,
        is_active: request.is_active.unwrap_or(true),
        order_index: request.order_index,
    };
    (draft, checks)
}

pub(super) fn filter_from(
    request: proto::ListFeaturesRequest,
    checks: &mut Checks,
) -> store::feature::Filter {
    let category = media_type_from("category", request.category, checks);
    checks.search("text", &request.text);
    store::feature::Filter {
        category,
        is_active: request.is_active,
        show_deleted: request.show_deleted,
        text: request.text,
    }
}

/// What a client may say of a feature, from the message that it is read in.
pub(super) fn resource(feature: proto::Feature) -> FeatureDraft {
    FeatureDraft {
        name: feature.name,
        names: names_from(
            feature.display_name,
            feature.original_language,
            feature.translations,
        ),
        description: feature.description,
        category: None,
        system_prompt: feature.system_prompt,
        properties: feature.properties.map(properties_from).unwrap_or_default(),
        preview_url: feature.preview_url,
        preview_media_id: feature.preview_media_id,
        icon_url: feature.icon_url,
        is_active: feature.is_active,
        order_index: feature.order_index,
    }
}

/// The objects whose content Atelier does not know, by their paths.
pub(super) fn open_ended(
    properties: Option<&proto::FeatureProperties>,
) -> Vec<(String, Option<&Struct>)> {
    let Some(properties) = properties else {
        return Vec::new();
    };
    let fallbacks = properties.fallbacks.iter().enumerate();
    let fallbacks = fallbacks.map(|(index, fallback)| {
        let path = format!("properties.fallbacks[{index}].settings");
        (path, fallback.settings.as_ref())
    });
    let own = [
        ("properties.extra".to_owned(), properties.extra.as_ref()),
        (
            "properties.settings".to_owned(),
            properties.settings.as_ref(),
        ),
    ];
    own.into_iter().chain(fallbacks).collect()
}

fn properties_from(properties: proto::FeatureProperties) -> FeatureProperties {
    FeatureProperties {
        provider: properties.provider,
        model: properties.model,
        settings: properties
            .settings
            .map(json::from_struct)
            .unwrap_or_default(),
        fallbacks: properties
            .fallbacks
            .into_iter()
            .map(fallback_from)
            .collect(),
        max_resolution: properties.max_resolution,
        formats: properties.formats,
        max_duration: i64::from(properties.max_duration_seconds),
        supported_aspect_ratios: properties.supported_aspect_ratios,
        cost_per_generation: properties.cost_per_generation,
        price: properties.price.map(price_from).unwrap_or_default(),
        max_batch_size: i64::from(properties.max_batch_size),
        max_concurrent_jobs: i64::from(properties.max_concurrent_jobs),
        job_timeout: i64::from(properties.job_timeout_seconds),
        max_attempts: i64::from(properties.max_attempts),
        max_prompt_chars: i64::from(properties.max_prompt_chars),
        allow_empty_prompt: properties.allow_empty_prompt,
        frame_rate: i64::from(properties.frame_rate),
        derivatives: Derivatives {
            thumbnail_sizes: properties
                .thumbnail_sizes
                .into_iter()
                .map(i64::from)
                .collect(),
            omit_thumbnails: properties.omit_thumbnails,
            make_poster: properties.make_poster,
            make_preview: properties.make_preview,
        },
        omit_recipe: properties.omit_recipe,
        hide_prompt: properties.hide_prompt,
        refuse_ignored_inputs: properties.refuse_ignored_inputs,
        extra: properties.extra.map(json::from_struct).unwrap_or_default(),
    }
}

fn price_from(price: proto::FeaturePrice) -> Price {
    Price {
        base: price.base,
        per_second: price.per_second,
        per_megapixel: price.per_megapixel,
    }
}

fn price_message(price: &Price) -> Option<proto::FeaturePrice> {
    let message = proto::FeaturePrice {
        base: price.base,
        per_second: price.per_second,
        per_megapixel: price.per_megapixel,
    };
    Some(message).filter(|_| *price != Price::default())
}

fn fallback_from(fallback: proto::ProviderFallback) -> Fallback {
    Fallback {
        provider: fallback.provider,
        model: fallback.model,
        settings: fallback.settings.map(json::from_struct).unwrap_or_default(),
    }
}

pub(super) fn message(feature: feature::Model, view: View) -> proto::Feature {
    whole(feature).seen(view)
}

/// The same with its texts in the language that suits the caller.
pub(super) fn localized_message(
    feature: feature::Model,
    languages: &Languages,
    view: View,
) -> proto::Feature {
    let mut feature = whole(feature);
    localize_feature(&mut feature, languages);
    feature.seen(view)
}

fn whole(feature: feature::Model) -> proto::Feature {
    let Named { names, rest } = stored::show(feature.properties);
    proto::Feature {
        id: feature.id,
        name: feature.name,
        display_name: names.display_name.clone(),
        original_language: names.original_language.clone(),
        language: names.original_language.clone(),
        translations: translations_message(names),
        description: feature.description.unwrap_or_default(),
        category: media_type(feature.category).into(),
        system_prompt: feature.system_prompt.unwrap_or_default(),
        properties: Some(properties_message(rest)),
        preview_url: feature.preview_url.unwrap_or_default(),
        icon_url: feature.icon_url.unwrap_or_default(),
        is_active: feature.is_active,
        order_index: feature.order_index,
        create_time: Some(timestamp(feature.created_at)),
        update_time: Some(timestamp(feature.updated_at)),
        delete_time: feature.deleted_at.map(timestamp),
        purge_time: None,
        etag: etag(feature.version),
        preview_media_id: feature.preview_media_id,
        preview_media: None,
    }
}

fn properties_message(properties: FeatureProperties) -> proto::FeatureProperties {
    // The stored numbers were checked to be far below these bounds.
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    proto::FeatureProperties {
        provider: properties.provider,
        max_resolution: properties.max_resolution,
        formats: properties.formats,
        max_duration_seconds: small(properties.max_duration),
        supported_aspect_ratios: properties.supported_aspect_ratios,
        cost_per_generation: properties.cost_per_generation,
        price: price_message(&properties.price),
        max_batch_size: small(properties.max_batch_size),
        max_concurrent_jobs: small(properties.max_concurrent_jobs),
        job_timeout_seconds: small(properties.job_timeout),
        max_attempts: small(properties.max_attempts),
        max_prompt_chars: small(properties.max_prompt_chars),
        allow_empty_prompt: properties.allow_empty_prompt,
        frame_rate: small(properties.frame_rate),
        thumbnail_sizes: properties
            .derivatives
            .thumbnail_sizes
            .into_iter()
            .map(small)
            .collect(),
        omit_thumbnails: properties.derivatives.omit_thumbnails,
        make_poster: properties.derivatives.make_poster,
        make_preview: properties.derivatives.make_preview,
        omit_recipe: properties.omit_recipe,
        hide_prompt: properties.hide_prompt,
        extra: Some(json::to_struct(properties.extra)),
        model: properties.model,
        settings: optional_struct(properties.settings),
        refuse_ignored_inputs: properties.refuse_ignored_inputs,
        fallbacks: properties
            .fallbacks
            .into_iter()
            .map(|fallback| proto::ProviderFallback {
                provider: fallback.provider,
                model: fallback.model,
                settings: optional_struct(fallback.settings),
            })
            .collect(),
    }
}

fn optional_struct(object: JsonMap) -> Option<Struct> {
    (!object.is_empty()).then(|| json::to_struct(object))
}
