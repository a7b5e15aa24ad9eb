//! CreateRequest: what is accepted, what is stored of it, and what is refused with every reason at once.

use atelier::entity::{feature, template};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, ErrorReason,
    FeatureProperties, GenerationInput, GetFeatureRequest, GetTemplateRequest, JobStatus,
    LoraWeights, OutputSettings, RequestStatus, TemplateData, TemplateVariable,
    TemplateVariableType,
};
use atelier::server::Role;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;
use tonic::Code;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::{Refusal, refusal};
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

on_both_databases! {
    async fn everything_wrong_with_a_request_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = limited_feature(&server).await;
        let template = city_template(&server, feature).await;
        let right = CreateRequestRequest { template_id: Some(template), ..request_for(feature) };
        let wrong_input = CreateRequestRequest { input: Some(wrong_input()), ..right };
        refuse(&server, wrong_input.clone()).await.of_fields([
            "input.negative_prompt",
            "input.seed",
            "input.cfg_scale",
            "input.lora_weights.weights.style",
            "input.product_url",
            "input.mask_url",
            "input.variations",
            "input.output.format",
            "input.output.formats[1]",
            "input.output.formats[2]",
            "input.output.aspect_ratio",
            "input.output.width",
            "input.output.height",
            "input.output.duration_seconds",
            "input.variables.colour",
            "input.variables.city",
            "input.extra.seed",
        ]);

        let mut urls = vec!["https://a.vn/x.png".to_owned(); 17];
        urls[3] = "file:///etc/passwd".to_owned();
        let wrong = CreateRequestRequest {
            user_id: 0,
            project_id: Some(-1),
            user_prompt: "ế".repeat(4_001),
            user_media_urls: urls,
            metadata: Some(structure(&json!({ "note": "x".repeat(70_000) }))),
            idempotency_key: "k".repeat(129),
            ..request_for(feature)
        };
        refuse(&server, wrong.clone()).await.of_fields([
            "user_id",
            "project_id",
            "user_prompt",
            "user_media_urls",
            "user_media_urls[3]",
            "metadata",
            "idempotency_key",
        ]);

        let all = CreateRequestRequest { template_id: wrong_input.template_id, input: wrong_input.input, ..wrong };
        refuse(&server, all).await
            .is(Code::InvalidArgument, ErrorReason::ValidationFailed)
            .with("violations", 25);
    }

    async fn a_request_that_names_nothing_is_told_so_field_by_field(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let refused = refuse(&server, CreateRequestRequest::default()).await;
        refused.of_fields(["user_id", "feature_id", "user_prompt"]);
    }

    async fn a_size_must_stay_within_the_feature_and_go_with_the_ratio(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = limited_feature(&server).await;
        for (width, height, ratio, accepted) in [
            (1_920, 1_080, "16:9", true),
            (1_080, 1_080, "", true),
            (1_936, 1_089, "16:9", false),
            (1_000, 1_000, "16:9", false),
        ] {
            let mut sized = request_for(feature);
            sized.input.get_or_insert_default().output = Some(OutputSettings {
                width: Some(width), height: Some(height), aspect_ratio: Some(ratio.to_owned()), ..Default::default()
            });
            if accepted {
                server.create(sized).await;
            } else {
                refuse(&server, sized).await.of_fields(["input.output.width"]);
            }
        }
    }

    async fn a_prompt_of_only_spaces_is_refused_unless_the_feature_needs_none(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let blank = |feature| CreateRequestRequest { user_prompt: " \n\t ".to_owned(), ..request_for(feature) };
        refuse(&server, blank(feature)).await.of_fields(["user_prompt"]);

        let mut silent = scripted_feature("silent");
        silent.properties.get_or_insert_default().allow_empty_prompt = true;
        let silent = server.add_feature(silent).await.id;
        assert_eq!(server.create(blank(silent)).await.0.user_prompt, "");
    }

    async fn the_length_of_a_prompt_is_limited_by_configuration_and_by_feature(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| config.limits.prompt_chars = 5).await;
        let of = |feature, chars| CreateRequestRequest { user_prompt: "ế".repeat(chars), ..request_for(feature) };
        let feature = server.scripted_feature().await;
        server.create(of(feature, 5)).await;
        refuse(&server, of(feature, 6)).await.of_fields(["user_prompt"]);

        let mut wordy = scripted_feature("wordy");
        wordy.properties.get_or_insert_default().max_prompt_chars = 7;
        let wordy = server.add_feature(wordy).await.id;
        server.create(of(wordy, 7)).await;
        refuse(&server, of(wordy, 8)).await.of_fields(["user_prompt"]);
    }

    async fn a_character_that_a_database_cannot_store_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let mut nul = request_for(feature);
        nul.user_prompt = "a\0b".to_owned();
        nul.idempotency_key = "\0".to_owned();
        nul.metadata = Some(structure(&json!({ "a": ["\0"] })));
        nul.input = Some(GenerationInput {
            negative_prompt: Some("\0".to_owned()),
            extra: Some(structure(&json!({ "b": "\0" }))),
            ..Default::default()
        });
        refuse(&server, nul).await.of_fields([
            "user_prompt", "idempotency_key", "metadata", "input.negative_prompt", "input.extra",
        ]);
    }

    async fn a_feature_must_be_live_and_active(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        refuse(&server, request_for(4_711)).await
            .is(Code::NotFound, ErrorReason::FeatureNotFound)
            .with("feature_id", 4_711);

        let inactive = CreateFeatureRequest { is_active: Some(false), ..scripted_feature("inactive") };
        let inactive = server.add_feature(inactive).await.id;
        refuse(&server, request_for(inactive)).await
            .is(Code::FailedPrecondition, ErrorReason::FeatureInactive)
            .with("feature_id", inactive);

        let deleted = server.scripted_feature().await;
        delete_feature(&db, deleted).await;
        refuse(&server, request_for(deleted)).await
            .is(Code::NotFound, ErrorReason::FeatureNotFound)
            .with("feature_id", deleted);
        let found = server.features().get_feature(GetFeatureRequest { id: deleted, ..Default::default() }).await;
        assert!(found.unwrap().into_inner().feature.unwrap().delete_time.is_some());
    }

    async fn a_template_must_be_live_and_active_and_of_the_feature(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = limited_feature(&server).await;
        let other = server.scripted_feature().await;
        let with = |feature, template| CreateRequestRequest { template_id: Some(template), ..request_for(feature) };
        let foreign = city_template(&server, feature).await;
        refuse(&server, with(other, 4_711)).await
            .is(Code::NotFound, ErrorReason::TemplateNotFound)
            .with("template_id", 4_711);
        refuse(&server, with(other, foreign)).await.of_fields(["template_id"]);

        let inactive = CreateTemplateRequest { is_active: Some(false), ..plain_template(other, "inactive") };
        let inactive = server.add_template(inactive).await.id;
        refuse(&server, with(other, inactive)).await
            .is(Code::FailedPrecondition, ErrorReason::TemplateInactive)
            .with("template_id", inactive);

        let deleted = server.add_template(plain_template(other, "deleted")).await.id;
        delete_template(&db, deleted).await;
        refuse(&server, with(other, deleted)).await
            .is(Code::NotFound, ErrorReason::TemplateNotFound)
            .with("template_id", deleted);
        let found = server.templates().get_template(GetTemplateRequest { id: deleted, ..Default::default() }).await;
        assert!(found.unwrap().into_inner().template.unwrap().delete_time.is_some());
    }

    async fn an_unknown_user_is_recorded_on_sqlite_and_refused_on_postgres(db: TestDatabase) {
        if db.backend == Backend::Postgres {
            db.create_users().await;
        }
        let server = TestServer::start_as(Role::Api, &db, |config| config.identity.provision_users = None).await;
        let feature = server.scripted_feature().await;
        if db.backend == Backend::Postgres {
            refuse(&server, request_for(feature)).await
                .is(Code::FailedPrecondition, ErrorReason::UserUnknown)
                .with("user_id", USER);
            db.add_user(USER).await;
        }
        assert_eq!(server.create(request_for(feature)).await.0.user_id, USER);
    }

    async fn a_request_keeps_what_was_true_when_it_was_accepted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = limited_feature(&server).await;
        let template = city_template(&server, feature).await;
        let mut in_hue = CreateRequestRequest { template_id: Some(template), ..request_for(feature) };
        in_hue.input.get_or_insert_default().variables =
            [("city".to_owned(), value(&json!("Huế"))), ("percent".to_owned(), value(&json!(50)))].into();
        let (accepted, jobs) = server.create(in_hue).await;
        change_prompts(&db, feature, template).await;

        let request = server.request(accepted.id).await;
        assert_eq!(request, accepted);
        assert_eq!(request.system_prompt, "Be kind.");
        assert_eq!(request.template_prompt, "Xin chào: giảm 50% ở Huế");
        assert_eq!(request.user_prompt, "Xin chào");
        let input = server.job(jobs[0].id).await.input.unwrap();
        for (key, expected) in [
            ("prompt", "Xin chào: giảm 50% ở Huế"), ("user_prompt", "Xin chào"), ("system_prompt", "Be kind."),
            ("negative_prompt", "blur"), ("format", "jpg"), ("aspect_ratio", "16:9"), ("provider", "scripted"),
        ] {
            assert_eq!(input.fields[key], value(&json!(expected)), "{key}");
        }
    }

    async fn everything_given_comes_back_as_it_was_given(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let given = CreateRequestRequest {
            project_id: Some(3),
            user_media_urls: vec!["https://a.vn/x.png?q=\"1\"".replace('"', "%22"), "http://b.vn/{,}\\".to_owned()],
            input: Some(GenerationInput {
                negative_prompt: Some("mờ".to_owned()),
                seed: Some(0),
                cfg_scale: Some(7.5),
                lora_weights: Some(LoraWeights { weights: [("style".to_owned(), 0.8), ("Ảnh".to_owned(), -4.0)].into() }),
                product_url: Some("https://shop.vn/p?q=1#x".to_owned()),
                variations: 3,
                output: Some(OutputSettings { format: Some("webp".to_owned()), width: Some(640), height: Some(480), ..Default::default() }),
                extra: Some(structure(&json!({ "studio": { "lights": [1, true, null, "x"] } }))),
                ..Default::default()
            }),
            metadata: Some(structure(&json!({ "campaign": "tết", "depth": { "a": [{}] } }))),
            priority: -101,
            ..request_for(feature)
        };
        let (request, jobs) = server.create(given.clone()).await;

        assert_eq!(server.request(request.id).await, request);
        assert_eq!(request.status(), RequestStatus::Pending);
        assert_eq!(request.job_counts.unwrap().pending, 3);
        assert_eq!((request.project_id, request.template_id), (Some(3), None));
        assert_eq!(request.user_media_urls, given.user_media_urls);
        assert_eq!(request.input, given.input);
        assert_eq!(request.metadata, given.metadata);
        assert_eq!(jobs.iter().map(|job| job.variation).collect::<Vec<_>>(), [0, 1, 2]);
        for (seed, job) in jobs.iter().enumerate() {
            assert_eq!((job.status(), job.revision, job.priority), (JobStatus::Pending, 1, -100));
            assert_eq!((job.request_id, job.project_id, job.feature_id), (request.id, Some(3), feature));
            let input = server.job(job.id).await.input.unwrap();
            assert_eq!(input.fields["seed"], value(&json!(seed)));
            assert_eq!(input.fields["extra"], value(&json!({ "studio": { "lights": [1, true, null, "x"] } })));
        }
    }
}

