//! Deleting and undeleting templates, rival changes of them, trying them out, and what a form is drawn from.

use atelier::entity::template;
use atelier::rpc::proto::{
    CreateRequestRequest, CreateTemplateRequest, DeleteFeatureRequest, DeleteTemplateRequest,
    ErrorReason, GenerationInput, GetTemplateRequest, GetTemplateResponse, InputLimits, MediaType,
    OutputSettings, RenderTemplateRequest, RenderTemplateResponse, Template, TemplateData,
    TemplateVariable, TemplateVariableType, UndeleteFeatureRequest, UndeleteTemplateRequest,
};
use chrono::Utc;
use futures::future::{join, join_all};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost_types::Timestamp;
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use crate::support::client::{plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::{of_status, refusal};
use crate::support::samples::{choice, full_template, limited_feature, sale, variable};
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

const HOUR: i64 = 3_600;

on_both_databases! {
    async fn a_stale_etag_is_refused_and_of_two_changes_with_the_same_one_wins(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let old = server.add_template(plain_template(feature, "sale")).await;
        let rivals = (0..8).map(|number| {
            let server = &server;
            let given = Template { description: format!("rival {number}"), ..old.clone() };
            async move { server.update_template(given, &["description"]).await }
        });
        let outcomes = within(join_all(rivals)).await;
        let winner = outcomes.iter().find_map(|outcome| outcome.as_ref().ok()).unwrap().clone();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for loser in outcomes.into_iter().filter(Result::is_err) {
            refusal(loser)
                .is(Code::Aborted, ErrorReason::EtagMismatch)
                .with("template_id", old.id)
                .with("etag", &winner.etag);
        }
        refusal(server.delete_template(old.id, &old.etag).await).is(Code::Aborted, ErrorReason::EtagMismatch);
        server.delete_template(old.id, &winner.etag).await.unwrap();
    }

    async fn a_deleted_template_is_hidden_keeps_its_requests_and_comes_back(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let sale = server.add_template(plain_template(feature, "sale")).await;
        let with_sale = CreateRequestRequest { template_id: Some(sale.id), ..request_for(feature) };
        let (request, _) = server.create(with_sale.clone()).await;

        let deleted = server.delete_template(sale.id, "").await.unwrap();
        assert!(deleted.delete_time.is_some());
        assert_eq!(server.template(sale.id).await, deleted);
        assert_eq!(server.delete_template(sale.id, "stale").await.unwrap(), deleted);
        assert_eq!(server.request(request.id).await.template_id, Some(sale.id));
        for refused in [
            refusal(server.update_template(sale.clone(), &["name"]).await),
            refusal(server.requests().create_request(with_sale.clone()).await),
            refusal(render(&server, sale.id, "a", &json!({})).await),
        ] {
            refused.is(Code::NotFound, ErrorReason::TemplateNotFound).with("template_id", sale.id);
        }

        let live = server.undelete_template(sale.id).await.unwrap();
        let expected = Template { etag: live.etag.clone(), update_time: live.update_time, ..sale };
        assert_eq!(live, expected);
        assert_eq!(server.undelete_template(live.id).await.unwrap(), live);
    }

    async fn a_template_comes_back_only_into_a_live_feature_and_a_free_name(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let first = server.add_template(plain_template(feature, "sale")).await;
        server.delete_template(first.id, "").await.unwrap();
        let second = server.add_template(plain_template(feature, "sale")).await;
        refusal(server.undelete_template(first.id).await)
            .is(Code::AlreadyExists, ErrorReason::TemplateNameTaken)
            .with("name", "sale")
            .with("feature_id", feature);
        let other = server.add_template(plain_template(feature, "tet")).await;
        refusal(server.update_template(Template { name: "sale".to_owned(), ..other }, &["name"]).await)
            .is(Code::AlreadyExists, ErrorReason::TemplateNameTaken);

        let deletion = DeleteFeatureRequest { id: feature, etag: String::new() };
        server.features().delete_feature(deletion).await.unwrap();
        for id in [first.id, second.id] {
            refusal(server.undelete_template(id).await)
                .is(Code::FailedPrecondition, ErrorReason::FeatureDeleted)
                .with("feature_id", feature);
        }
        server.features().undelete_feature(UndeleteFeatureRequest { id: feature }).await.unwrap();
        assert!(server.template(second.id).await.delete_time.is_none());
        assert!(server.template(first.id).await.delete_time.is_some());
    }

    async fn a_feature_s_deletion_and_new_templates_at_the_same_time_leave_no_live_one_behind(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for round in 0..6 {
            let feature = server.add_feature(scripted_feature(&format!("race_{round}"))).await.id;
            let templates = (0..4).map(|number| {
                let template = plain_template(feature, &format!("t_{number}"));
                let mut client = server.templates();
                async move { client.create_template(template).await }
            });
            let deletion = DeleteFeatureRequest { id: feature, etag: String::new() };
            let mut client = server.features();
            let (created, deleted) = within(join(join_all(templates), client.delete_feature(deletion))).await;
            deleted.unwrap();
            for outcome in created {
                match outcome {
                    Ok(created) => {
                        let id = created.into_inner().template.unwrap().id;
                        assert!(server.template(id).await.delete_time.is_some(), "round {round}");
                    }
                    Err(status) => {
                        refusal::<()>(Err(status)).is(Code::NotFound, ErrorReason::FeatureNotFound);
                    }
                }
            }
        }
    }

    async fn a_template_is_trending_in_its_window_as_soon_as_it_is_set(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        for (number, (start, end, expected)) in WINDOWS.into_iter().enumerate() {
            let (trend_start_time, trend_end_time) = (start.map(from_now), end.map(from_now));
            let windowed = CreateTemplateRequest {
                trend_start_time,
                trend_end_time,
                ..plain_template(feature, &format!("new_{number}"))
            };
            let new = server.add_template(windowed).await;
            assert_eq!(new.is_trending, expected, "{start:?} to {end:?}");

            let old = server.add_template(plain_template(feature, &format!("old_{number}"))).await;
            let given = Template { trend_start_time, trend_end_time, ..old };
            let changed = server.update_template(given, &["trend_start_time", "trend_end_time"]).await.unwrap();
            assert_eq!(changed.is_trending, expected, "{start:?} to {end:?}");
            let closed = Template { trend_start_time: None, trend_end_time: None, ..changed };
            let closed = server.update_template(closed, &["trend_start_time", "trend_end_time"]).await.unwrap();
            assert!(!closed.is_trending && closed.trend_start_time.is_none());
        }

        let popular = server.add_template(plain_template(feature, "popular")).await;
        let scored = template::ActiveModel { id: Set(popular.id), is_trending: Set(true), ..Default::default() };
        template::Entity::update(scored).exec(&db.connect().await).await.unwrap();
        let over = Template { trend_end_time: Some(from_now(-HOUR)), ..popular };
        assert!(server.update_template(over, &["trend_end_time"]).await.unwrap().is_trending);
    }

    async fn a_template_is_rendered_as_a_request_would_be(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let template = server.add_template(full_template(feature, "sale")).await;
        let variables = json!({ "city": "Huế" });
        let rendered = render(&server, template.id, "  Mở bán ", &variables).await.unwrap();
        assert_eq!(rendered.prompt, "Mở bán 10% Huế");
        assert_eq!(rendered.negative_prompt, "mờ");
        let expected = json!({ "percent": 10, "city": "Huế", "note": "" });
        assert_eq!(rendered.variables, structure(&expected).fields.into_iter().collect());

        let request = CreateRequestRequest {
            template_id: Some(template.id),
            user_prompt: "Mở bán".to_owned(),
            input: Some(GenerationInput {
                variables: structure(&variables).fields.into_iter().collect(),
                ..Default::default()
            }),
            ..request_for(feature)
        };
        assert_eq!(server.create(request).await.0.template_prompt, rendered.prompt);

        let plain = server.add_template(CreateTemplateRequest { is_active: Some(false), ..plain_template(feature, "plain") }).await;
        assert_eq!(render(&server, plain.id, "a", &json!({})).await.unwrap().prompt, "a");
    }

    async fn a_rendering_and_a_request_agree_on_whatever_is_given(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let data = TemplateData { prompt: "{{ user_prompt }} {{ 10 // (percent - 7) }}% {{ city }} {{ note }}".to_owned(), ..sale() };
        let template = CreateTemplateRequest { template_data: Some(data), ..plain_template(feature, "sale") };
        let template = server.add_template(template).await.id;
        let mut runner = TestRunner::deterministic();
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..60 {
            let (user_prompt, variables) = given().new_tree(&mut runner).unwrap().current();
            let rendered = render(&server, template, &user_prompt, &variables).await;
            let request = CreateRequestRequest {
                template_id: Some(template),
                user_prompt: user_prompt.clone(),
                input: Some(GenerationInput {
                    variables: structure(&variables).fields.into_iter().collect(),
                    ..Default::default()
                }),
                validate_only: true,
                ..request_for(feature)
            };
            let requested = server.requests().create_request(request).await;
            match rendered {
                Ok(rendered) => {
                    let resolved = requested.unwrap().into_inner().resolved_input.unwrap();
                    assert_eq!((resolved.prompt, resolved.negative_prompt), (rendered.prompt, rendered.negative_prompt));
                    accepted += 1;
                }
                Err(status) => {
                    let (of_rendering, of_request) = (of_status(&status), refusal(requested));
                    let fields: Vec<_> = of_request.fields.iter().map(|field| field.trim_start_matches("input.")).collect();
                    assert_eq!(fields, of_rendering.fields, "{user_prompt:?} {variables}");
                    assert_eq!(of_request.descriptions, of_rendering.descriptions);
                    refused += 1;
                }
            }
        }
        assert!(accepted > 5 && refused > 5, "{accepted} were accepted, {refused} refused");
    }

    async fn everything_wrong_with_what_is_rendered_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let template = CreateTemplateRequest { template_data: Some(sale()), ..plain_template(feature, "sale") };
        let template = server.add_template(template).await.id;
        let wrong = json!({ "percent": 91, "city": "Sài Gòn", "note": "a\0b", "colour": "red" });
        refusal(render(&server, template, "quá dài", &wrong).await).of_fields([
            "user_prompt",
            "variables.percent",
            "variables.city",
            "variables.note",
            "variables.colour",
        ]);
        refusal(render(&server, template, " ", &json!({})).await).of_fields(["user_prompt", "variables.city"]);
        refusal(render(&server, 0, "", &json!({})).await).of_fields(["id"]);
        refusal(render(&server, 4_711, "a", &json!({})).await)
            .is(Code::NotFound, ErrorReason::TemplateNotFound)
            .with("template_id", 4_711);
    }

    async fn a_form_can_be_drawn_from_what_a_template_comes_with(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let template = server.add_template(plain_template(feature, "sale")).await.id;
        let form = get_with_form(&server, template).await;
        assert_eq!(form.input_limits, Some(InputLimits {
            category: MediaType::Image.into(),
            formats: vec!["webp".to_owned(), "png".to_owned()],
            supported_aspect_ratios: vec!["16:9".to_owned(), "1:1".to_owned()],
            max_resolution: "1920x1080".to_owned(),
            max_duration_seconds: 0,
            max_batch_size: 2,
            max_prompt_chars: 5,
            allow_empty_prompt: false,
            cost_per_generation: 3,
            further_formats: vec!["webp".to_owned(), "png".to_owned()],
        }));
        let defaults = form.input_defaults.unwrap();
        let output = OutputSettings {
            format: Some("webp".to_owned()),
            aspect_ratio: Some("16:9".to_owned()),
            ..Default::default()
        };
        assert_eq!((form.default_width, form.default_height), (1_920, 1_080));
        assert_eq!((defaults.variations, defaults.seed, defaults.output), (1, None, Some(output)));

        let free = server.scripted_feature().await;
        let template = server.add_template(full_template(free, "sale")).await.id;
        let form = get_with_form(&server, template).await;
        let limits = form.input_limits.unwrap();
        assert_eq!((limits.max_batch_size, limits.max_prompt_chars), (16, 4_000));
        assert_eq!((limits.supported_aspect_ratios.len(), limits.max_resolution.as_str()), (0, "3840x2160"));
        let defaults = form.input_defaults.unwrap();
        assert_eq!((defaults.variations, defaults.seed, defaults.negative_prompt.as_deref()), (2, Some(5), Some("mờ")));
        assert_eq!(defaults.output.unwrap().aspect_ratio.as_deref(), Some("16:9"));
    }

    async fn nothing_unstorable_and_nothing_without_bounds_is_let_in(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let wrong = CreateTemplateRequest {
            name: "\0".to_owned(),
            description: "\0".to_owned(),
            tags: vec!["a\0".to_owned(), "t".repeat(65)],
            order_index: i32::MAX,
            trend_start_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
            trend_end_time: Some(Timestamp { seconds: 0, nanos: i32::MAX }),
            template_data: Some(TemplateData {
                prompt: "a\0".to_owned(),
                negative_prompt: "a\0".to_owned(),
                variables: wrong_variables(),
                style: Some(structure(&json!({ "a": "\0" }))),
                extra: Some(structure(&json!({ "a": "x".repeat(70_000) }))),
                ..Default::default()
            }),
            preview_url: "https://a.vn/\0".to_owned(),
            ..plain_template(feature, "x")
        };
        refusal(server.templates().create_template(wrong).await).of_fields([
            "name",
            "description",
            "tags[0]",
            "tags[1]",
            "order_index",
            "trend_start_time",
            "trend_end_time",
            "preview_url",
            "template_data.prompt",
            "template_data.negative_prompt",
            "template_data.style",
            "template_data.extra",
            "template_data.variables[0].type",
            "template_data.variables[1].label",
            "template_data.variables[1].description",
            "template_data.variables[1].placeholder",
            "template_data.variables[1].max_length",
            "template_data.variables[1].min",
            "template_data.variables[1].max",
            "template_data.variables[2].choices[1].value",
            "template_data.variables[2].choices[2].value",
            "template_data.variables[3].choices",
        ]);
        for (variations, most) in [(2_147_483_647, None), (1_001, None), (3, Some(2))] {
            let feature = match most {
                None => feature,
                Some(_) => server.add_feature(limited_feature()).await.id,
            };
            let data = TemplateData {
                defaults: Some(GenerationInput { variations, ..Default::default() }),
                variables: vec![TemplateVariable { r#type: 999, ..variable("v", TemplateVariableType::String) }],
                ..Default::default()
            };
            let wrong = CreateTemplateRequest { template_data: Some(data), ..plain_template(feature, "x") };
            let refused = refusal(server.templates().create_template(wrong).await);
            refused.of_fields(["template_data.defaults.variations", "template_data.variables[0].type"]);
            let most = most.unwrap_or(1_000);
            refused.says(
                "template_data.defaults.variations",
                &format!("must be at most {most} for this feature, got {variations}"),
            );
            refused.says("template_data.variables[0].type", "must be a value of TemplateVariableType, got 999");
        }
        let many = CreateTemplateRequest { tags: vec!["a".to_owned(); 33], ..plain_template(feature, "x") };
        refusal(server.templates().create_template(many).await).of_fields(["tags"]);
        let delete = DeleteTemplateRequest { id: -1, etag: "x".repeat(65) };
        refusal(server.templates().delete_template(delete).await).of_fields(["id", "etag"]);
        let undelete = UndeleteTemplateRequest { id: 0 };
        refusal(server.templates().undelete_template(undelete).await).of_fields(["id"]);
        let id = 4_711;
        for refused in [
            refusal(server.delete_template(id, "").await),
            refusal(server.undelete_template(id).await),
            refusal(server.update_template(Template { id, ..Default::default() }, &[]).await),
        ] {
            refused.is(Code::NotFound, ErrorReason::TemplateNotFound).with("template_id", id);
        }
    }
}

/// Start and end in seconds from now, and whether the template is trending now.
const WINDOWS: [(Option<i64>, Option<i64>, bool); 6] = [
    (Some(-HOUR), Some(HOUR), true),
    (Some(-HOUR), None, true),
    (None, Some(HOUR), true),
    (Some(HOUR), None, false),
    (None, Some(-HOUR), false),
    (Some(-2 * HOUR), Some(-HOUR), false),
];

#[expect(
    clippy::disallowed_methods,
    reason = "the server runs by the computer's clock"
)]
fn from_now(seconds: i64) -> Timestamp {
    Timestamp {
        seconds: Utc::now().timestamp() + seconds,
        nanos: 0,
    }
}

