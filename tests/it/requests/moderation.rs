//! What users write is judged before it is taken, and what is made for them before anybody sees it.

use std::fs;
use std::time::Duration;

use atelier::config::{Config, ModerationKind};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, ErrorReason, FeatureProperties, GenerationInput,
    JobStatus, ListRequestsRequest, MediaType, TemplateData, TemplateVariable,
    TemplateVariableType,
};
use atelier::server::Role;
use atelier::stand_in::{Fault, Protocol, StandIn};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;

use super::pictures::{bringing, take_pictures};
use crate::support::client::{plain_template, request_for, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::link_host::{LinkHost, picture};
use crate::support::plans::{configure, plan};
use crate::support::provider::{answer, make, provider, stand_in};
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::structure::{structure, value};

const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What the stand-in flags.
const VIOLENT: &str = "Something violent, please";

fn judged_by(service: &StandIn) -> impl FnOnce(&mut Config) + use<> {
    let base = format!("{}/v1", service.url()).parse().unwrap();
    move |config| {
        config.moderation.kind = ModerationKind::OpenAi;
        config.moderation.base_url = Some(base);
        config.moderation.api_key = Some("sk-of-a-judge".to_owned().into());
        config.moderation.model = Some("omni-judge".to_owned());
    }
}

fn flagged(flagged: bool) -> Fault {
    let result =
        json!({ "flagged": flagged, "categories": { "sexual": flagged, "violence": null } });
    answer(200, &json!({ "results": [result] }).to_string())
}

fn asking(feature_id: i64, script: &Script, prompt: &str) -> CreateRequestRequest {
    CreateRequestRequest {
        user_prompt: prompt.to_owned(),
        ..scripted_request(feature_id, script)
    }
}

async fn requests(server: &TestServer) -> usize {
    let listed = server
        .requests()
        .list_requests(ListRequestsRequest::default())
        .await;
    listed.unwrap().into_inner().requests.len()
}

on_both_databases! {
    async fn words_of_the_list_are_refused_with_their_fields_and_nothing_is_stored(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("words");
        fs::write(&list, "# not here\ncấm kỵ\n").unwrap();
        let server = TestServer::start_with(&db, |config| {
            config.moderation.kind = ModerationKind::Words;
            config.moderation.words = Some(list);
        })
        .await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        let mut template = plain_template(feature, "told");
        template.template_data = Some(TemplateData {
            prompt: "A sign that says {{ sign }}".to_owned(),
            variables: vec![TemplateVariable {
                name: "sign".to_owned(),
                r#type: TemplateVariableType::String.into(),
                ..Default::default()
            }],
            ..Default::default()
        });
        let template = server.add_template(template).await;
        let sign = structure(&json!({ "sign": "điều CẤM-KỴ" })).fields.into_iter().collect::<std::collections::HashMap<_, _>>();
        for validate_only in [true, false] {
            let asked = CreateRequestRequest {
                validate_only,
                template_id: Some(template.id),
                input: Some(GenerationInput { variables: sign.clone(), ..Default::default() }),
                ..asking(feature, &script, "Cấm kỵ!")
            };
            let refused = refusal(server.requests().create_request(asked).await);
            refused.is(Code::InvalidArgument, ErrorReason::ContentRejected);
            assert_eq!(refused.fields, ["user_prompt", "input.variables.sign"]);
        }
        assert_eq!(requests(&server).await, 0);
        // What should not be seen may be named.
        let mut asked = asking(feature, &script, "a cat");
        asked.input.as_mut().unwrap().negative_prompt = Some("cấm kỵ".to_owned());
        server.create(asked).await;
    }

    async fn what_is_refused_in_any_case_is_not_judged(db: TestDatabase) {
        let judge = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = TestServer::start_as(Role::Api, &db, |config| {
            judged_by(&judge)(config);
            configure(config, [plan("free", |it| it.requests_per_day = 1)]);
        })
        .await;
        let feature = server.scripted_feature().await;
        server.create(request_for(feature)).await;
        assert_eq!(judge.calls().len(), 1);
        let full = refusal(server.requests().create_request(request_for(feature)).await);
        full.is(Code::ResourceExhausted, ErrorReason::QuotaExceeded);
        let unknown = refusal(server.requests().create_request(request_for(feature + 1)).await);
        unknown.is(Code::NotFound, ErrorReason::FeatureNotFound);
        assert_eq!(judge.calls().len(), 1);
    }

    async fn texts_in_open_settings_are_judged_too(db: TestDatabase) {
        let judge = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = TestServer::start_with(&db, judged_by(&judge)).await;
        let feature = server.scripted_feature().await;
        let mut asked = request_for(feature);
        let extra = structure(&json!({ "more": { "words": ["a cat", VIOLENT] } }));
        asked.input.get_or_insert_default().extra = Some(extra);
        let refused = refusal(server.requests().create_request(asked).await);
        refused.is(Code::InvalidArgument, ErrorReason::ContentRejected);
        assert_eq!(refused.fields, ["input.extra.more"]);
    }

    async fn a_service_judges_what_users_write(db: TestDatabase) {
        let judge = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = TestServer::start_with(&db, judged_by(&judge)).await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        let refused = refusal(server.requests().create_request(asking(feature, &script, VIOLENT)).await);
        refused.is(Code::InvalidArgument, ErrorReason::ContentRejected);
        assert_eq!(refused.fields, ["user_prompt"]);
        assert_eq!(refused.descriptions, ["says what may not be here: violence"]);
        assert_eq!(requests(&server).await, 0);
        let call = &judge.calls()[0];
        assert_eq!(call.path, "/v1/moderations");
        assert_eq!(call.header("authorization"), Some("Bearer sk-of-a-judge"));
        // The script's own place is a setting, and judged too.
        let record = call.body["input"][1].as_str().unwrap();
        assert!(record.ends_with("/record"), "{record}");
        assert_eq!(call.body, json!({ "input": [VIOLENT, record], "model": "omni-judge" }));

        let job = server.create(asking(feature, &script, "a cat")).await.1.remove(0);
        server.completed(job.id).await;
        let picture = &judge.calls()[2].body["input"][0]["image_url"]["url"];
        assert!(picture.as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"), "{picture}");
    }

    async fn what_was_made_and_may_not_be_here_is_seen_by_nobody(db: TestDatabase) {
        let judge = stand_in(Protocol::OpenAi, vec![Fault::None, flagged(true)]).await;
        let server = TestServer::start_with(&db, judged_by(&judge)).await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        let job = server.create(asking(feature, &script, "a cat")).await.1.remove(0);
        let ended = server.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.code()), (JobStatus::Failed, "CONTENT_REJECTED"));
        assert_eq!(ended.job.error.as_ref().unwrap().detail, "sexual");
        assert_eq!(server.media_of(job.id).await, []);
        assert_eq!(script.calls_of("submit").len(), 1, "it is not made again");
    }

    async fn a_picture_that_a_request_brings_is_judged_before_anybody_gets_it(db: TestDatabase) {
        let away = answer(503, "{}");
        let judge = stand_in(Protocol::OpenAi, vec![Fault::None, flagged(true), Fault::None, away, flagged(false), flagged(false)]).await;
        let host = LinkHost::start().await;
        let server = TestServer::start_with(&db, |config| {
            judged_by(&judge)(config);
            take_pictures(config);
            config.fetch.allow = vec!["127.0.0.1".parse().unwrap()];
        })
        .await;
        let refused = server.create(bringing(&server, &host, "picture", 1).await).await.1.remove(0);
        let ended = server.ended(refused.id).await;
        assert_eq!((ended.job.status(), ended.code()), (JobStatus::Failed, "CONTENT_REJECTED"));
        let error = ended.job.error.unwrap();
        assert_eq!((&*error.message, &*error.detail), ("user_media_urls[0]: the picture may not be here.", "sexual"));
        assert_eq!(ended.job.attempt, 1, "it is not tried again");

        let asked = CreateRequestRequest { user_prompt: "Another".to_owned(), ..request_for(refused.feature_id) };
        let asked = CreateRequestRequest { user_media_urls: vec![host.link("picture").into()], ..asked };
        let taken = server.create(asked).await.1.remove(0);
        server.completed(taken.id).await;
        let judged = judge.calls().into_iter().filter(|call| call.body["input"].to_string().contains("data:image/jpeg"));
        assert_eq!(judged.count(), 4, "the first one, the second twice, for it had no verdict, and what was made of it");
    }

    async fn of_several_outputs_those_are_kept_that_may_be_here(db: TestDatabase) {
        let whole = json!({ "b64_json": BASE64_STANDARD.encode(picture()) });
        let maker = stand_in(Protocol::OpenAi, vec![answer(200, &json!({ "data": [whole, whole] }).to_string())]).await;
        let judge = stand_in(Protocol::OpenAi, vec![Fault::None, flagged(true), flagged(false)]).await;
        let server = TestServer::start_with(&db, |config| {
            judged_by(&judge)(config);
            let base = format!("base_url={}/v1", maker.url());
            let table = ["kind=openai", &base, r#"makes=["image"]"#];
            config.providers.insert("maker".to_owned(), provider(&table));
        })
        .await;
        let feature = CreateFeatureRequest {
            category: MediaType::Image.into(),
            properties: Some(FeatureProperties { provider: "maker".to_owned(), ..Default::default() }),
            ..scripted_feature("several")
        };
        let ended = make(&server, feature, GenerationInput::default()).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let told = ended.job.output_metadata.unwrap_or_default().fields;
        assert_eq!(told.get("outputs_withheld"), Some(&value(&json!(1))));
        let originals = server.media_of(ended.job.id).await;
        assert_eq!(originals.iter().filter(|it| it.role == 1).count(), 1, "{originals:?}");
    }

    async fn without_a_verdict_nothing_is_taken_and_what_is_made_waits(db: TestDatabase) {
        let away = || answer(503, "{}");
        let odd = answer(200, r#"{"results":[{"flagged":"maybe"}]}"#);
        let few = answer(200, r#"{"results":[]}"#);
        let judge = stand_in(Protocol::OpenAi, vec![away(), odd.clone(), few, Fault::None, away(), odd]).await;
        let server = TestServer::start_with(&db, judged_by(&judge)).await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        for _ in 0..3 {
            let asked = asking(feature, &script, "a cat");
            let refused = server.requests().create_request(asked).await.unwrap_err();
            of_status(&refused).is(Code::Unavailable, ErrorReason::ModerationUnavailable);
            assert!(refused.get_details_retry_info().is_some());
        }
        assert_eq!(requests(&server).await, 0);
        let job = server.create(asking(feature, &script, "a cat")).await.1.remove(0);
        server.completed(job.id).await;
        assert_eq!(script.calls_of("submit").len(), 1);
        within(async {
            while judge.calls().len() < 7 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    async fn where_it_is_lenient_what_cannot_be_judged_is_let_in(db: TestDatabase) {
        let away = || answer(503, "{}");
        let judge = stand_in(Protocol::OpenAi, vec![away(), away()]).await;
        let server = TestServer::start_with(&db, |config| {
            judged_by(&judge)(config);
            config.moderation.lenient = true;
        })
        .await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        let job = server.create(asking(feature, &script, VIOLENT)).await.1.remove(0);
        server.completed(job.id).await;
        let inputs: Vec<Value> = judge.calls().into_iter().map(|call| call.body["input"].clone()).collect();
        assert_eq!(inputs.len(), 2, "{inputs:?}");
    }
}
