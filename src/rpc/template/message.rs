//! Templates between the contract and the domain, and the paths by which an update names their fields.

use codec::Format;
use prost_types::Struct;

use crate::{
    domain::{
        AspectRatio, Checks, Choice, FeatureProperties, Flaw, IntakeLimits, MediaType, Named,
        Problem, TemplateData, TemplateDraft, Variable, VariableType, View, check_tags, etag,
        further_formats, stored,
    },
    entity::{feature, template},
    store::{self, template::Ranking},
};

use crate::rpc::{
    field_mask::{Fields, fields},
    json,
    language::Languages,
    media::{media_type, media_type_from},
    names::{localize_template, names_from, translations_message},
    page::{any_of_ids, any_or},
    proto,
    request::{input_from, input_message},
    time::{optional_time, timestamp},
    view::Viewed,
};

const VARIABLES: &str = "template_data.variables";
const TREND_START: &str = "trend_start_time";
const TREND_END: &str = "trend_end_time";

/// What UpdateTemplate may change.
pub(super) const FIELDS: Fields<TemplateDraft> = Fields {
    changeable: fields!(TemplateDraft {
        "name" => name,
        "display_name" => names.display_name,
        "original_language" => names.original_language,
        "translations" => names.translations,
        "description" => description,
        "template_data" => data,
        "template_data.prompt" => data.prompt,
        "template_data.negative_prompt" => data.negative_prompt,
        "template_data.variables" => data.variables,
        "template_data.defaults" => data.defaults,
        "template_data.style" => data.style,
        "template_data.extra" => data.extra,
        "preview_url" => preview_url,
        "preview_media_id" => preview_media_id,
        "tags" => tags,
        "is_active" => is_active,
        "order_index" => order_index,
        "trend_start_time" => trend_start,
        "trend_end_time" => trend_end,
    }),
    immutable: &["feature_id"],
    output_only: &[
        "id",
        "preview_media",
        "is_trending",
        "trend_score",
        "usage_count",
        "view_count",
        "create_time",
        "update_time",
        "delete_time",
        "purge_time",
        "etag",
        "language",
    ],
};

/// The template, and what is wrong with it already as a message.
pub(in crate::rpc) fn draft(request: proto::CreateTemplateRequest) -> (TemplateDraft, Checks) {
    let mut checks = Checks::default();
    checks.require(request.template_data.is_some(), "template_data", || {
        Problem::required()
    });
    let template = proto::Template {
        name: request.name,
        display_name: request.display_name,
        original_language: request.original_language,
        translations: request.translations,
        description: request.description,
        template_data: request.template_data,
        preview_url: request.preview_url,
        preview_media_id: request.preview_media_id,
        tags: request.tags,
        is_active: request.is_active.unwrap_or(true),
        order_index: request.order_index,
        trend_start_time: request.trend_start_time,
        trend_end_time: request.trend_end_time,
        ..Default::default()
    };
    let (draft, problems) = resource(template, "");
    for (_, problems) in problems {
        checks.extend(problems.into_violations());
    }
    let feature_id = request.feature_id;
    (
        TemplateDraft {
            feature_id,
            ..draft
        },
        checks,
    )
}

