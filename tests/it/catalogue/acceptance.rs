//! Features and templates: what is accepted, what comes back, what is refused; and lookups of what is not there.

use atelier::entity::feature;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateTemplateRequest, DownloadMediaRequest, ErrorReason, FeaturePrice,
    FeatureProperties, GenerationInput, GetFeatureRequest, GetJobRequest, GetMediaRequest,
    GetRequestRequest, GetTemplateRequest, ListTemplatesRequest, MediaType, OutputSettings,
    ProviderFallback, TemplateData, TemplateVariable, TemplateVariableType, Translation,
};
use prost_types::Timestamp;
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;
use tonic::Code;

use crate::support::client::{plain_template, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::samples::choice;
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

on_both_databases! {
    async fn a_feature_comes_back_as_it_was_given(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let given = CreateFeatureRequest {
            name: "banner".to_owned(),
            description: "Biểu ngữ".to_owned(),
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
                formats: vec!["webp".to_owned(), "png".to_owned()],
                max_duration_seconds: 60,
                supported_aspect_ratios: vec!["16:9".to_owned()],
                cost_per_generation: 5_000_000,
                price: Some(FeaturePrice { base: 7, per_second: 0, per_megapixel: 3 }),
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
                extra: Some(structure(&json!({ "studio": { "lights": [1, null] } }))),
            }),
            preview_url: "https://a.vn/p.png".to_owned(),
            icon_url: "https://a.vn/i.png".to_owned(),
            is_active: Some(false),
            order_index: -3,
            display_name: "Banner".to_owned(),
            original_language: "en".to_owned(),
            translations: [("vi".to_owned(), Translation { description: "Xin chào".to_owned(), ..Default::default() })].into(),
            ..Default::default()
        };
        let created = server.add_feature(given.clone()).await;
        let request = GetFeatureRequest { id: created.id, ..Default::default() };
        let found = server.features().get_feature(request).await.unwrap().into_inner().feature.unwrap();

        assert_eq!(found, created);
        assert_eq!(found.properties, given.properties);
        assert_eq!((found.name, found.description, found.category), (given.name, given.description, given.category));
        assert_eq!((found.system_prompt, found.is_active, found.order_index), (given.system_prompt, false, -3));
        assert_eq!((found.preview_url, found.icon_url), (given.preview_url, given.icon_url));
        assert_eq!((found.display_name, found.original_language), (given.display_name, given.original_language));
        assert_eq!((found.translations, found.language.as_str()), (given.translations, "en"));
        assert!(found.create_time.is_some() && found.delete_time.is_none());
    }

    async fn everything_wrong_with_a_feature_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = CreateFeatureRequest {
            name: "Bad Name".to_owned(),
            description: "x".repeat(2_001),
            category: MediaType::Image.into(),
            system_prompt: "x".repeat(20_001),
            properties: Some(FeatureProperties {
                provider: "p".repeat(65),
                max_resolution: "huge".to_owned(),
                formats: vec!["jpeg".to_owned(), "exe".to_owned()],
                max_duration_seconds: -1,
                supported_aspect_ratios: vec!["1:9".to_owned()],
                cost_per_generation: -1,
                max_batch_size: -1,
                max_prompt_chars: -1,
                extra: Some(structure(&json!({ "formats": [] }))),
                ..Default::default()
            }),
            preview_url: "javascript:alert(1)".to_owned(),
            icon_url: "a.png".to_owned(),
            ..Default::default()
        };
        refusal(server.features().create_feature(wrong).await).of_fields([
            "name",
            "description",
            "system_prompt",
            "properties.provider",
            "properties.max_resolution",
            "properties.formats[1]",
            "properties.max_duration_seconds",
            "properties.supported_aspect_ratios[0]",
            "properties.cost_per_generation",
            "properties.max_batch_size",
            "properties.max_prompt_chars",
            "properties.extra.formats",
            "preview_url",
            "icon_url",
        ]);
        let empty = CreateFeatureRequest::default();
        refusal(server.features().create_feature(empty).await).of_fields(["name", "category"]);
        let unknown = CreateFeatureRequest { category: 99, ..scripted_feature("unknown") };
        refusal(server.features().create_feature(unknown).await).of_fields(["category"]);
    }

    async fn the_name_of_a_live_feature_is_taken_and_that_of_a_deleted_one_is_free(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let first = server.add_feature(scripted_feature("poster")).await;
        refusal(server.features().create_feature(scripted_feature("poster")).await)
            .is(Code::AlreadyExists, ErrorReason::FeatureNameTaken)
            .with("name", "poster");
        let deleted = feature::ActiveModel {
            id: Set(first.id),
            deleted_at: Set(Some(chrono::DateTime::UNIX_EPOCH)),
            ..Default::default()
        };
        feature::Entity::update(deleted).exec(&db.connect().await).await.unwrap();
        assert_ne!(server.add_feature(scripted_feature("poster")).await.id, first.id);
    }

    async fn a_template_comes_back_as_it_was_given(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        let given = CreateTemplateRequest {
            feature_id: feature.id,
            name: "sale".to_owned(),
            description: "Giảm giá".to_owned(),
            template_data: Some(sale()),
            preview_url: "https://a.vn/p.png".to_owned(),
            tags: vec!["tết".to_owned(), "a \"quoted\", {tag}\\".to_owned()],
            is_active: None,
            order_index: 5,
            trend_start_time: Some(Timestamp { seconds: 1, nanos: 0 }),
            trend_end_time: Some(Timestamp { seconds: 2, nanos: 3_000 }),
            feature: String::new(),
            display_name: "Sale".to_owned(),
            original_language: "en".to_owned(),
            translations: [("vi".to_owned(), Translation { description: "Xin chào".to_owned(), ..Default::default() })].into(),
            ..Default::default()
        };
        let created = server.add_template(given.clone()).await;
        let request = GetTemplateRequest { id: created.id, ..Default::default() };
        let found = server.templates().get_template(request).await.unwrap().into_inner().template.unwrap();

        assert_eq!(found, created);
        assert_eq!(found.template_data, given.template_data);
        assert_eq!((found.feature_id, found.name, found.tags), (feature.id, given.name, given.tags));
        assert_eq!((found.description, found.preview_url), (given.description, given.preview_url));
        assert_eq!((found.is_active, found.order_index, found.usage_count), (true, 5, 0));
        assert_eq!((found.trend_start_time, found.trend_end_time), (given.trend_start_time, given.trend_end_time));
        assert_eq!((found.display_name, found.original_language), (given.display_name, given.original_language));
        assert_eq!((found.translations, found.language.as_str()), (given.translations, "en"));
    }

    async fn everything_wrong_with_a_template_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        let wrong = CreateTemplateRequest {
            feature_id: feature.id,
            name: String::new(),
            description: "x".repeat(2_001),
            template_data: Some(wrong_data()),
            preview_url: "p.png".to_owned(),
            tags: vec!["a".to_owned(), "a".to_owned(), String::new()],
            ..Default::default()
        };
        refusal(server.templates().create_template(wrong).await).of_fields([
            "name",
            "description",
            "preview_url",
            "tags[1]",
            "tags[2]",
            "template_data.prompt",
            "template_data.variables[0].name",
            "template_data.variables[1].choices",
            "template_data.variables[2].default_value",
            "template_data.extra.prompt",
            "template_data.defaults.seed",
            "template_data.defaults.variables",
            "template_data.defaults.output.format",
        ]);
    }

    async fn a_prompt_that_is_not_well_formed_or_names_an_unknown_variable_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        for prompt in ["{{ nobody }}", "{{ oops", "{% for x in y %}"] {
            let template = CreateTemplateRequest {
                template_data: Some(TemplateData { prompt: prompt.to_owned(), ..Default::default() }),
                ..plain_template(feature.id, "broken")
            };
            let refused = refusal(server.templates().create_template(template).await);
            refused.of_fields(["template_data.prompt"]);
        }
    }

    async fn the_name_of_a_template_is_taken_within_its_feature_only(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        let other = server.add_feature(scripted_feature("banner")).await;
        server.add_template(plain_template(feature.id, "sale")).await;
        refusal(server.templates().create_template(plain_template(feature.id, "sale")).await)
            .is(Code::AlreadyExists, ErrorReason::TemplateNameTaken)
            .with("name", "sale")
            .with("feature_id", feature.id);
        server.add_template(plain_template(other.id, "sale")).await;
        refusal(server.templates().create_template(plain_template(4_711, "sale")).await)
            .is(Code::NotFound, ErrorReason::FeatureNotFound)
            .with("feature_id", 4_711);
    }

    async fn templates_are_found_by_all_of_their_tags(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        for (name, tags) in [("a", vec!["tết", "mùa hè"]), ("b", vec!["tết"]), ("c", vec![])] {
            let tags = tags.into_iter().map(str::to_owned).collect();
            server.add_template(CreateTemplateRequest { tags, ..plain_template(feature.id, name) }).await;
        }
        for (tags, expected) in [
            (vec![], vec!["a", "b", "c"]),
            (vec!["tết"], vec!["a", "b"]),
            (vec!["mùa hè", "tết"], vec!["a"]),
            (vec!["tết", "đông"], vec![]),
        ] {
            let tags = tags.into_iter().map(str::to_owned).collect();
            let filter = ListTemplatesRequest { tags, ..Default::default() };
            let listed = server.templates().list_templates(filter).await.unwrap().into_inner();
            let names: Vec<_> = listed.templates.iter().map(|template| template.name.as_str()).collect();
            assert_eq!(names, expected);
        }
    }

    async fn what_is_not_there_is_not_found_and_an_identifier_must_be_positive(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let id = 4_711;
        let unknown = [
            (refusal(server.features().get_feature(GetFeatureRequest { id, ..Default::default() }).await), ErrorReason::FeatureNotFound, "feature_id"),
            (refusal(server.templates().get_template(GetTemplateRequest { id, ..Default::default() }).await), ErrorReason::TemplateNotFound, "template_id"),
            (refusal(server.requests().get_request(GetRequestRequest { id, ..Default::default() }).await), ErrorReason::RequestNotFound, "request_id"),
            (refusal(server.jobs().get_job(GetJobRequest { id, ..Default::default() }).await), ErrorReason::JobNotFound, "job_id"),
            (refusal(server.media().get_media(GetMediaRequest { id, ..Default::default() }).await), ErrorReason::MediaNotFound, "media_id"),
            (refusal(server.media().download_media(DownloadMediaRequest { id, offset: 0 }).await.map(|_| ())), ErrorReason::MediaNotFound, "media_id"),
        ];
        for (refused, reason, key) in unknown {
            refused.is(Code::NotFound, reason).with(key, id);
        }
        for id in [0, -1] {
            refusal(server.features().get_feature(GetFeatureRequest { id, ..Default::default() }).await).of_fields(["id"]);
            refusal(server.templates().get_template(GetTemplateRequest { id, ..Default::default() }).await).of_fields(["id"]);
            refusal(server.requests().get_request(GetRequestRequest { id, ..Default::default() }).await).of_fields(["id"]);
            refusal(server.jobs().get_job(GetJobRequest { id, ..Default::default() }).await).of_fields(["id"]);
            refusal(server.media().get_media(GetMediaRequest { id, ..Default::default() }).await).of_fields(["id"]);
            refusal(server.media().download_media(DownloadMediaRequest { id, offset: 0 }).await.map(|_| ())).of_fields(["id"]);
        }
    }
}

