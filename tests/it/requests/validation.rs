//! CreateRequest with `validate_only`: the same checks, and nothing stored.

use atelier::entity::{idempotency_key, job, request, template_tally};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, ErrorReason,
    FeatureProperties, GenerationInput, LoraWeights, OutputSettings, ResolvedInput, TemplateData,
    TemplateVariable, TemplateVariableType,
};
use atelier::server::Role;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;
use tonic::Code;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::{Refusal, refusal};
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

on_both_databases! {
    async fn a_request_is_resolved_as_it_would_be_made(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let asked = styled_request(&server).await;

        let resolved = validate(&server, asked.clone()).await;

        assert_eq!(resolved.prompt, "Xin chào: giảm 10% ở Huế");
        assert_eq!(resolved.template_prompt, resolved.prompt);
        assert_eq!((resolved.user_prompt.as_str(), resolved.negative_prompt.as_str()), ("Xin chào", "blur"));
        assert_eq!((resolved.seeds.clone(), resolved.has_random_seed), (vec![41, 42], false));
        assert_eq!((resolved.variations, resolved.cost), (2, 14));
        assert_eq!((resolved.width, resolved.height), (1_920, 1_080));
        assert_eq!((resolved.format.as_str(), resolved.aspect_ratio.as_str()), ("jpg", "16:9"));
        let variables = [("city", json!("Huế")), ("percent", json!(10))];
        assert_eq!(resolved.variables, variables.map(|(name, json)| (name.to_owned(), value(&json))).into());
        assert_eq!(resolved.media_urls, asked.user_media_urls);
        assert_eq!(resolved.extra, Some(structure(&json!({ "studio": "north" }))));
        assert_eq!((resolved.cfg_scale, resolved.lora_weights["style"]), (Some(7.5), 0.8));
        assert_eq!(resolved.product_url, "https://shop.vn/p");

        // And so it is made.
        let (_, jobs) = server.create(asked).await;
        for (job, seed) in jobs.iter().zip(&resolved.seeds) {
            let input = server.job(job.id).await.input.unwrap().fields;
            for (key, expected) in [
                ("prompt", json!(resolved.prompt)), ("seed", json!(seed)), ("width", json!(resolved.width)),
                ("format", json!(resolved.format)), ("negative_prompt", json!(resolved.negative_prompt)),
            ] {
                assert_eq!(input[key], value(&expected), "{key}");
            }
        }
    }

    async fn a_request_that_leaves_everything_open_gets_the_feature_s_own(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let resolved = validate(&server, request_for(feature)).await;
        assert_eq!((resolved.seeds, resolved.has_random_seed), (vec![], true));
        assert_eq!((resolved.variations, resolved.cost), (1, 0));
        assert_eq!((resolved.prompt.as_str(), resolved.template_prompt.as_str()), ("Xin chào", ""));
        assert_eq!((resolved.width, resolved.height), (1_080, 1_080));
    }

    async fn nothing_is_stored_and_no_key_is_spent(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let keyed = CreateRequestRequest { idempotency_key: "order-17".to_owned(), ..styled_request(&server).await };
        validate(&server, keyed.clone()).await;

        let connection = db.connect().await;
        assert_eq!(request::Entity::find().count(&connection).await.unwrap(), 0);
        assert_eq!(job::Entity::find().count(&connection).await.unwrap(), 0);
        assert!(db.texts("SELECT CAST(id AS TEXT) FROM users").await.is_empty());
        assert_eq!(template_tally::Entity::find().count(&connection).await.unwrap(), 0);
        assert_eq!(idempotency_key::Entity::find().count(&connection).await.unwrap(), 0);

        // The key is still free for another payload, and then means nothing to a check.
        let other = CreateRequestRequest { user_prompt: "khác".to_owned(), ..keyed.clone() };
        server.create(other).await;
        validate(&server, keyed).await;
    }

    async fn what_would_be_refused_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut wrong = styled_request(&server).await;
        wrong.user_id = 0;
        wrong.idempotency_key = "x".repeat(129);
        let input = wrong.input.get_or_insert_default();
        input.variations = 3;
        input.variables.insert("colour".to_owned(), value(&json!("red")));
        refuse(&server, wrong).await
            .of_fields(["user_id", "idempotency_key", "input.variations", "input.variables.colour"]);
        refuse(&server, request_for(0)).await.of_fields(["feature_id"]);
        refuse(&server, request_for(4_711)).await.is(Code::NotFound, ErrorReason::FeatureNotFound);

        let inactive = CreateFeatureRequest { is_active: Some(false), ..scripted_feature("inactive") };
        let inactive = server.add_feature(inactive).await.id;
        refuse(&server, request_for(inactive)).await
            .is(Code::FailedPrecondition, ErrorReason::FeatureInactive)
            .with("feature_id", inactive);
        let feature = server.scripted_feature().await;
        let template = CreateTemplateRequest { is_active: Some(false), ..plain_template(feature, "inactive") };
        let template = server.add_template(template).await.id;
        refuse(&server, CreateRequestRequest { template_id: Some(template), ..request_for(feature) }).await
            .is(Code::FailedPrecondition, ErrorReason::TemplateInactive)
            .with("template_id", template);
    }

    async fn a_user_must_be_known_where_none_is_added(db: TestDatabase) {
        db.create_users().await;
        let server = TestServer::start_as(Role::Api, &db, |config| config.identity.provision_users = Some(false)).await;
        let feature = server.scripted_feature().await;
        refuse(&server, request_for(feature)).await
            .is(Code::FailedPrecondition, ErrorReason::UserUnknown)
            .with("user_id", USER);
        db.add_user(USER).await;
        validate(&server, request_for(feature)).await;
    }
}