/// What a client may say of a template, from the message that it is read in; and for fields that cannot be what they are,
/// what is wrong with them, told under `prefix`.
pub(super) fn resource(
    template: proto::Template,
    prefix: &'static str,
) -> (TemplateDraft, [(&'static str, Checks); 3]) {
    let mut problems =
        [VARIABLES, TREND_START, TREND_END].map(|path| (path, Checks::within(prefix)));
    let [(_, of_variables), (_, of_start), (_, of_end)] = &mut problems;
    let data = template.template_data.unwrap_or_default();
    let draft = TemplateDraft {
        feature_id: 0,
        name: template.name,
        names: names_from(
            template.display_name,
            template.original_language,
            template.translations,
        ),
        description: template.description,
        data: data_from(data, of_variables),
        preview_url: template.preview_url,
        preview_media_id: template.preview_media_id,
        tags: template.tags,
        is_active: template.is_active,
        order_index: template.order_index,
        trend_start: optional_time(TREND_START, template.trend_start_time, of_start),
        trend_end: optional_time(TREND_END, template.trend_end_time, of_end),
    };
    (draft, problems)
}

/// The objects whose content Atelier does not know, by their paths.
pub(super) fn open_ended(
    data: Option<&proto::TemplateData>,
) -> [(&'static str, Option<&Struct>); 3] {
    let defaults = data.and_then(|data| data.defaults.as_ref());
    [
        (
            "template_data.style",
            data.and_then(|data| data.style.as_ref()),
        ),
        (
            "template_data.extra",
            data.and_then(|data| data.extra.as_ref()),
        ),
        (
            "template_data.defaults.extra",
            defaults.and_then(|input| input.extra.as_ref()),
        ),
    ]
}

pub(super) fn data_from(data: proto::TemplateData, checks: &mut Checks) -> TemplateData {
    let variables = data.variables.into_iter().enumerate();
    let variables = variables.map(|(index, variable)| {
        let field = format!("{VARIABLES}[{index}].type");
        let kind = variable_type_from(&field, variable.r#type, checks);
        // One is kept in its place, so that what else is wrong is told of the right ones.
        variable_from(variable, kind.unwrap_or(VariableType::String))
    });
    TemplateData {
        prompt: data.prompt,
        negative_prompt: data.negative_prompt,
        variables: variables.collect(),
        defaults: data.defaults.map(input_from).unwrap_or_default(),
        style: data.style.map(json::from_struct).unwrap_or_default(),
        extra: data.extra.map(json::from_struct).unwrap_or_default(),
    }
}

pub(super) fn filter_from(
    request: proto::ListTemplatesRequest,
    checks: &mut Checks,
) -> store::template::Filter {
    checks.optional_id("feature_id", request.feature_id);
    check_tags("tags", &request.tags, checks);
    check_tags("any_tags", &request.any_tags, checks);
    checks.search("text", &request.text);
    checks.line("name", &request.name, 128);
    store::template::Filter {
        feature_id: any_or(request.feature_id),
        feature_ids: any_of_ids("feature_ids", &request.feature_ids, checks),
        category: media_type_from("category", request.category, checks),
        name: request.name,
        tags: request.tags,
        any_tags: request.any_tags,
        is_active: request.is_active,
        is_trending: request.is_trending,
        text: request.text,
        show_deleted: request.show_deleted,
        of_offered: false,
    }
}

/// The order asked for; unspecified means display order.
pub(super) fn ranking_from(order: i32, checks: &mut Checks) -> Ranking {
    match proto::TemplateOrder::try_from(order) {
        Ok(proto::TemplateOrder::Unspecified | proto::TemplateOrder::Display) => Ranking::Display,
        Ok(proto::TemplateOrder::Popularity) => Ranking::Popularity,
        Ok(proto::TemplateOrder::Newest) => Ranking::Newest,
        Err(_) => {
            checks.add("order", Problem::no_value_of("TemplateOrder", order));
            Ranking::Display
        }
    }
}

fn variable_from(variable: proto::TemplateVariable, kind: VariableType) -> Variable {
    Variable {
        name: variable.name,
        kind,
        label: variable.label,
        description: variable.description,
        placeholder: variable.placeholder,
        default: variable.default_value.map(json::from_value),
        required: variable.is_required,
        max_length: variable.max_length,
        min: variable.min,
        max: variable.max,
        choices: variable.choices.into_iter().map(choice_from).collect(),
        step: variable.step,
        unit: variable.unit,
        group: variable.group,
    }
}

fn choice_from(proto::TemplateChoice { value, label }: proto::TemplateChoice) -> Choice {
    Choice { value, label }
}

fn choice_message(Choice { value, label }: Choice) -> proto::TemplateChoice {
    proto::TemplateChoice { value, label }
}

fn variable_type_from(field: &str, kind: i32, checks: &mut Checks) -> Option<VariableType> {
    match proto::TemplateVariableType::try_from(kind) {
        Ok(proto::TemplateVariableType::Unspecified) => {
            checks.add(
                field,
                Flaw::Required.says(
                    "is required: string, text, integer, number, boolean, enum, color, date or picture",
                ),
            );
            None
        }
        Ok(proto::TemplateVariableType::String) => Some(VariableType::String),
        Ok(proto::TemplateVariableType::Integer) => Some(VariableType::Integer),
        Ok(proto::TemplateVariableType::Number) => Some(VariableType::Number),
        Ok(proto::TemplateVariableType::Boolean) => Some(VariableType::Boolean),
        Ok(proto::TemplateVariableType::Enum) => Some(VariableType::Enum),
        Ok(proto::TemplateVariableType::Text) => Some(VariableType::Text),
        Ok(proto::TemplateVariableType::Color) => Some(VariableType::Color),
        Ok(proto::TemplateVariableType::Date) => Some(VariableType::Date),
        Ok(proto::TemplateVariableType::Picture) => Some(VariableType::Picture),
        Err(_) => {
            checks.add(field, Problem::no_value_of("TemplateVariableType", kind));
            None
        }
    }
}

fn variable_type(kind: VariableType) -> proto::TemplateVariableType {
    match kind {
        VariableType::String => proto::TemplateVariableType::String,
        VariableType::Integer => proto::TemplateVariableType::Integer,
        VariableType::Number => proto::TemplateVariableType::Number,
        VariableType::Boolean => proto::TemplateVariableType::Boolean,
        VariableType::Enum => proto::TemplateVariableType::Enum,
        VariableType::Text => proto::TemplateVariableType::Text,
        VariableType::Color => proto::TemplateVariableType::Color,
        VariableType::Date => proto::TemplateVariableType::Date,
        VariableType::Picture => proto::TemplateVariableType::Picture,
    }
}

pub(super) fn message(template: template::Model, view: View) -> proto::Template {
    whole(template).seen(view)
}

/// The same with its texts in the language that suits the caller.
pub(super) fn localized_message(
    template: template::Model,
    languages: &Languages,
    view: View,
) -> proto::Template {
    let mut template = whole(template);
    localize_template(&mut template, languages);
    template.seen(view)
}

fn whole(template: template::Model) -> proto::Template {
    let Named { names, rest } = stored::show(Some(template.template_data));
    proto::Template {
        id: template.id,
        feature_id: template.feature_id,
        name: template.name,
        display_name: names.display_name.clone(),
        original_language: names.original_language.clone(),
        language: names.original_language.clone(),
        translations: translations_message(names),
        description: template.description.unwrap_or_default(),
        template_data: Some(data_message(rest)),
        preview_url: template.preview_url.unwrap_or_default(),
        is_trending: template.is_trending,
        trend_score: template.trend_score,
        usage_count: template.usage_count.into(),
        view_count: template.view_count.into(),
        trend_start_time: template.trend_start_date.map(timestamp),
        trend_end_time: template.trend_end_date.map(timestamp),
        tags: template
            .tags
            .map(|tags| tags.items().to_vec())
            .unwrap_or_default(),
        is_active: template.is_active,
        order_index: template.order_index,
        create_time: Some(timestamp(template.created_at)),
        update_time: Some(timestamp(template.updated_at)),
        delete_time: template.deleted_at.map(timestamp),
        purge_time: None,
        etag: etag(template.version),
        preview_media_id: template.preview_media_id,
        preview_media: None,
    }
}

pub(super) fn data_message(data: TemplateData) -> proto::TemplateData {
    proto::TemplateData {
        prompt: data.prompt,
        negative_prompt: data.negative_prompt,
        variables: data.variables.into_iter().map(variable_message).collect(),
        defaults: Some(input_message(data.defaults)),
        style: Some(json::to_struct(data.style)),
        extra: Some(json::to_struct(data.extra)),
    }
}

fn variable_message(variable: Variable) -> proto::TemplateVariable {
    proto::TemplateVariable {
        name: variable.name,
        r#type: variable_type(variable.kind).into(),
        label: variable.label,
        description: variable.description,
        placeholder: variable.placeholder,
        default_value: variable.default.map(json::to_value),
        is_required: variable.required,
        max_length: variable.max_length,
        min: variable.min,
        max: variable.max,
        choices: variable.choices.into_iter().map(choice_message).collect(),
        step: variable.step,
        unit: variable.unit,
        group: variable.group,
    }
}

/// The feature's properties; those that cannot be read, which Atelier does not write, limit nothing.
pub(in crate::rpc) fn properties_of(feature: &feature::Model) -> FeatureProperties {
    stored::show(feature.properties.clone())
}

pub(in crate::rpc) fn input_limits(
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
        supported_aspect_ratios: ratios.iter().map(AspectRatio::to_string).collect(),
        max_resolution: resolution,
        max_duration_seconds: small(properties.max_duration),
        max_batch_size: small(properties.variations(limits)),
        max_prompt_chars: small(properties.prompt_chars(limits)),
        allow_empty_prompt: properties.allow_empty_prompt,
        cost_per_generation: properties.cost_per_generation,
    }
}

/// The template's data; those that cannot be read set no defaults.
pub(super) fn data_of(template: &template::Model) -> TemplateData {
    stored::show(Some(template.template_data.clone()))
}

/// The defaults, and the size in pixels that comes of them.
pub(in crate::rpc) fn input_defaults(
    data: &TemplateData,
    properties: &FeatureProperties,
    category: MediaType,
) -> (proto::GenerationInput, (i32, i32)) {
    let (input, (width, height)) = data.effective_defaults(properties, category);
    (input_message(input), (small(width), small(height)))
}

fn small(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
