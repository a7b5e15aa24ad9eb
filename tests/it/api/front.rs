//! The front for what speaks OpenAI's protocol, over plain HTTP.

mod pictures;
mod speech;
mod videos;

use std::time::Duration;

use atelier::config::{Config, Flag, Inputs, ProviderConfig, ScriptedConfig};
use atelier::rpc::proto::{
    CancelJobRequest, CancelRequestRequest, CountRequestsRequest, CreateFeatureRequest,
    FeatureProperties, Job, JobStatus, ListJobsRequest, ListRequestsRequest, MediaType, Request,
    TemplateVariable, TemplateVariableType,
};
use atelier::stand_in::StandIn;
use reqwest::header::{CONTENT_TYPE, HOST, ORIGIN};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::link_host;
use crate::support::provider::provider;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const IMAGES: &str = "/v1/images/generations";

/// A server with the front, which takes `USER` for who names nobody, and the image feature `scripted` with the template
/// `plain`.
pub(crate) async fn with_front(db: &TestDatabase) -> TestServer {
    with_front_and(db, |_| ()).await
}

/// The same with more settings changed.
pub(crate) async fn with_front_and(
    db: &TestDatabase,
    change: impl FnOnce(&mut Config),
) -> TestServer {
    let server = TestServer::start_with(db, |config| {
        enable(config);
        change(config);
    });
    let server = server.await;
    let feature = server.scripted_feature().await;
    server.add_template(plain_template(feature, "plain")).await;
    server
}

pub(crate) fn enable(config: &mut Config) {
    config.front.enabled = true;
    config.front.user = Some(USER as u64);
    let scripted = ScriptedConfig {
        limits: Default::default(),
        folder: std::env::temp_dir(),
        pictures: true,
    };
    config
        .providers
        .insert("scripted".to_owned(), ProviderConfig::Scripted(scripted));
}

struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status, the code and the field of an error.
    fn error(&self) -> (u16, &str, Option<&str>) {
        let error = &self.body["error"];
        let code = error["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", self.body));
        assert!(!error["message"].as_str().unwrap().is_empty());
        (self.status.as_u16(), code, error["param"].as_str())
    }
}

async fn send(call: RequestBuilder) -> Answer {
    let answer = within(call.send()).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = within(answer.bytes()).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer {
        status,
        headers,
        body,
    }
}

fn post(server: &TestServer, path: &str, body: &Value) -> RequestBuilder {
    let call = browser().post(format!("{}{path}", server.url()));
    call.header(CONTENT_TYPE, "application/json")
        .body(body.to_string())
}

/// A call for a picture, with more fields.
fn picture(more: Value) -> Value {
    let mut asked = json!({ "model": "scripted", "prompt": "Xin chào" });
    asked
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    asked
}

async fn requests(server: &TestServer) -> i64 {
    let counted = server
        .requests()
        .count_requests(CountRequestsRequest::default())
        .await;
    counted.unwrap().into_inner().total
}