fn wrong_variables() -> Vec<TemplateVariable> {
    vec![
        variable("a", TemplateVariableType::Unspecified),
        TemplateVariable {
            label: "a\nb".to_owned(),
            description: "x".repeat(501),
            placeholder: "\0".to_owned(),
            max_length: 20_001,
            min: Some(f64::NAN),
            max: Some(f64::INFINITY),
            ..variable("b", TemplateVariableType::String)
        },
        TemplateVariable {
            choices: ["a", "a", "\t"].map(choice).to_vec(),
            ..variable("c", TemplateVariableType::Enum)
        },
        TemplateVariable {
            choices: vec![choice("a"); 101],
            ..variable("d", TemplateVariableType::Enum)
        },
    ]
}

/// A user's prompt and variables, some of them wrong.
fn given() -> impl Strategy<Value = (String, Json)> {
    let percent = prop_oneof![4 => (1..20_i64).prop_map(Json::from), 1 => Just(json!(null)), 1 => Just(json!(7.5))];
    let city = prop_oneof![4 => Just("Huế"), 1 => Just("Hội An")];
    let prompt = prop_oneof![6 => " ?[a-cế{}%]{1,5} ?", 1 => "[ \n]{0,2}", 1 => "[a\0]{4,7}"];
    (prompt, percent, city, "[a-c \n\t]{0,3}", 0..8_u8).prop_map(
        |(prompt, percent, city, note, odd)| {
            let mut variables = json!({ "percent": percent, "city": city, "note": note });
            if odd == 0 {
                variables["colour"] = json!("red");
            }
            (prompt, variables)
        },
    )
}

async fn render(
    server: &TestServer,
    template_id: i64,
    user_prompt: &str,
    variables: &Json,
) -> Result<RenderTemplateResponse, Status> {
    let request = RenderTemplateRequest {
        id: template_id,
        user_prompt: user_prompt.to_owned(),
        variables: structure(variables).fields.into_iter().collect(),
        ..Default::default()
    };
    let rendered = server.templates().render_template(request).await?;
    Ok(rendered.into_inner())
}

async fn get_with_form(server: &TestServer, id: i64) -> GetTemplateResponse {
    let request = GetTemplateRequest {
        id,
        ..Default::default()
    };
    let found = server.templates().get_template(request).await.unwrap();
    found.into_inner()
}