fn variable(name: &str, kind: TemplateVariableType) -> TemplateVariable {
    TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        ..Default::default()
    }
}

/// Template data with every field in use.
fn sale() -> TemplateData {
    TemplateData {
        prompt: "{{ user_prompt }} {{ percent }}% {{ city }}".to_owned(),
        negative_prompt: "mờ".to_owned(),
        variables: vec![
            TemplateVariable {
                label: "Phần trăm".to_owned(),
                description: "Giảm bao nhiêu\nso với giá gốc".to_owned(),
                placeholder: "10".to_owned(),
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
            TemplateVariable {
                max_length: 30,
                ..variable("note", TemplateVariableType::String)
            },
            variable("bold", TemplateVariableType::Boolean),
            variable("scale", TemplateVariableType::Number),
        ],
        defaults: Some(GenerationInput {
            seed: Some(5),
            variations: 2,
            output: Some(OutputSettings {
                aspect_ratio: Some("16:9".to_owned()),
                ..Default::default()
            }),
            extra: Some(structure(&json!({ "studio": [1] }))),
            ..Default::default()
        }),
        style: Some(structure(&json!({ "palette": "sunset" }))),
        extra: Some(structure(&json!({ "house": { "kept": true } }))),
    }
}

fn wrong_data() -> TemplateData {
    TemplateData {
        prompt: "{{ nobody }}".to_owned(),
        variables: vec![
            variable("not a name", TemplateVariableType::String),
            variable("choice", TemplateVariableType::Enum),
            TemplateVariable {
                default_value: Some(value(&json!("many"))),
                ..variable("count", TemplateVariableType::Integer)
            },
        ],
        defaults: Some(GenerationInput {
            seed: Some(-2),
            output: Some(OutputSettings {
                format: Some("gif".to_owned()),
                ..Default::default()
            }),
            variables: [("count".to_owned(), value(&json!(1)))].into(),
            ..Default::default()
        }),
        extra: Some(structure(&json!({ "prompt": "x" }))),
        ..Default::default()
    }
}