on_both_databases! {
    async fn there_is_no_front_unless_it_is_enabled(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let answer = within(post(&server, IMAGES, &picture(json!({}))).send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.text().await.unwrap(), "there is nothing here\n");
    }

    async fn only_pages_and_names_of_ours_may_call_and_only_in_json(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            enable(config);
            config.server.cors_origins = vec!["https://app.example.com".to_owned()];
            config.server.public_url = Some("https://atelier.example.com".parse().unwrap());
        }).await;
        server.scripted_feature().await;
        let asked = picture(json!({}));
        for (header, value, status) in [
            (ORIGIN, "https://evil.example.com", 403),
            (ORIGIN, "null", 403),
            (ORIGIN, "http://127.0.0.1:50051", 403),
            (HOST, "evil.example.com", 403),
            (HOST, "127.0.0.1.evil.example.com", 403),
            (HOST, "localhost@evil.example.com", 403),
            (CONTENT_TYPE, "text/plain", 415),
            (CONTENT_TYPE, "application/x-www-form-urlencoded", 415),
            (CONTENT_TYPE, "multipart/form-data; boundary=x", 415),
        ] {
            let call = browser().post(format!("{}{IMAGES}", server.url())).body(asked.to_string());
            let call = match header == CONTENT_TYPE {
                true => call,
                false => call.header(CONTENT_TYPE, "application/json"),
            };
            let answer = send(call.header(&header, value)).await;
            assert_eq!(answer.error().0, status, "{header}: {value}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{header}: {value}");
        }
        let reads = browser().get(format!("{}/v1/models", server.url()));
        assert_eq!(send(reads.header(HOST, "evil.example.com")).await.error().0, 403);
        assert_eq!(requests(&server).await, 0);

        for (header, value) in [
            (ORIGIN, "https://app.example.com"), (HOST, "ATELIER.example.com"), (HOST, "localhost:9"), (HOST, "[::1]:9"),
        ] {
            let answer = send(post(&server, IMAGES, &asked).header(&header, value)).await;
            assert_eq!(answer.status, StatusCode::OK, "{header}: {value}: {}", answer.body);
        }
    }

    async fn what_is_wrong_is_told_by_the_names_that_the_caller_knows(db: TestDatabase) {
        let server = with_front(&db).await;
        for (path, body, error) in [
            (IMAGES, picture(json!({ "size": "big" })), (400, "VALIDATION_FAILED", Some("size"))),
            (IMAGES, picture(json!({ "size": "99999x1" })), (400, "VALIDATION_FAILED", Some("size"))),
            (IMAGES, picture(json!({ "n": 1_000_000_000_000_i64 })), (400, "VALIDATION_FAILED", Some("n"))),
            (IMAGES, picture(json!({ "n": "two" })), (400, "VALIDATION_FAILED", Some("n"))),
            (IMAGES, picture(json!({ "output_format": "bmp" })), (400, "VALIDATION_FAILED", Some("output_format"))),
            (IMAGES, picture(json!({ "response_format": "path" })), (400, "VALIDATION_FAILED", Some("response_format"))),
            (IMAGES, picture(json!({ "stream": true, "response_format": "url" })), (400, "VALIDATION_FAILED", Some("response_format"))),
            (IMAGES, picture(json!({ "partial_images": 4 })), (400, "VALIDATION_FAILED", Some("partial_images"))),
            (IMAGES, picture(json!({ "prompt": null })), (400, "VALIDATION_FAILED", Some("prompt"))),
            (IMAGES, picture(json!({ "prompt": ["a"] })), (400, "VALIDATION_FAILED", Some("prompt"))),
            (IMAGES, picture(json!({ "seed": -2 })), (400, "VALIDATION_FAILED", Some("seed"))),
            (IMAGES, picture(json!({ "user": "bob" })), (400, "VALIDATION_FAILED", Some("user"))),
            (IMAGES, picture(json!({ "user": "-1" })), (400, "VALIDATION_FAILED", Some("user"))),
            (IMAGES, picture(json!({ "variables": { "mood": "calm" } })), (400, "VALIDATION_FAILED", Some("variables.mood"))),
            (IMAGES, picture(json!({ "user_media_urls": ["file:///etc/passwd"] })), (400, "VALIDATION_FAILED", Some("user_media_urls[0]"))),
            (IMAGES, picture(json!({ "lora_weights": { "ink": "much" } })), (400, "VALIDATION_FAILED", Some("lora_weights"))),
            (IMAGES, json!({ "prompt": "Xin chào" }), (400, "VALIDATION_FAILED", Some("model"))),
            (IMAGES, picture(json!({ "model": "nothing" })), (404, "FEATURE_NOT_FOUND", Some("model"))),
            (IMAGES, picture(json!({ "model": "scripted/nothing" })), (404, "TEMPLATE_NOT_FOUND", Some("model"))),
            (IMAGES, json!([]), (400, "MALFORMED_MESSAGE", None)),
            ("/v1/videos", picture(json!({})), (400, "VALIDATION_FAILED", Some("model"))),
            ("/v1/audio/speech", json!({ "model": "scripted", "input": "a" }), (400, "VALIDATION_FAILED", Some("model"))),
            ("/v1/audio/speech", json!({ "model": "none", "stream_format": "sse", "response_format": "pcm" }), (404, "FEATURE_NOT_FOUND", Some("model"))),
            ("/v1/images/edits", picture(json!({})), (400, "VALIDATION_FAILED", Some("image"))),
            (IMAGES, picture(json!({ "n": 0 })), (400, "VALIDATION_FAILED", Some("n"))),
            ("/v1/images/variations", picture(json!({})), (404, "UNKNOWN_METHOD", None)),
            ("/v1/models", json!({}), (404, "UNKNOWN_METHOD", None)),
        ] {
            let answer = send(post(&server, path, &body)).await;
            assert_eq!(answer.error(), error, "{body}: {}", answer.body);
            assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{body}");
        }
        let form = Form::new().text("model", "scripted").text("prompt", "a").text("seconds", "long").text("variables[mood]", "calm");
        let answer = send(browser().post(format!("{}/v1/videos", server.url())).multipart(form)).await;
        assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some("seconds")));
        for name in ["seconds: ", "model: ", "variables.mood: "] {
            assert!(answer.body["error"]["message"].as_str().unwrap().contains(name), "{}", answer.body);
        }
        let empty = send(post(&server, IMAGES, &json!({}))).await;
        let said = empty.body["error"]["message"].as_str().unwrap();
        assert_eq!(said.matches("model: ").count(), 1, "{said}");
        assert!(said.contains("model: is required: the name of a feature"), "{said}");
        let no_json = post(&server, IMAGES, &json!({})).body("{");
        assert_eq!(send(no_json).await.error(), (400, "MALFORMED_MESSAGE", None));
        let endless = picture(json!({ "prompt": "a".repeat(1024 * 1024) }));
        assert_eq!(send(post(&server, IMAGES, &endless)).await.error(), (413, "MESSAGE_TOO_LARGE", None));
        assert_eq!(requests(&server).await, 0);
    }

    async fn who_names_nobody_is_refused_where_no_user_is_configured(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.front.enabled = true).await;
        server.scripted_feature().await;
        let answer = send(post(&server, IMAGES, &picture(json!({ "user": "" })))).await;
        assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some("user")));
        assert_eq!(answer.body["error"]["message"], "user: is required, since no front.user is configured");
        let answer = send(post(&server, IMAGES, &picture(json!({ "user": "12" })))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }

    async fn what_a_job_ends_with_is_an_error_that_no_client_repeats(db: TestDatabase) {
        let server = with_front(&db).await;
        for (step, error) in [
            ("reject", (400, "PROVIDER_REJECTED_CONTENT", None)),
            ("invalid_input", (400, "PROVIDER_REJECTED_INPUT", None)),
            ("fail", (502, "PROVIDER_FAILED", None)),
            ("nothing", (502, "PROVIDER_NO_OUTPUT", None)),
            ("garbage", (502, "PROVIDER_INVALID_OUTPUT", None)),
            ("ambiguous", (502, "PROVIDER_OUTCOME_UNKNOWN", None)),
        ] {
            let script = Script::new(&[step]);
            let answer = send(post(&server, IMAGES, &picture(script.json()))).await;
            assert_eq!(answer.error(), error, "{step}");
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{step}");
            let id: i64 = answer.header("x-atelier-request-id").unwrap().parse().unwrap();
            assert_eq!(answer.body["error"]["request_id"], id.to_string(), "{step}");
            assert_eq!(server.request(id).await.user_id, USER);
        }
    }

    async fn a_request_of_the_front_is_an_ordinary_one(db: TestDatabase) {
        let server = with_front(&db).await;
        let script = Script::new(&[]).gated();
        let mut asked = picture(script.json());
        asked.as_object_mut().unwrap().extend(json!({
            "model": "scripted/plain", "n": 2, "size": "512x512", "seed": 7, "negative_prompt": "rain", "cfg_scale": 3.5,
            "metadata": { "order": "A-1" }, "project_id": 3, "quality": "high", "user": "12",
        }).as_object().unwrap().clone());
        let answer = tokio::spawn(send(post(&server, IMAGES, &asked)));
        let listed = newest(&server).await;
        let input = listed.input.clone().unwrap();
        let output = input.output.unwrap();
        assert_eq!((listed.user_id, listed.project_id, listed.user_prompt.as_str()), (12, Some(3), "Xin chào"));
        assert_eq!((input.variations, input.seed, input.negative_prompt.as_deref(), input.cfg_scale), (2, Some(7), Some("rain"), Some(3.5)));
        assert_eq!((output.width, output.height), (Some(512), Some(512)));
        assert!(input.extra.unwrap().fields.contains_key("quality"));
        assert!(listed.metadata.unwrap().fields.contains_key("order"));
        assert!(listed.template_id.is_some());

        let cancel = CancelRequestRequest { id: listed.id, stop_processing: true };
        server.requests().cancel_request(cancel).await.unwrap();
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.error(), (409, "CANCELLED", None));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }

    async fn what_had_no_effect_is_named_in_the_answer(db: TestDatabase) {
        let server = with_front(&db).await;
        let mut feature = scripted_feature("drawn");
        feature.properties.as_mut().unwrap().provider = "builtin".to_owned();
        server.add_feature(feature).await;
        let asked = json!({ "model": "drawn", "prompt": "Xin chào", "negative_prompt": "rain", "quality": "high", "background": "opaque" });
        let answer = send(post(&server, IMAGES, &asked)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("x-atelier-ignored-inputs"), Some("negative_prompt,background,quality"));
        let answer = send(post(&server, IMAGES, &json!({ "model": "drawn", "prompt": "Xin chào" }))).await;
        assert_eq!(answer.header("x-atelier-ignored-inputs"), None);
    }

    async fn a_picture_is_the_value_of_the_variable_that_needs_one(db: TestDatabase) {
        let server = with_front(&db).await;
        let feature = server.add_feature(scripted_feature("posed")).await;
        let mut template = plain_template(feature.id, "on_a_beach");
        template.template_data.as_mut().unwrap().variables = vec![TemplateVariable {
            name: "photo".to_owned(),
            r#type: TemplateVariableType::Picture.into(),
            is_required: true,
            ..Default::default()
        }];
        server.add_template(template).await;
        let form = || Form::new().text("model", "posed/on_a_beach").text("prompt", "a");
        let with_one = |form: Form| form.part("image", Part::bytes(link_host::picture()).file_name("a.png"));
        for (form, beside) in [(with_one(form()), 0), (with_one(with_one(form())), 1)] {
            let answer = send(browser().post(format!("{}/v1/images/edits", server.url())).multipart(form)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            let listed = newest(&server).await;
            let variables = listed.input.unwrap().variables;
            assert!(variables.contains_key("photo"), "{variables:?}");
            assert_eq!(listed.user_media_urls.len(), beside);
        }
    }

    async fn what_one_variation_has_made_is_told_although_another_failed(db: TestDatabase) {
        let server = with_front(&db).await;
        let script = Script::new(&[]).gated();
        let mut asked = picture(script.json());
        asked["n"] = json!(2);
        let answer = tokio::spawn(send(post(&server, IMAGES, &asked)));
        let listed = newest(&server).await;
        let jobs = jobs_of(&server, listed.id).await;
        let cancel = CancelJobRequest { id: jobs[0].id, stop_processing: true };
        server.jobs().cancel_job(cancel).await.unwrap();
        script.open_gate();
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["data"].as_array().unwrap().len(), 1);
    }

    async fn a_connection_that_breaks_loses_nothing(db: TestDatabase) {
        let server = with_front(&db).await;
        let script = Script::new(&[]).gated();
        let call = || post(&server, IMAGES, &picture(script.json())).header("idempotency-key", "k-1");
        let dropped = tokio::spawn(call().send());
        let asked = newest(&server).await;
        dropped.abort();
        let _ = dropped.await;
        script.open_gate();
        let answers = [send(call()).await, send(call()).await];
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            assert_eq!(answer.header("x-atelier-request-id"), Some(&*asked.id.to_string()));
            assert_eq!(answer.body, answers[0].body);
        }
        assert_eq!((requests(&server).await, script.calls_of("submit").len()), (1, 1));
        let other = post(&server, IMAGES, &picture(json!({ "seed": 1 }))).header("idempotency-key", "k-1");
        assert_eq!(send(other).await.error(), (400, "IDEMPOTENCY_KEY_REUSED", Some("Idempotency-Key")));
    }

    async fn one_server_draws_through_another(db: TestDatabase) {
        let other = TestDatabase::create(Backend::Sqlite).await;
        let painter = with_front(&other).await;
        let base = format!("base_url={}/v1", painter.url());
        let settings = [
            "kind=openai", &base, "api_key=nobody's", r#"makes=["image"]"#, "image_model=scripted/plain", "partial_images=2",
        ];
        let inputs = Inputs {
            file: Some("/dev/null".into()),
            flags: settings.map(|setting| Flag::Set(format!("providers.painter.{setting}"))).to_vec(),
            ..Inputs::default()
        };
        let providers = Config::load(&inputs).unwrap().config.providers;
        let server = TestServer::start_with(&db, |config| config.providers.extend(providers)).await;
        let feature = server.add_feature(painted()).await;
        let ended = server.made(request_for(feature.id)).await;
        assert_eq!(ended.job.status(), JobStatus::Completed);
        let drawn = newest(&painter).await;
        assert_eq!((drawn.user_id, drawn.user_prompt.as_str()), (USER, "Xin chào"));
        assert_eq!(requests(&painter).await, 1);
    }
}

/// Adds the stand-in as the provider `painter`, which takes pictures and masks.
pub(crate) fn add_painter(config: &mut Config, service: &StandIn) {
    let base = format!("base_url={}/v1", service.url());
    let table = [
        "kind=openai",
        &base,
        r#"makes=["image"]"#,
        "edits_path=images/edits",
    ];
    config
        .providers
        .insert("painter".to_owned(), provider(&table));
}

/// A feature of that provider.
pub(crate) fn painted() -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: "painted".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            provider: "painter".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn jobs_of(server: &TestServer, request_id: i64) -> Vec<Job> {
    let asked = ListJobsRequest {
        request_id,
        ..Default::default()
    };
    let listed = server.jobs().list_jobs(asked).await;
    listed.unwrap().into_inner().jobs
}

/// The newest request, once there is one.
async fn newest(server: &TestServer) -> Request {
    within(async {
        loop {
            let listed = server
                .requests()
                .list_requests(ListRequestsRequest::default())
                .await;
            if let Some(request) = listed.unwrap().into_inner().requests.into_iter().next() {
                return request;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}
