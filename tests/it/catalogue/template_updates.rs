//! Changing templates: what a field mask names changes, and nothing else.

use atelier::rpc::proto::{
    GenerationInput, OutputSettings, Template, TemplateData, TemplateVariableType,
    UpdateTemplateRequest,
};
use prost_types::Timestamp;
use serde_json::json;

use crate::support::client::plain_template;
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::samples::{full_template, limited_feature, sale, variable};
use crate::support::server::TestServer;
use crate::support::structure::structure;

on_both_databases! {
    async fn an_update_changes_what_its_mask_names_and_nothing_else(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        for (number, (path, copy)) in CHANGES.into_iter().enumerate() {
            let old = server.add_template(full_template(feature, &format!("old_{number}"))).await;
            let given = other_template(&old);
            let new = server.update_template(given.clone(), &[path]).await.unwrap();

            let mut expected = old.clone();
            copy(&mut expected, &given);
            assert_ne!(expected, old, "{path}");
            assert_ne!(new.etag, old.etag, "{path}");
            expected.etag.clone_from(&new.etag);
            expected.update_time = new.update_time;
            assert_eq!(new, expected, "{path}");
            assert_eq!(server.template(old.id).await, new, "{path}");
        }
    }

    async fn a_star_replaces_everything_and_no_mask_what_is_set(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let old = server.add_template(full_template(feature, "old")).await;
        let sparse = Template {
            id: old.id,
            tags: vec!["tết".to_owned()],
            template_data: Some(TemplateData { negative_prompt: "tối".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let new = server.update_template(sparse.clone(), &[]).await.unwrap();
        let mut expected = old.clone();
        expected.tags.clone_from(&sparse.tags);
        of(&mut expected).negative_prompt = "tối".to_owned();
        (expected.etag, expected.update_time) = (new.etag.clone(), new.update_time);
        assert_eq!(new, expected);

        let new = server.update_template(Template { name: "new".to_owned(), ..sparse }, &["*"]).await.unwrap();
        let data = new.template_data.clone().unwrap();
        assert_eq!((data.negative_prompt.as_str(), data.prompt.as_str(), data.variables.len()), ("tối", "", 0));
        assert_eq!((new.name.as_str(), new.description.as_str(), new.is_active), ("new", "", false));
        assert_eq!((new.feature_id, new.trend_start_time), (feature, None));
        assert_eq!(server.update_template(new.clone(), &["*"]).await.unwrap(), new);
    }

    async fn everything_wrong_with_an_update_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let old = server.add_template(plain_template(feature, "old")).await;
        let wrong = Template {
            id: old.id,
            name: "Bad Name".to_owned(),
            tags: vec!["a\nb".to_owned()],
            template_data: Some(TemplateData {
                variables: vec![variable("a", TemplateVariableType::Unspecified)],
                defaults: Some(GenerationInput { variations: 3, ..Default::default() }),
                ..Default::default()
            }),
            trend_start_time: Some(Timestamp { seconds: 9, nanos: 0 }),
            trend_end_time: Some(Timestamp { seconds: 9, nanos: 0 }),
            order_index: 1_000_001,
            ..Default::default()
        };
        let paths = ["name", "feature_id", "template_data", "trend_start_time", "trend_end_time", "view_count"];
        refusal(server.update_template(wrong.clone(), &paths).await).of_fields([
            "template.name",
            "template.trend_end_time",
            "template.template_data.variables[0].type",
            "template.template_data.defaults.variations",
            "update_mask.paths[1]",
            "update_mask.paths[5]",
        ]);
        // What the mask does not name is not looked at.
        let renamed = Template { name: "new".to_owned(), trend_end_time: Some(Timestamp { seconds: 0, nanos: -1 }), ..wrong };
        refusal(server.update_template(renamed.clone(), &["trend_end_time"]).await).of_fields(["template.trend_end_time"]);
        assert_eq!(server.update_template(renamed, &["name"]).await.unwrap().name, "new");
        let nothing = UpdateTemplateRequest::default();
        refusal(server.templates().update_template(nothing).await).of_fields(["template.id"]);
    }
}

type Copy = fn(&mut Template, &Template);

/// Every path that a mask may name, and what it changes.
const CHANGES: [(&str, Copy); 18] = [
    ("name", |to, from| to.name.clone_from(&from.name)),
    ("display_name", |to, from| {
        to.display_name.clone_from(&from.display_name);
    }),
    ("original_language", |to, from| {
        to.original_language.clone_from(&from.original_language);
        to.language.clone_from(&from.original_language);
    }),
    ("translations", |to, from| {
        to.translations.clone_from(&from.translations);
    }),
    ("description", |to, from| {
        to.description.clone_from(&from.description);
    }),
    ("preview_url", |to, from| {
        to.preview_url.clone_from(&from.preview_url);
    }),
    ("tags", |to, from| to.tags.clone_from(&from.tags)),
    ("is_active", |to, from| to.is_active = from.is_active),
    ("order_index", |to, from| to.order_index = from.order_index),
    ("trend_start_time", |to, from| {
        to.trend_start_time = from.trend_start_time;
    }),
    ("trend_end_time", |to, from| {
        to.trend_end_time = from.trend_end_time;
    }),
    ("template_data", |to, from| {
        to.template_data.clone_from(&from.template_data);
    }),
    ("template_data.prompt", |to, from| {
        of(to).prompt = of(&mut from.clone()).prompt.clone();
    }),
    ("template_data.negative_prompt", |to, from| {
        of(to).negative_prompt = of(&mut from.clone()).negative_prompt.clone();
    }),
    ("template_data.variables", |to, from| {
        of(to).variables = of(&mut from.clone()).variables.clone();
    }),
    ("template_data.defaults", |to, from| {
        of(to).defaults = of(&mut from.clone()).defaults.clone();
    }),
    ("template_data.style", |to, from| {
        of(to).style = of(&mut from.clone()).style.clone();
    }),
    ("template_data.extra", |to, from| {
        of(to).extra = of(&mut from.clone()).extra.clone();
    }),
];

fn of(template: &mut Template) -> &mut TemplateData {
    template.template_data.get_or_insert_default()
}

/// The template with another value in every field, also in those that cannot change. Each by itself goes with the others' old
/// values.
fn other_template(old: &Template) -> Template {
    Template {
        id: old.id,
        feature_id: 4_711,
        name: format!("{}_new", old.name),
        template_data: Some(TemplateData {
            prompt: "{{ city }}".to_owned(),
            negative_prompt: String::new(),
            variables: sale().variables.into_iter().rev().collect(),
            defaults: Some(GenerationInput {
                seed: Some(6),
                output: Some(OutputSettings::default()),
                extra: Some(structure(&json!({ "studio": [1] }))),
                ..Default::default()
            }),
            style: Some(structure(&json!({}))),
            extra: Some(structure(&json!({ "house": [1, null] }))),
        }),
        is_trending: true,
        trend_score: 9,
        usage_count: 9,
        view_count: 9,
        trend_start_time: Some(Timestamp {
            seconds: 1_500,
            nanos: 0,
        }),
        trend_end_time: Some(Timestamp {
            seconds: 2_500,
            nanos: 1_000,
        }),
        order_index: -1_000_000,
        display_name: "Another".to_owned(),
        original_language: "fr".to_owned(),
        ..Default::default()
    }
}
