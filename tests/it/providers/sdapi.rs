//! The kind `sdapi`: what is sent, what comes of each answer, and that nobody's work is mistaken for another's.

use std::time::Duration;

use atelier::config::{Config, ProviderConfig};
use atelier::domain::AddressRules;
use atelier::provider::sdapi::SdApi;
use atelier::provider::{Probed, Progress, Provider, ProviderError, Submitted};
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, ErrorReason, FeatureProperties,
    GenerationInput, JobStatus, LoraWeights,
};
use atelier::stand_in::{Call, Fault, Protocol, StandIn};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use tonic::Code;

use crate::support::client::{plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::http::{browser, get};
use crate::support::link_host::{LinkHost, picture};
use crate::support::process::Process;
use crate::support::provider::{
    answer, elsewhere, fetcher, labelled, patience, provider, stand_in, task,
};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::structure::{structure, value};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const TXT2IMG: &str = "/sdapi/v1/txt2img";

/// Adds the stand-in as the provider `service`; `path` is what its paths begin with.
fn configure(service: &StandIn, path: &str, more: &[&str]) -> impl Fn(&mut Config) + use<> {
    let base = format!("base_url={}{path}", service.url());
    let common = ["kind=sdapi", &base, "progress_interval=100ms"];
    let service = provider(&[&common, more].concat());
    move |config| {
        config
            .providers
            .insert("service".to_owned(), service.clone());
        config.fetch.allow = vec!["127.0.0.1".parse().unwrap()];
    }
}

fn feature(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        system_prompt: "ink, <lora:ours:1>".to_owned(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            model: "painter".to_owned(),
            settings: Some(structure(&json!({ "steps": 4, "sampler_name": "Euler a" }))),
            max_resolution: "256x256".to_owned(),
            ..Default::default()
        }),
        ..scripted_feature(name)
    }
}

async fn asked(server: &TestServer, name: &str, input: GenerationInput) -> CreateRequestRequest {
    let feature = server.add_feature(feature(name)).await;
    CreateRequestRequest {
        user_prompt: "a <lora:theirs:4> crane".to_owned(),
        input: Some(input),
        ..request_for(feature.id)
    }
}

async fn change_provider(server: &TestServer, feature: i64, provider: &str) {
    let mut feature = server.feature(feature).await;
    let properties = feature.properties.get_or_insert_default();
    properties.provider = provider.to_owned();
    server
        .update_feature(feature, &["properties.provider"])
        .await
        .unwrap();
}

fn sdapi(service: &StandIn, path: &str, more: &[&str]) -> SdApi {
    let mut config = Config::default();
    configure(service, path, more)(&mut config);
    let Some(ProviderConfig::SdApi(sdapi)) = config.providers.remove("service") else {
        panic!("a service");
    };
    let files = fetcher(AddressRules::default());
    SdApi::new("service".to_owned(), sdapi, &files)
}

fn paths(service: &StandIn) -> Vec<String> {
    let calls = service.calls().into_iter();
    let calls = calls.map(|call| call.path.split('?').next().unwrap().to_owned());
    calls.filter(|path| !path.ends_with("/progress")).collect()
}

