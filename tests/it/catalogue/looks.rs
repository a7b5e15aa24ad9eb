//! Styles that the feature's provider cannot read, and numbers that are none: refused when they are written or asked for,
//! with everything else that is wrong.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, Feature, FeatureProperties,
    GenerationInput, MediaType, Template, TemplateData, TemplateVariable, TemplateVariableType,
    UpdateFeatureRequest, UpdateTemplateRequest,
};
use prost_types::{FieldMask, Struct, Value, value::Kind};
use serde_json::{Value as Json, json};

use crate::support::client::{plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::samples::variable;
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

on_both_databases! {
    async fn a_style_that_the_provider_cannot_read_is_refused_when_a_template_is_written(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for (category, style, wrong) in [
            (MediaType::Image, json!({ "layout": "nope", "motif": 7, "footer": "ok" }), vec!["layout", "motif"]),
            (MediaType::Video, json!({ "font": "x", "animation": { "pan": "up" } }), vec!["font", "animation.pan"]),
            (MediaType::Audio, json!({ "tempo": 300, "layout": "nope" }), vec!["tempo"]),
        ] {
            let feature = server.add_feature(builtin(category)).await.id;
            let template = CreateTemplateRequest { name: String::new(), ..styled(feature, style) };
            let wrong = wrong.into_iter().map(|key| format!("template_data.style.{key}"));
            let fields: Vec<String> = std::iter::once("name".to_owned()).chain(wrong).collect();
            assert_eq!(refusal(server.templates().create_template(template).await).fields, fields);
        }
    }

    async fn a_default_that_the_provider_cannot_read_is_refused_at_its_variable(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(builtin(MediaType::Audio)).await.id;
        let created = server.add_template(mood_template(feature, "calm")).await;
        let update = UpdateTemplateRequest {
            template: Some(Template {
                id: created.id,
                template_data: mood_template(feature, "hungry").template_data,
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["template_data".to_owned()] }),
            ..Default::default()
        };
        refusal(server.templates().update_template(update).await)
            .of_fields(["template.template_data.variables[0].default_value"]);
    }

    async fn a_request_that_the_provider_cannot_read_is_refused_with_all_else(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(builtin(MediaType::Audio)).await.id;
        let template = server.add_template(mood_template(feature, "calm")).await.id;
        for validate_only in [true, false] {
            let wrong = CreateRequestRequest {
                template_id: Some(template),
                user_media_urls: vec!["ftp://a.vn".to_owned()],
                validate_only,
                input: Some(GenerationInput {
                    variables: [("mood".to_owned(), value(&json!("hungry")))].into(),
                    ..Default::default()
                }),
                ..request_for(feature)
            };
            let refused = refusal(server.requests().create_request(wrong).await);
            refused.of_fields(["input.variables.mood", "user_media_urls[0]"]);
        }
    }

    async fn a_request_for_a_template_with_an_old_wrong_style_is_refused(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(builtin(MediaType::Image)).await.id;
        let template = server.add_template(styled(feature, json!({ "layout": "poster" }))).await.id;
        db.execute("UPDATE generation_templates SET template_data = '{\"style\": {\"layout\": \"nope\"}}'").await;
        let asked = CreateRequestRequest { template_id: Some(template), ..request_for(feature) };
        let refused = refusal(server.requests().create_request(asked).await);
        refused.of_fields(["template_id"]);
        assert!(refused.descriptions[0].starts_with("the template's style.layout must be one of"), "{refused:?}");
    }

    async fn a_number_that_is_none_is_told_with_all_else_that_is_wrong(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let properties = FeatureProperties { extra: Some(nan()), max_batch_size: -1, ..Default::default() };
        let feature = CreateFeatureRequest { properties: Some(properties.clone()), ..builtin(MediaType::Image) };
        refusal(server.features().create_feature(feature).await)
            .of_fields(["properties.extra", "properties.max_batch_size"]);

        let feature = server.add_feature(builtin(MediaType::Image)).await.id;
        let update = UpdateFeatureRequest {
            feature: Some(Feature { id: feature, properties: Some(properties), ..Default::default() }),
            update_mask: Some(FieldMask { paths: vec!["properties".to_owned()] }), ..Default::default() };
        refusal(server.features().update_feature(update).await)
            .of_fields(["feature.properties.extra", "feature.properties.max_batch_size"]);

        let data = TemplateData { style: Some(nan()), ..Default::default() };
        let template = CreateTemplateRequest {
            name: String::new(),
            template_data: Some(data),
            ..plain_template(feature, "x")
        };
        refusal(server.templates().create_template(template).await).of_fields(["template_data.style", "name"]);

        let asked = CreateRequestRequest { metadata: Some(nan()), user_prompt: String::new(), ..request_for(feature) };
        refusal(server.requests().create_request(asked).await).of_fields(["metadata", "user_prompt"]);
    }
}

fn builtin(category: MediaType) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: format!("of_{}", category as i32),
        category: category.into(),
        ..Default::default()
    }
}

fn styled(feature: i64, style: Json) -> CreateTemplateRequest {
    let data = TemplateData {
        style: Some(structure(&style)),
        ..Default::default()
    };
    CreateTemplateRequest {
        template_data: Some(data),
        ..plain_template(feature, "styled")
    }
}

/// A template whose user chooses the mood.
fn mood_template(feature: i64, default: &str) -> CreateTemplateRequest {
    let mood = TemplateVariable {
        default_value: Some(value(&json!(default))),
        ..variable("mood", TemplateVariableType::String)
    };
    let data = TemplateData {
        variables: vec![mood],
        ..Default::default()
    };
    CreateTemplateRequest {
        template_data: Some(data),
        ..plain_template(feature, "moody")
    }
}

fn nan() -> Struct {
    let number = Value {
        kind: Some(Kind::NumberValue(f64::NAN)),
    };
    Struct {
        fields: [("a".to_owned(), number)].into(),
    }
}
