//! What of a request has no effect, or waits for nobody who is known: told before it is paid for.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput, LoraWeights,
    MediaType, ProviderFallback, Warning,
};
use atelier::server::Role;
use serde_json::json;
use tonic_types::StatusExt;

use crate::support::client::{plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::provider::provider;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::structure::{structure, value};

const LOOK_AGAIN: Duration = Duration::from_millis(20);

on_both_databases! {
    async fn what_the_generator_does_not_read_or_show_is_warned_of_before_and_after(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = builtin(&server, MediaType::Image).await;
        let asked = CreateRequestRequest {
            user_prompt: "Trà 🍵 茶".to_owned(),
            idempotency_key: "order-17".to_owned(),
            input: Some(GenerationInput {
                negative_prompt: Some("blur".to_owned()),
                cfg_scale: Some(7.0),
                seed: Some(1),
                product_url: Some("https://a.vn/p".to_owned()),
                lora_weights: Some(LoraWeights { weights: [("x".to_owned(), 1.0)].into() }),
                extra: Some(structure(&json!({ "steps": 30 }))),
                ..Default::default()
            }),
            ..request_for(feature)
        };
        let ignored = ["input.negative_prompt", "input.cfg_scale", "input.lora_weights",
            "input.product_url", "input.extra"];
        let mut expected: Vec<_> = ignored.map(|field| (field.to_owned(), "IGNORED".to_owned(), String::new())).into();
        expected.push(("user_prompt".to_owned(), "CHARACTERS_OMITTED".to_owned(), "🍵茶".to_owned()));
        // Checked, made, and made again.
        for validate_only in [true, false, false] {
            let warnings = warnings(&server, CreateRequestRequest { validate_only, ..asked.clone() }).await;
            assert_eq!(warnings.last().unwrap().message, "These characters are left out: 🍵茶");
            let told = warnings.into_iter().map(|it| (it.field, it.reason, it.detail.unwrap().found));
            assert_eq!(told.collect::<Vec<_>>(), expected);
        }
    }

    async fn what_is_not_read_is_named_with_the_output_or_refused_as_the_feature_says(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut feature = drawn(MediaType::Image);
        let asked = |feature| CreateRequestRequest {
            input: Some(GenerationInput { cfg_scale: Some(7.0), seed: Some(1), product_url: Some("https://a.vn/p".to_owned()), ..Default::default() }),
            ..request_for(feature)
        };
        let telling = server.add_feature(feature.clone()).await.id;
        let ended = server.made(asked(telling)).await;
        let told = &ended.job.output_metadata.unwrap().fields["ignored_inputs"];
        assert_eq!(*told, value(&json!(["input.cfg_scale", "input.product_url"])));
        let quiet = server.made(request_for(telling)).await;
        assert!(!quiet.job.output_metadata.unwrap().fields.contains_key("ignored_inputs"));

        feature.name = "strict".to_owned();
        feature.properties.get_or_insert_default().refuse_ignored_inputs = true;
        let strict = server.add_feature(feature).await.id;
        for validate_only in [true, false] {
            let asked = CreateRequestRequest { validate_only, ..asked(strict) };
            refusal(server.requests().create_request(asked).await).of_fields(["input.cfg_scale", "input.product_url"]);
        }
        server.made(request_for(strict)).await;
    }

    async fn a_generator_that_no_worker_is_known_to_have_is_warned_of_and_not_refused(db: TestDatabase) {
        let api = TestServer::start_api(&db).await;
        let named = |name: &str, provider: &str| CreateFeatureRequest {
            properties: Some(FeatureProperties { provider: provider.to_owned(), ..Default::default() }),
            ..drawn_as(name)
        };
        let feature = api.add_feature(named("mistaken", "opnai")).await.id;
        for validate_only in [true, false] {
            let told = warnings(&api, CreateRequestRequest { validate_only, ..request_for(feature) }).await;
            let told: Vec<_> = told.into_iter().map(|it| (it.field, it.reason, it.detail.unwrap().found)).collect();
            assert_eq!(told, [("feature_id".to_owned(), "UNKNOWN_NAME".to_owned(), "opnai".to_owned())]);
        }

        // One that another process runs is known by what that says of itself.
        let studio = provider(&["kind=openai", "base_url=http://127.0.0.1:9", r#"makes=["image"]"#]);
        let configure = |config: &mut Config| { config.providers.insert("opnai".to_owned(), studio); };
        let worker = api.beside(Role::Worker, &db, configure).await;
        within(async {
            let asked = || CreateRequestRequest { validate_only: true, ..request_for(feature) };
            while !warnings(&api, asked()).await.is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        worker.stop().await;

        // A spare one is enough.
        let mut spared = named("spared", "nobody");
        spared.properties.get_or_insert_default().fallbacks =
            vec![ProviderFallback { provider: "builtin".to_owned(), ..Default::default() }];
        let spared = api.add_feature(spared).await.id;
        assert_eq!(warnings(&api, request_for(spared)).await, []);
    }

    async fn what_builtin_does_not_read_is_refused_when_the_feature_is_written(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut feature = drawn(MediaType::Image);
        let properties = feature.properties.get_or_insert_default();
        properties.model = "painter-3".to_owned();
        properties.settings = Some(structure(&json!({ "quality": "high" })));
        let refused = refusal(server.features().create_feature(feature.clone()).await);
        refused.of_fields(["properties.model", "properties.settings.quality"]);
        refused.says("properties.model", "must be left out: the generator has no models to choose from");
        feature.properties.get_or_insert_default().provider = "voice".to_owned();
        feature.category = MediaType::Audio.into();
        let refused = refusal(server.features().create_feature(feature).await);
        refused.of_fields(["properties.model", "properties.settings.quality"]);
    }

    async fn a_mask_is_refused_where_nothing_has_a_place_for_it(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = builtin(&server, MediaType::Image).await;
        let mask_url = Some("https://a.vn/mask.png".to_owned());
        let asked = CreateRequestRequest {
            input: Some(GenerationInput { mask_url: mask_url.clone(), ..Default::default() }),
            ..request_for(feature)
        };
        let refused = refusal(server.requests().create_request(asked.clone()).await);
        refused.of_fields(["input.mask_url"]);
        refused.says("input.mask_url", "must be left out: the generator of this feature takes no mask");

        let mut template = plain_template(feature, "masked");
        template.template_data.get_or_insert_default().defaults =
            Some(GenerationInput { mask_url, ..Default::default() });
        refusal(server.templates().create_template(template).await).of_fields(["template_data.defaults.mask_url"]);

        // Elsewhere there may be a provider that takes it, of which this process knows nothing.
        let mut unknown = drawn(MediaType::Image);
        unknown.name = "unknown".to_owned();
        unknown.properties.get_or_insert_default().provider = "elsewhere".to_owned();
        let unknown = server.add_feature(unknown).await.id;
        let asked = CreateRequestRequest { feature_id: unknown, validate_only: true, ..asked };
        let resolved = server.requests().create_request(asked).await.unwrap().into_inner().resolved_input;
        assert_eq!(resolved.unwrap().mask_url, "https://a.vn/mask.png");
    }

    async fn a_prompt_of_which_nothing_can_be_shown_is_refused_where_words_are_drawn(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = builtin(&server, MediaType::Image).await;
        let emoji = |feature| CreateRequestRequest { user_prompt: " 🎉🎂 ".to_owned(), ..request_for(feature) };
        for validate_only in [true, false] {
            let asked = CreateRequestRequest { validate_only, user_media_urls: vec!["x".to_owned()], ..emoji(feature) };
            let refused = server.requests().create_request(asked).await;
            let violations = refused.as_ref().unwrap_err().get_details_bad_request().unwrap().field_violations;
            let of_prompt = violations.iter().find(|violation| violation.field == "user_prompt").unwrap();
            assert_eq!(of_prompt.reason, "NOTHING_TO_SHOW");
            refusal(refused).of_fields(["user_prompt", "user_media_urls[0]"]);
        }

        // With words of a template there is something to show, and music has no letters.
        let mut template = plain_template(feature, "party");
        template.template_data.get_or_insert_default().prompt = "Chúc mừng {{ user_prompt }}".to_owned();
        let template = Some(server.add_template(template).await.id);
        let told = warnings(&server, CreateRequestRequest { template_id: template, ..emoji(feature) }).await;
        assert_eq!(told[0].reason, "CHARACTERS_OMITTED");
        let music = builtin(&server, MediaType::Audio).await;
        assert_eq!(warnings(&server, emoji(music)).await, []);
    }

    async fn a_prompt_that_is_cut_is_warned_of_and_a_generator_of_which_nothing_is_known_is_not(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let input = GenerationInput { cfg_scale: Some(7.0), ..Default::default() };
        let asked = CreateRequestRequest { input: Some(input), user_prompt: "🎉".to_owned(), ..request_for(feature) };
        assert_eq!(warnings(&server, asked).await, []);
        let words = "nhiều chữ ".repeat(200);
        let long = CreateRequestRequest { user_prompt: words, ..request_for(builtin(&server, MediaType::Image).await) };
        let told = warnings(&server, long).await;
        assert_eq!((told[0].field.as_str(), told[0].reason.as_str()), ("user_prompt", "SHORTENED"));
    }
}

async fn warnings(server: &TestServer, asked: CreateRequestRequest) -> Vec<Warning> {
    let answer = server.requests().create_request(asked).await;
    answer.unwrap().into_inner().warnings
}

async fn builtin(server: &TestServer, category: MediaType) -> i64 {
    server.add_feature(drawn(category)).await.id
}

fn drawn_as(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        ..drawn(MediaType::Image)
    }
}

fn drawn(category: MediaType) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: category.as_str_name().to_lowercase(),
        category: category.into(),
        properties: Some(FeatureProperties {
            provider: "builtin".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
