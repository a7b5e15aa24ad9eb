//! Changing features: what a field mask names changes, and nothing else.

use atelier::rpc::proto::{Feature, FeatureProperties, MediaType, UpdateFeatureRequest};
use serde_json::json;

use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::samples::full_feature;
use crate::support::server::TestServer;
use crate::support::structure::structure;

on_both_databases! {
    async fn an_update_changes_what_its_mask_names_and_nothing_else(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for (number, (path, copy)) in CHANGES.into_iter().enumerate() {
            let old = server.add_feature(full_feature(&format!("old_{number}"))).await;
            let given = other_feature(&old);
            let new = server.update_feature(given.clone(), &[path]).await.unwrap();

            let mut expected = old.clone();
            copy(&mut expected, &given);
            assert_ne!(expected, old, "{path}");
            assert_ne!(new.etag, old.etag, "{path}");
            expected.etag.clone_from(&new.etag);
            expected.update_time = new.update_time;
            assert_eq!(new, expected, "{path}");
            assert_eq!(server.feature(old.id).await, new, "{path}");
        }
    }

    async fn a_star_replaces_everything_and_no_mask_what_is_set(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let old = server.add_feature(full_feature("old")).await;
        let sparse = Feature {
            id: old.id,
            description: "Áp phích".to_owned(),
            properties: Some(FeatureProperties { max_batch_size: 9, ..Default::default() }),
            ..Default::default()
        };
        let new = server.update_feature(sparse.clone(), &[]).await.unwrap();
        let mut expected = old.clone();
        expected.description.clone_from(&sparse.description);
        expected.properties.get_or_insert_default().max_batch_size = 9;
        (expected.etag, expected.update_time) = (new.etag.clone(), new.update_time);
        assert_eq!(new, expected);

        let whole = Feature { name: "new".to_owned(), ..sparse };
        let new = server.update_feature(whole, &["*"]).await.unwrap();
        let properties = new.properties.unwrap();
        assert_eq!((new.name.as_str(), new.system_prompt.as_str(), new.is_active), ("new", "", false));
        assert_eq!((properties.max_batch_size, properties.max_resolution.as_str()), (9, ""));
        assert_eq!((properties.formats.len(), new.category), (0, old.category));
    }

    async fn everything_wrong_with_an_update_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let old = server.add_feature(full_feature("old")).await;
        let wrong = Feature {
            id: old.id,
            name: "Bad Name".to_owned(),
            icon_url: "not looked at".to_owned(),
            order_index: 1_000_001,
            properties: Some(FeatureProperties {
                formats: ["png", "gif", "png"].map(str::to_owned).to_vec(),
                ..Default::default()
            }),
            etag: "1\n".to_owned(),
            ..Default::default()
        };
        let paths = ["name", "category", "properties.formats", "properties", "id", "properties.x", "order_index"];
        refusal(server.update_feature(wrong, &paths).await).of_fields([
            "feature.name",
            "feature.etag",
            "feature.order_index",
            "feature.properties.formats[1]",
            "feature.properties.formats[2]",
            "update_mask.paths[1]",
            "update_mask.paths[3]",
            "update_mask.paths[4]",
            "update_mask.paths[5]",
        ]);
        let nothing = UpdateFeatureRequest::default();
        refusal(server.features().update_feature(nothing).await).of_fields(["feature.id"]);
        assert_eq!(server.feature(old.id).await, old);
    }
}

type Copy = fn(&mut Feature, &Feature);

/// Every path that a mask may name, and what it changes.
const CHANGES: [(&str, Copy); 25] = [
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
    ("system_prompt", |to, from| {
        to.system_prompt.clone_from(&from.system_prompt);
    }),
    ("preview_url", |to, from| {
        to.preview_url.clone_from(&from.preview_url);
    }),
    ("icon_url", |to, from| {
        to.icon_url.clone_from(&from.icon_url);
    }),
    ("is_active", |to, from| to.is_active = from.is_active),
    ("order_index", |to, from| to.order_index = from.order_index),
    ("properties", |to, from| {
        to.properties.clone_from(&from.properties);
    }),
    ("properties.provider", |to, from| {
        of(to).provider = of(&mut from.clone()).provider.clone();
    }),
    ("properties.max_resolution", |to, from| {
        of(to).max_resolution = of(&mut from.clone()).max_resolution.clone();
    }),
    ("properties.formats", |to, from| {
        of(to).formats = of(&mut from.clone()).formats.clone();
    }),
    ("properties.max_duration_seconds", |to, from| {
        of(to).max_duration_seconds = of(&mut from.clone()).max_duration_seconds;
    }),
    ("properties.supported_aspect_ratios", |to, from| {
        of(to).supported_aspect_ratios = of(&mut from.clone()).supported_aspect_ratios.clone();
    }),
    ("properties.cost_per_generation", |to, from| {
        of(to).cost_per_generation = of(&mut from.clone()).cost_per_generation;
    }),
    ("properties.price", |to, from| {
        of(to).price = of(&mut from.clone()).price;
    }),
    ("properties.max_batch_size", |to, from| {
        of(to).max_batch_size = of(&mut from.clone()).max_batch_size;
    }),
    ("properties.max_concurrent_jobs", |to, from| {
        of(to).max_concurrent_jobs = of(&mut from.clone()).max_concurrent_jobs;
    }),
    ("properties.job_timeout_seconds", |to, from| {
        of(to).job_timeout_seconds = of(&mut from.clone()).job_timeout_seconds;
    }),
    ("properties.max_attempts", |to, from| {
        of(to).max_attempts = of(&mut from.clone()).max_attempts;
    }),
    ("properties.max_prompt_chars", |to, from| {
        of(to).max_prompt_chars = of(&mut from.clone()).max_prompt_chars;
    }),
    ("properties.allow_empty_prompt", |to, from| {
        of(to).allow_empty_prompt = of(&mut from.clone()).allow_empty_prompt;
    }),
    ("properties.extra", |to, from| {
        of(to).extra = of(&mut from.clone()).extra.clone();
    }),
];

fn of(feature: &mut Feature) -> &mut FeatureProperties {
    feature.properties.get_or_insert_default()
}

/// The feature with another value in every field, also in those that cannot change.
fn other_feature(old: &Feature) -> Feature {
    Feature {
        id: old.id,
        name: format!("{}_new", old.name),
        description: String::new(),
        category: MediaType::Audio.into(),
        system_prompt: "Be brief.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "elsewhere".to_owned(),
            model: String::new(),
            settings: None,
            fallbacks: vec![],
            max_resolution: "4K".to_owned(),
            formats: vec!["webp".to_owned(), "jpg".to_owned()],
            max_duration_seconds: 0,
            supported_aspect_ratios: vec![],
            cost_per_generation: 6,
            price: None,
            max_batch_size: 5,
            max_concurrent_jobs: 3,
            job_timeout_seconds: 91,
            max_attempts: 4,
            max_prompt_chars: 101,
            allow_empty_prompt: false,
            frame_rate: 50,
            thumbnail_sizes: vec![],
            omit_thumbnails: true,
            make_poster: false,
            make_preview: false,
            omit_recipe: false,
            hide_prompt: false,
            refuse_ignored_inputs: true,
            extra: Some(structure(&json!({}))),
        }),
        preview_url: String::new(),
        icon_url: "https://b.vn/i.png".to_owned(),
        is_active: false,
        order_index: -1_000_000,
        display_name: "Another".to_owned(),
        original_language: "fr".to_owned(),
        ..Default::default()
    }
}