async fn refuse(server: &TestServer, asked: CreateRequestRequest) -> Refusal {
    refusal(server.requests().create_request(asked).await)
}

/// A feature with every limit that a asked for a picture can break.
async fn limited_feature(server: &TestServer) -> i64 {
    let limited = CreateFeatureRequest {
        system_prompt: "Be kind.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "scripted".to_owned(),
            max_resolution: "1080p".to_owned(),
            formats: vec!["png".to_owned(), "jpeg".to_owned()],
            supported_aspect_ratios: vec!["1:1".to_owned(), "16:9".to_owned()],
            max_batch_size: 2,
            ..Default::default()
        }),
        ..scripted_feature("limited")
    };
    server.add_feature(limited).await.id
}

/// A template that demands a city and has defaults for the rest.
async fn city_template(server: &TestServer, feature_id: i64) -> i64 {
    let variable = |name: &str, kind: TemplateVariableType| TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        ..Default::default()
    };
    let city = TemplateVariable {
        is_required: true,
        ..variable("city", TemplateVariableType::String)
    };
    let percent = TemplateVariable {
        default_value: Some(value(&json!(10))),
        ..variable("percent", TemplateVariableType::Integer)
    };
    let output = OutputSettings {
        format: Some("jpg".to_owned()),
        aspect_ratio: Some("16:9".to_owned()),
        ..Default::default()
    };
    let template = CreateTemplateRequest {
        template_data: Some(TemplateData {
            prompt: "{{ user_prompt }}: giảm {{ percent }}% ở {{ city }}".to_owned(),
            negative_prompt: "blur".to_owned(),
            variables: vec![city, percent],
            defaults: Some(GenerationInput {
                output: Some(output),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..plain_template(feature_id, "city")
    };
    server.add_template(template).await.id
}

/// Every structured input out of its bounds for [`limited_feature`] and [`city_template`].
fn wrong_input() -> GenerationInput {
    GenerationInput {
        negative_prompt: Some("x".repeat(4_001)),
        seed: Some(-2),
        cfg_scale: Some(50.1),
        lora_weights: Some(LoraWeights {
            weights: [("style".to_owned(), 4.1), ("fine".to_owned(), 4.0)].into(),
        }),
        product_url: Some("ftp://a.vn".to_owned()),
        mask_url: Some("ftp://a.vn/mask.png".to_owned()),
        variations: 3,
        output: Some(OutputSettings {
            format: Some("gif".to_owned()),
            aspect_ratio: Some("4:3".to_owned()),
            width: Some(32),
            height: Some(0),
            duration_seconds: Some(5),
            formats: vec!["png".to_owned(), "gif".to_owned(), "png".to_owned()],
        }),
        variables: [("colour".to_owned(), value(&json!("red")))].into(),
        extra: Some(structure(&json!({ "seed": 1 }))),
    }
}

fn long_ago() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

async fn delete_feature(db: &TestDatabase, id: i64) {
    let deleted = feature::ActiveModel {
        id: Set(id),
        deleted_at: Set(Some(long_ago())),
        ..Default::default()
    };
    let connection = db.connect().await;
    let updated = feature::Entity::update(deleted).exec(&connection).await;
    updated.unwrap();
}

async fn delete_template(db: &TestDatabase, id: i64) {
    let deleted = template::ActiveModel {
        id: Set(id),
        deleted_at: Set(Some(long_ago())),
        ..Default::default()
    };
    let connection = db.connect().await;
    let updated = template::Entity::update(deleted).exec(&connection).await;
    updated.unwrap();
}

async fn change_prompts(db: &TestDatabase, feature_id: i64, template_id: i64) {
    let connection = db.connect().await;
    let feature = feature::ActiveModel {
        id: Set(feature_id),
        system_prompt: Set(Some("Be quick.".to_owned())),
        ..Default::default()
    };
    feature::Entity::update(feature)
        .exec(&connection)
        .await
        .unwrap();
    let template = template::ActiveModel {
        id: Set(template_id),
        template_data: Set(json!({ "prompt": "changed", "defaults": {} })),
        ..Default::default()
    };
    template::Entity::update(template)
        .exec(&connection)
        .await
        .unwrap();
}
