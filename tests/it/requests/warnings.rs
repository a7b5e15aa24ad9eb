//! What of a request has no effect: told before it is paid for.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput, LoraWeights,
    MediaType, Warning,
};
use serde_json::json;
use tonic_types::StatusExt;

use crate::support::client::{plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::TestServer;
use crate::support::structure::structure;

on_both_databases! {
    async fn what_the_generator_does_not_read_or_show_is_warned_of_before_and_after(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = builtin(&server, MediaType::Image).await;
        let asked = CreateRequestRequest {
            user_prompt: "Trà 🍵 茶".to_owned(),
            user_media_urls: vec!["https://a.vn/1.png".to_owned()],
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
        let ignored = ["user_media_urls", "input.negative_prompt", "input.cfg_scale", "input.lora_weights",
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
    let feature = CreateFeatureRequest {
        name: category.as_str_name().to_lowercase(),
        category: category.into(),
        properties: Some(FeatureProperties {
            provider: "builtin".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    server.add_feature(feature).await.id
}