fn drawing(service: &StandIn) -> Vec<Call> {
    let calls = service.calls().into_iter();
    calls.filter(|call| call.path.contains("2img")).collect()
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// Waits until it works on what it was asked for: before, an interruption stops nothing.
async fn begun(service: &StandIn) {
    let progress: url::Url = format!("{}/sdapi/v1/progress", service.url())
        .parse()
        .unwrap();
    while get(progress.clone())
        .await
        .text()
        .await
        .unwrap()
        .contains(r#""job_count":0"#)
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

on_both_databases! {
    async fn a_picture_is_made_of_what_the_feature_and_the_request_say_and_of_no_commands_of_a_user(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, Vec::new()).await;
        let settings = ["username=studio", "password=of-nobody", "loras=true"];
        let server = TestServer::start_with(&db, configure(&service, "", &settings)).await;
        let input = GenerationInput {
            seed: Some(7),
            negative_prompt: Some("rain".to_owned()),
            cfg_scale: Some(6.5),
            lora_weights: Some(LoraWeights { weights: [("ink v2".to_owned(), -0.5)].into() }),
            product_url: Some("https://a.vn/p".to_owned()),
            ..Default::default()
        };
        let ended = server.made(asked(&server, "picture", input).await).await;
        let told = ended.job.output_metadata.unwrap().fields;
        assert_eq!(told["model"], value(&json!("painter")));
        assert_eq!(told["ignored_inputs"], value(&json!(["input.product_url"])));

        let calls = drawing(&service);
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!(calls[0].header("authorization"), Some("Basic c3R1ZGlvOm9mLW5vYm9keQ=="));
        for (field, expected) in [
            ("prompt", json!("ink, <lora:ours:1>\n\na  lora:theirs:4  crane <lora:ink v2:-0.5>")),
            ("negative_prompt", json!("rain")), ("seed", json!(7)), ("cfg_scale", json!(6.5)), ("steps", json!(4)),
            ("sampler_name", json!("Euler a")), ("width", json!(256)), ("height", json!(256)),
            ("override_settings", json!({ "sd_model_checkpoint": "painter" })), ("batch_size", json!(1)),
        ] {
            assert_eq!(calls[0].body[field], expected, "{field}");
        }
    }

    async fn what_the_job_sets_is_refused_in_settings_and_in_a_style_and_a_template_from_before_goes_on(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, Vec::new()).await;
        let server = TestServer::start_with(&db, configure(&service, "", &[])).await;
        let mut wrong = feature("wrong");
        let set = structure(&json!({ "steps": 4, "mask": "x" }));
        wrong.properties.get_or_insert_default().settings = Some(set.clone());
        refusal(server.features().create_feature(wrong).await).of_fields(["properties.settings.mask"]);

        let mut asked = asked(&server, "right", GenerationInput::default()).await;
        let mut template = plain_template(asked.feature_id, "look");
        template.template_data.get_or_insert_default().style = Some(set);
        let refused = refusal(server.templates().create_template(template.clone()).await);
        refused.of_fields(["template_data.style.mask"]);
        refused.says("template_data.style.mask", "must be left out: the job sets it");

        // Such a template is left out of what is sent, as ever.
        change_provider(&server, asked.feature_id, "elsewhere").await;
        asked.template_id = Some(server.add_template(template).await.id);
        change_provider(&server, asked.feature_id, "service").await;
        server.made(asked).await;
        assert_eq!(drawing(&service)[0].body.get("mask"), None);
    }

    async fn a_lora_whose_name_cannot_stand_in_a_prompt_is_refused_with_its_field(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, Vec::new()).await;
        let server = TestServer::start_with(&db, configure(&service, "", &["loras=true"])).await;
        let input = |name: &str| {
            let weights = [(name.to_owned(), 1.0), ("ink v2".to_owned(), 1.0)].into();
            GenerationInput { lora_weights: Some(LoraWeights { weights }), ..Default::default() }
        };
        let mut asked = asked(&server, "lora", GenerationInput::default()).await;
        for name in ["../secret", ".hidden", "a:9> <hypernet:b"] {
            asked.input = Some(input(name));
            let refused = refusal(server.requests().create_request(asked.clone()).await);
            let field = format!("input.lora_weights.weights.{name}");
            refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields([&field[..]]);
            let mut template = plain_template(asked.feature_id, "styled");
            template.template_data.get_or_insert_default().defaults = Some(input(name));
            let field = format!("template_data.defaults.lora_weights.weights.{name}");
            refusal(server.templates().create_template(template).await).of_fields([&field[..]]);
        }
        assert_eq!(drawing(&service).len(), 0);
    }

    async fn a_lora_of_a_template_from_before_its_provider_is_refused_with_the_template(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, Vec::new()).await;
        let server = TestServer::start_with(&db, configure(&service, "", &["loras=true"])).await;
        let mut asked = asked(&server, "lora", GenerationInput::default()).await;
        change_provider(&server, asked.feature_id, "elsewhere").await;
        let mut template = plain_template(asked.feature_id, "styled");
        let weights = [("a:b".to_owned(), 1.0)].into();
        template.template_data.get_or_insert_default().defaults =
            Some(GenerationInput { lora_weights: Some(LoraWeights { weights }), ..Default::default() });
        asked.template_id = Some(server.add_template(template).await.id);
        change_provider(&server, asked.feature_id, "service").await;
        refusal(server.requests().create_request(asked.clone()).await).of_fields(["template_id"]);
        asked.input.get_or_insert_default().lora_weights = Some(LoraWeights { weights: [("ink".to_owned(), 1.0)].into() });
        server.made(asked).await;
    }

    async fn a_picture_is_worked_over_where_its_mask_says_so(db: TestDatabase) {
        let (host, service) = (LinkHost::start().await, stand_in(Protocol::SdApi, Vec::new()).await);
        let server = TestServer::start_with(&db, configure(&service, "", &[])).await;
        let mask_url = Some(host.link("mask").into());
        let mut bringing = asked(&server, "edit", GenerationInput { mask_url, ..Default::default() }).await;
        let without_picture = refusal(within(server.requests().create_request(bringing.clone())).await);
        without_picture.of_fields(["input.mask_url"]);
        bringing.user_media_urls = vec![host.link("a").into(), host.link("b").into()];
        let too_many = refusal(within(server.requests().create_request(bringing.clone())).await);
        too_many.of_fields(["user_media_urls[1]"]);
        bringing.user_media_urls.pop();
        server.made(bringing).await;
        let calls = drawing(&service);
        assert_eq!((calls.len(), calls[0].path.as_str()), (1, "/sdapi/v1/img2img"));
        let body = &calls[0].body;
        assert_eq!(body["init_images"], json!([BASE64_STANDARD.encode(picture())]));
        let mask = BASE64_STANDARD.decode(body["mask"].as_str().unwrap()).unwrap();
        assert_eq!(codec::sniff(&mask), Some(codec::Format::Png));
    }

    async fn a_cancelled_job_is_interrupted_at_the_service_and_the_next_one_is_not(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, vec![Fault::Delay(10_000)]).await;
        let server = TestServer::start_with(&db, configure(&service, "", &[])).await;
        let first = server.create(asked(&server, "first", GenerationInput::default()).await).await.1.remove(0);
        begun(&service).await;
        let second = server.create(asked(&server, "second", GenerationInput::default()).await).await.1.remove(0);
        let cancel = CancelJobRequest { id: first.id, stop_processing: true };
        within(server.jobs().cancel_job(cancel)).await.unwrap();
        server.completed(second.id).await;
        let mut paths = paths(&service);
        // It is asked again where the call does not come back soon.
        paths.dedup();
        assert_eq!(paths, [TXT2IMG, "/sdapi/v1/interrupt", TXT2IMG]);
        assert_eq!(server.job(first.id).await.status(), JobStatus::Cancelled);
        assert!(server.media_of(first.id).await.is_empty());
    }

    async fn a_job_that_waits_for_its_turn_is_not_submitted_when_the_server_is_killed(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, vec![Fault::Hang]).await;
        let media = tempfile::tempdir().unwrap();
        let settings = ["kind=sdapi".to_owned(), format!("base_url={}", service.url())];
        let settings = settings.map(|setting| format!("providers.service.{setting}"));
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let first = Process::serve(&db, media.path(), &settings).await;
        let created = first.features().create_feature(feature("picture")).await.unwrap();
        let asked = request_for(created.into_inner().feature.unwrap().id);
        let hung = first.create(asked.clone()).await.1.remove(0).id;
        until(|| drawing(&service).len() == 1).await;
        let waiting = first.create(asked).await.1.remove(0).id;
        // Whoever comes later has been claimed by then, so that the other one has been passed over.
        let drawn = CreateFeatureRequest { properties: None, ..scripted_feature("drawn") };
        let drawn = first.features().create_feature(drawn).await.unwrap().into_inner().feature.unwrap().id;
        let drawn = first.create(request_for(drawn)).await.1.remove(0).id;
        first.completed(drawn).await;
        let reason = first.job(waiting).await.waiting_reason;
        assert!(reason.contains("as many jobs as it may"), "{reason}");
        first.kill();
        let second = Process::serve(&db, media.path(), &settings).await;
        assert_eq!(second.ended(hung).await.code(), "PROVIDER_OUTCOME_UNKNOWN");
        second.completed(waiting).await;
        assert_eq!(drawing(&service).len(), 2);
    }

    async fn what_somebody_interrupted_at_the_service_is_made_again(db: TestDatabase) {
        let service = stand_in(Protocol::SdApi, vec![Fault::Delay(10_000)]).await;
        let server = TestServer::start_with(&db, configure(&service, "", &[])).await;
        let job = server.create(asked(&server, "picture", GenerationInput::default()).await).await.1.remove(0);
        begun(&service).await;
        let interrupt = format!("{}/sdapi/v1/interrupt", service.url());
        within(browser().post(interrupt).send()).await.unwrap();
        server.completed(job.id).await;
        assert_eq!(drawing(&service).len(), 2);
    }

    async fn each_way_to_fail_has_its_reason_and_its_number_of_submissions(db: TestDatabase) {
        let whole = BASE64_STANDARD.encode(picture());
        let partly = json!({ "images": [null, whole], "info": "" }).to_string();
        let with_maps = json!({ "images": [whole, "no picture"], "info": { "all_seeds": [9] } }).to_string();
        let beside = |error: &str| format!(r#"{{"error":{error},"images":["{whole}"],"info":null}}"#);
        for (case, faults, code, submissions) in [
            ("busy", vec![answer(503, r#"{"detail":{"msg":"Server is busy"}}"#), answer(500, "oops")], "", 3),
            ("memory", vec![answer(500, r#"{"error":"OutOfMemoryError","detail":"","errors":"CUDA"}"#); 3], "PROVIDER_UNAVAILABLE", 3),
            ("input", vec![answer(422, r#"{"detail":[{"loc":["sampler"],"msg":"bad"}]}"#)], "PROVIDER_REJECTED_INPUT", 1),
            ("key", vec![answer(401, r#"{"detail":"Incorrect username or password"}"#)], "PROVIDER_NOT_READY", 1),
            ("inside", vec![answer(200, r#"{"error":{"type":"nsfw"}}"#)], "PROVIDER_REJECTED_CONTENT", 1),
            ("nulls", vec![answer(200, r#"{"images":null,"parameters":null,"info":null}"#)], "PROVIDER_NO_OUTPUT", 1),
            ("empty", vec![answer(200, r#"{"images":[]}"#)], "PROVIDER_NO_OUTPUT", 1),
            ("partly", vec![answer(200, &partly)], "", 1),
            ("maps", vec![answer(200, &with_maps)], "", 1),
            ("missing", vec![answer(404, r#"{"detail":"Not Found"}"#)], "PROVIDER_FAILED", 1),
            ("html", vec![answer(200, "<html>welcome</html>")], "PROVIDER_FAILED", 1),
            ("no base64", vec![answer(200, r#"{"images":["%%%"]}"#)], "PROVIDER_INVALID_OUTPUT", 1),
            ("garbage", vec![answer(200, r#"{"images":["aGVsbG8="]}"#)], "PROVIDER_INVALID_OUTPUT", 1),
            ("null", vec![answer(200, "null")], "PROVIDER_FAILED", 1),
            ("list", vec![answer(200, "[]")], "PROVIDER_FAILED", 1),
            ("empty error", vec![answer(200, &beside(r#""""#))], "", 1),
            ("no error", vec![answer(200, &beside("false"))], "", 1),
            ("label", vec![labelled(200, "content-type", "image/png", &beside("null"))], "", 1),
            ("redirect", vec![elsewhere()], "PROVIDER_FAILED", 1),
            ("bad gateway", vec![answer(502, "<html>")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("odd gateway", vec![answer(520, "")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("gateway", vec![answer(504, "")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cut", vec![Fault::Cut], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("silent", vec![Fault::Hang], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("slow", vec![Fault::Drip(50)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("endless", vec![Fault::Endless], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("huge", vec![Fault::Huge], "PROVIDER_LIMIT_EXCEEDED", 1),
        ] {
            let patience = patience(&faults);
            let service = stand_in(Protocol::SdApi, faults).await;
            let settings = configure(&service, "", &[patience]);
            let server = TestServer::start_with(&db, |config| {
                settings(config);
                config.limits.output_bytes = 8 << 20;
            }).await;
            let asked = asked(&server, &case.replace(' ', "-"), GenerationInput::default()).await;
            let job = server.create(asked).await.1.remove(0);
            let ended = server.ended(job.id).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job);
            assert_eq!(drawing(&service).len(), submissions, "{case}");
            let told = ended.job.output_metadata.unwrap_or_default().fields;
            let withheld = told.get("outputs_withheld").cloned();
            assert_eq!(withheld, (case == "partly").then(|| value(&json!(1))), "{case}");
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn its_progress_is_told_while_it_has_one_job_at_a_time() {
    let service = stand_in(Protocol::SdApi, vec![Fault::Delay(1_500)]).await;
    let provider = sdapi(&service, "", &[]);
    let ((first, mut seen), (second, _)) = (task(100, 64), task(100, 64));
    let both = async { tokio::join!(provider.submit(&first), provider.submit(&second)) };
    let watching = async {
        let drawn = |told: &Progress| told.preview.is_some() && told.fraction > 0.0;
        within(seen.wait_for(drawn)).await.unwrap();
        assert_eq!(drawing(&service).len(), 1, "the other one waits");
    };
    let ((one, other), ()) = tokio::join!(both, watching);
    for made in [one, other] {
        let Submitted::Done(output) = made.unwrap() else {
            panic!("done");
        };
        assert_eq!(output.files[0].seed, Some(1));
    }
    let calls = drawing(&service);
    assert_eq!(calls.len(), 2);
    let body = &calls[0].body;
    assert_eq!((&body["width"], &body["height"]), (&json!(104), &json!(64)));
}

#[tokio::test]
async fn a_service_without_progress_and_interruption_does_its_work_all_the_same() {
    let service = stand_in(Protocol::SdApi, vec![Fault::Delay(500)]).await;
    let sd_server = sdapi(&service, "/sd-server", &[]);
    let (whole, _) = task(100, 64);
    let made = sd_server.submit(&whole).await.unwrap();
    assert!(matches!(made, Submitted::Done(output) if output.files.len() == 1));
    let asked = service.calls().into_iter();
    let asked = asked.filter(|call| call.path.contains("/progress"));
    assert_eq!(asked.count(), 1, "it is not asked again");

    for (repeatable, expected) in [
        ("repeatable=false", "OutcomeUnknown"),
        ("repeatable=true", "Stopped"),
    ] {
        let service = stand_in(Protocol::SdApi, vec![Fault::Hang]).await;
        let sd_server = sdapi(&service, "/sd-server", &[repeatable]);
        let (task, _) = task(100, 64);
        let stop = async {
            until(|| !drawing(&service).is_empty()).await;
            task.cancelled.cancel();
        };
        let (ended, ()) = tokio::join!(sd_server.submit(&task), stop);
        let ended = format!("{:?}", ended.unwrap_err());
        assert!(ended.starts_with(expected), "{ended}");
    }
}

#[tokio::test]
async fn asking_whether_it_is_there_makes_nothing() {
    let service = stand_in(Protocol::SdApi, Vec::new()).await;
    for (path, found) in [("", Probed::Ready), ("/sd-server", Probed::Unsure)] {
        assert_eq!(
            sdapi(&service, path, &[]).probe().await,
            Ok(found),
            "{path}"
        );
    }
    assert_eq!(drawing(&service).len(), 0);
    let gone = sdapi(&service, "", &[]);
    drop(service);
    let told = within(async {
        loop {
            // The port is free once the server is gone.
            if let Err(error) = gone.probe().await {
                return error;
            }
        }
    });
    assert!(matches!(told.await, ProviderError::Unavailable(_)));
}