async fn validate(server: &TestServer, asked: CreateRequestRequest) -> ResolvedInput {
    let only_checked = CreateRequestRequest {
        validate_only: true,
        ..asked
    };
    let answer = server.requests().create_request(only_checked).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.request, answer.jobs.len()), (None, 0));
    answer.resolved_input.unwrap()
}

async fn refuse(server: &TestServer, asked: CreateRequestRequest) -> Refusal {
    let only_checked = CreateRequestRequest {
        validate_only: true,
        ..asked
    };
    refusal(server.requests().create_request(only_checked).await)
}

/// A asked for a feature at 7 credits and at most two variations, with a template and something of everything.
async fn styled_request(server: &TestServer) -> CreateRequestRequest {
    let feature = CreateFeatureRequest {
        properties: Some(FeatureProperties {
            provider: "scripted".to_owned(),
            formats: vec!["png".to_owned(), "jpg".to_owned()],
            supported_aspect_ratios: vec!["1:1".to_owned(), "16:9".to_owned()],
            cost_per_generation: 7,
            max_batch_size: 2,
            ..Default::default()
        }),
        ..scripted_feature("priced")
    };
    let feature = server.add_feature(feature).await.id;
    let template = server.add_template(city_template(feature)).await.id;
    CreateRequestRequest {
        template_id: Some(template),
        user_media_urls: vec!["https://a.vn/x.png".to_owned()],
        input: Some(GenerationInput {
            seed: Some(41),
            cfg_scale: Some(7.5),
            lora_weights: Some(LoraWeights {
                weights: [("style".to_owned(), 0.8)].into(),
            }),
            product_url: Some("https://shop.vn/p".to_owned()),
            variations: 2,
            variables: [("city".to_owned(), value(&json!("Huế")))].into(),
            extra: Some(structure(&json!({ "studio": "north" }))),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

fn city_template(feature: i64) -> CreateTemplateRequest {
    let variable = |name: &str, kind: TemplateVariableType| TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        ..Default::default()
    };
    let percent = TemplateVariable {
        default_value: Some(value(&json!(10))),
        ..variable("percent", TemplateVariableType::Integer)
    };
    let data = TemplateData {
        prompt: "{{ user_prompt }}: giảm {{ percent }}% ở {{ city }}".to_owned(),
        negative_prompt: "blur".to_owned(),
        variables: vec![variable("city", TemplateVariableType::String), percent],
        defaults: Some(GenerationInput {
            output: Some(OutputSettings {
                format: Some("jpg".to_owned()),
                aspect_ratio: Some("16:9".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    CreateTemplateRequest {
        template_data: Some(data),
        ..plain_template(feature, "city")
    }
}
