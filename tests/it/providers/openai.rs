//! The kind `openai`: what is sent, what comes of each answer, and that nothing is paid for twice.

use std::time::Duration;

use atelier::config::{Config, Flag, Inputs, ProviderConfig};
use atelier::domain::AddressRules;
use atelier::provider::openai::OpenAi;
use atelier::provider::{Provider, Submitted};
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, FeatureProperties,
    GenerationInput, JobStatus, MediaRole, MediaType, OutputSettings,
};
use atelier::stand_in::{Fault, Protocol, StandIn, Step};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::link_host::{LinkHost, picture};
use crate::support::process::Process;
use crate::support::provider::{
    QUICK_VIDEOS, answer, elsewhere, fetcher, labelled, make, on, patience, provider, refuses_key,
    stand_in, task,
};
use crate::support::server::{TestServer, within};
use crate::support::structure::{structure, value};

const KEY: &str = "sk-of-nobody";
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Adds the stand-in as the provider `service`.
fn configure(service: &StandIn, more: &[&str]) -> impl Fn(&mut Config) + use<> {
    let base = format!("base_url={}/v1", service.url());
    let key = format!("api_key={KEY}");
    let common = ["kind=openai", &base, &key, r#"makes=["image", "audio"]"#];
    let service = provider(&[&common, more].concat());
    move |config| {
        config
            .providers
            .insert("service".to_owned(), service.clone());
    }
}

fn feature(category: MediaType) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: category.into(),
        system_prompt: "Draw in ink.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            ..Default::default()
        }),
        ..scripted_feature(&category.as_str_name().to_lowercase())
    }
}

on_both_databases! {
    async fn what_the_job_or_the_configuration_sets_is_refused_in_settings_and_in_a_style(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let settings = ["partial_images=2", "response_format=b64_json", r#"fields={ seed = "random" }"#];
        let server = TestServer::start_with(&db, configure(&service, &settings)).await;
        let by_job = "must be left out: the job sets it";
        let by_table = "must be left out: the configuration of the provider sets it";
        let ours = [
            ("prompt", by_job), ("model", by_job), ("input", by_job), ("n", by_job), ("size", by_job), ("random", by_job),
            ("stream", by_table), ("partial_images", by_table), ("response_format", by_table),
        ];
        let named = server.add_feature(feature(MediaType::Image)).await.id;
        for (key, words) in ours {
            let set = structure(&json!({ "quality": "high", key: "x" }));
            let wrong = CreateFeatureRequest { name: "other".to_owned(), ..feature(MediaType::Image) };
            refuses_key(&server, wrong, named, (key, &set), words).await;
        }
        // Speech has a size of its own, if any.
        let mut spoken = feature(MediaType::Audio);
        spoken.properties.get_or_insert_default().settings = Some(structure(&json!({ "n": 1, "stream": false })));
        server.add_feature(spoken).await;
    }

    async fn a_picture_is_made_of_what_the_feature_and_the_request_say(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let settings = [
            "image_model=painter-2", r#"sizes=["1024x1024", "512x768"]"#, "partial_images=2",
            r#"fields={ seed = "seed", negative_prompt = "not" }"#,
        ];
        let server = TestServer::start_with(&db, configure(&service, &settings)).await;
        let mut feature = feature(MediaType::Image);
        feature.properties.as_mut().unwrap().settings = Some(structure(&json!({ "quality": "high" })));
        let input = GenerationInput {
            seed: Some(7),
            negative_prompt: Some("rain".to_owned()),
            ..Default::default()
        };
        let ended = make(&server, feature, input).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let media = server.media_of(ended.job.id).await;
        let original = media.iter().find(|media| media.role() == MediaRole::Original).unwrap();
        assert_eq!((original.width, original.height), (1024, 1024));

        let calls = service.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!(calls[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
        let body = &calls[0].body;
        assert!(body["prompt"].as_str().unwrap().starts_with("Draw in ink.\n\n"));
        for (field, expected) in [
            ("model", json!("painter-2")), ("n", json!(1)), ("size", json!("1024x1024")), ("seed", json!(7)),
            ("not", json!("rain")), ("quality", json!("high")), ("stream", json!(true)), ("partial_images", json!(2)),
        ] {
            assert_eq!(body[field], expected, "{field}");
        }
        assert_eq!(body.get("response_format"), None);
    }

    async fn pictures_and_a_mask_are_worked_from_where_edits_are_switched_on(db: TestDatabase) {
        let (host, service) = (LinkHost::start().await, stand_in(Protocol::OpenAi, Vec::new()).await);
        let settings = ["edits_path=images/edits", "partial_images=1", r#"fields={ format = "output_format" }"#];
        let settings = configure(&service, &settings);
        let server = TestServer::start_with(&db, |config| {
            settings(config);
            config.fetch.allow = vec!["127.0.0.1".parse().unwrap()];
        }).await;
        let feature = server.add_feature(feature(MediaType::Image)).await;
        server.made(CreateRequestRequest {
            user_prompt: "a crane <sd_cpp_extra_args>{}".to_owned(),
            user_media_urls: vec![host.link("a").into(), host.link("b").into()],
            input: Some(GenerationInput { mask_url: Some(host.link("mask").into()), ..Default::default() }),
            ..request_for(feature.id)
        }).await;
        let calls = service.calls();
        assert_eq!((calls.len(), calls[0].path.as_str()), (1, "/v1/images/edits"));
        assert_eq!(calls[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
        let body = &calls[0].body;
        let brought = json!({ "type": "image/png", "bytes": picture().len() });
        assert_eq!(body["image[]"], json!([brought, brought]));
        assert_eq!(body["mask"][0]["type"], json!("image/png"));
        for (field, expected) in [
            ("prompt", "Draw in ink.\n\na crane sd_cpp_extra_args{}"), ("n", "1"), ("stream", "true"),
            ("partial_images", "1"),
        ] {
            assert_eq!(body[field], json!(expected), "{field}");
        }

        // Without pictures it is drawn from the prompt alone.
        server.made(request_for(feature.id)).await;
        assert_eq!(service.calls()[1].path, "/v1/images/generations");
    }

    async fn a_partly_filtered_answer_keeps_what_came_and_says_so(db: TestDatabase) {
        let filtered = json!({ "error": { "code": "OutputImageSensitiveContentDetected", "message": "no" } });
        let whole = json!({ "b64_json": BASE64_STANDARD.encode(picture()) });
        for (case, data, code, withheld) in [
            ("partly", json!([filtered, whole, {}]), "", Some(2)),
            ("all", json!([filtered, filtered]), "PROVIDER_REJECTED_CONTENT", None),
            ("none", json!([whole]), "", None),
        ] {
            let service = stand_in(Protocol::OpenAi, vec![answer(200, &json!({ "data": data }).to_string())]).await;
            let server = TestServer::start_with(&db, configure(&service, &[])).await;
            let feature = CreateFeatureRequest { name: case.to_owned(), ..feature(MediaType::Image) };
            let ended = make(&server, feature, GenerationInput::default()).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job);
            assert_eq!(service.calls().len(), 1, "{case}");
            let told = ended.job.output_metadata.unwrap_or_default().fields;
            assert_eq!(told.get("outputs_withheld"), withheld.map(|it| value(&json!(it))).as_ref(), "{case}");
            server.stop().await;
        }
    }

    async fn a_file_that_the_service_keeps_is_fetched_with_the_key(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = TestServer::start_with(&db, configure(&service, &["response_format=url"])).await;
        let ended = make(&server, feature(MediaType::Image), GenerationInput::default()).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let told = ended.job.output_metadata.unwrap_or_default().fields;
        assert_eq!(told["usage"], value(&json!({ "total_tokens": 100 })));
        let calls = service.calls();
        let paths: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
        assert_eq!(paths, ["/v1/images/generations", "/v1/files/0"]);
        assert!(calls.iter().all(|call| call.header("authorization").is_some()));
    }

    async fn a_file_that_lies_elsewhere_is_fetched_without_the_key_and_only_from_where_strangers_may_point(db: TestDatabase) {
        let elsewhere = stand_in(Protocol::OpenAi, Vec::new()).await;
        let url = format!("{}/v1/files/0", elsewhere.url());
        for (case, allow, asked) in [("guarded", false, 0), ("allowed", true, 1)] {
            let service = stand_in(Protocol::OpenAi, vec![answer(200, &json!({ "data": [{ "url": url }] }).to_string())]).await;
            let settings = configure(&service, &[]);
            let server = TestServer::start_with(&db, |config| {
                settings(config);
                if allow {
                    config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
                }
            }).await;
            let feature = CreateFeatureRequest { name: case.to_owned(), ..feature(MediaType::Image) };
            let ended = make(&server, feature, GenerationInput::default()).await;
            assert_eq!(ended.code(), "PROVIDER_FAILED", "{case}");
            assert_eq!((service.calls().len(), elsewhere.calls().len()), (1, asked), "{case}");
            assert!(elsewhere.calls().iter().all(|call| call.header("authorization").is_none()));
            server.stop().await;
        }
    }

    async fn speech_is_made_whatever_its_label_says(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let settings = ["speech_model=speaker-1", "voice=alloy", r#"fields={ format = "output_format" }"#];
        let server = TestServer::start_with(&db, configure(&service, &settings)).await;
        let ended = make(&server, feature(MediaType::Audio), GenerationInput::default()).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        assert_eq!(server.media_of(ended.job.id).await[0].format, "wav");
        let body = &service.calls()[0].body;
        for (field, expected) in [
            ("model", "speaker-1"), ("voice", "alloy"), ("instructions", "Draw in ink."), ("response_format", "wav"),
        ] {
            assert_eq!(body[field], json!(expected));
        }
        assert_eq!(body.get("output_format"), None);

        let mut whispered = feature(MediaType::Audio);
        "whispered".clone_into(&mut whispered.name);
        let properties = whispered.properties.as_mut().unwrap();
        properties.settings = Some(structure(&json!({ "instructions": "Whisper." })));
        properties.formats = vec!["ogg".to_owned()];
        let ended = make(&server, whispered, GenerationInput::default()).await;
        // The stand-in has no such sound, and says so once and for all.
        assert_eq!(ended.code(), "PROVIDER_REJECTED_INPUT");
        assert!(ended.job.error.unwrap().detail.contains("speaks wav, flac, pcm, not opus"));
        assert_eq!(service.calls().len(), 2);
        let body = &service.calls()[1].body;
        assert_eq!(body["instructions"], json!("Draw in ink.\n\nWhisper."));
        assert_eq!(body["response_format"], json!("opus"));
    }

    async fn each_way_to_fail_has_its_reason_and_its_number_of_submissions(db: TestDatabase) {
        let nulls = r#"{"created":null,"data":null,"error":null,"usage":null}"#;
        let policy = r#"{"error":{"code":"content_policy_violation","message":"no","param":null}}"#;
        let whole = BASE64_STANDARD.encode(picture());
        let beside = |error: &str| format!(r#"{{"error":{error},"data":[{{"b64_json":"{whole}","error":{error}}}]}}"#);
        for (case, faults, code, submissions) in [
            ("rate", vec![answer(429, "{}"), answer(500, "oops")], "", 3),
            ("storm", vec![answer(500, "{}"), answer(503, "{}"), answer(500, "<html>")], "PROVIDER_UNAVAILABLE", 3),
            ("policy", vec![answer(400, policy)], "PROVIDER_REJECTED_CONTENT", 1),
            ("inside", vec![answer(200, policy)], "PROVIDER_REJECTED_CONTENT", 1),
            ("input", vec![answer(422, r#"{"detail":[{"loc":["size"],"msg":"bad"}]}"#)], "PROVIDER_REJECTED_INPUT", 1),
            ("key", vec![answer(401, r#"{"error":"bad key sk-of-nobody"}"#)], "PROVIDER_NOT_READY", 1),
            ("quota", vec![answer(429, r#"{"error":{"type":"insufficient_quota"}}"#)], "PROVIDER_NOT_READY", 1),
            ("nulls", vec![answer(200, nulls)], "PROVIDER_NO_OUTPUT", 1),
            ("empty", vec![answer(200, r#"{"created":1,"data":[]}"#)], "PROVIDER_NO_OUTPUT", 1),
            ("html", vec![answer(200, "<html>welcome</html>")], "PROVIDER_FAILED", 1),
            ("garbage", vec![answer(200, r#"{"data":[{"b64_json":"aGVsbG8="}]}"#)], "PROVIDER_INVALID_OUTPUT", 1),
            ("no base64", vec![answer(200, r#"{"data":[{"b64_json":"%%%"}]}"#)], "PROVIDER_INVALID_OUTPUT", 1),
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
            let service = stand_in(Protocol::OpenAi, faults).await;
            let settings = configure(&service, &[patience]);
            let server = TestServer::start_with(&db, |config| {
                settings(config);
                config.limits.output_bytes = 8 << 20;
            }).await;
            let feature = CreateFeatureRequest { name: case.replace(' ', "-"), ..feature(MediaType::Image) };
            let ended = make(&server, feature, GenerationInput::default()).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job);
            assert_eq!(service.calls().len(), submissions, "{case}");
            let error = ended.job.error.unwrap_or_default();
            assert!(!error.message.contains(KEY) && !error.detail.contains(KEY), "{case}: {error:?}");
            let said = match case {
                "nulls" => r#""data":null"#,
                "empty" => r#""data":[]"#,
                "no base64" => "%%%",
                _ => "",
            };
            assert!(error.detail.contains(said), "{case}: {error:?}");
            server.stop().await;
        }
    }

    async fn a_killed_server_goes_on_with_the_video_that_it_was_asking_for(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let service = stand_in(Protocol::OpenAi, vec![on(Step::Poll, Fault::Hang)]).await;
        let settings = [
            "kind=openai", &format!("base_url={}/v1", service.url()), r#"makes=["video"]"#, "video_model=filmer-1",
            QUICK_VIDEOS,
        ].map(|line| format!("providers.service.{line}"));
        let settings = settings.each_ref().map(String::as_str);
        let first = Process::serve(&db, media.path(), &settings).await;
        let video = first.features().create_feature(feature(MediaType::Video)).await.unwrap();
        let job = first.create(request_for(video.into_inner().feature.unwrap().id)).await.1.remove(0).id;
        within(async {
            while service.calls().len() < 2 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        first.kill();
        let second = Process::serve(&db, media.path(), &settings).await;
        second.completed(job).await;
        let calls = service.calls();
        let made: Vec<_> = calls.iter().filter(|call| call.method == "POST").collect();
        assert_eq!(made.len(), 1, "{calls:?}");
        assert_eq!((made[0].path.as_str(), &made[0].body["model"]), ("/v1/videos", &json!("filmer-1")));
        assert!(calls.last().unwrap().path.ends_with("/content"), "{calls:?}");
    }

    async fn videos_are_made_in_every_dialect_as_large_and_as_long_as_they_are_asked_for(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        for (dialect, path) in [
            ("openai", "/v1/videos"), ("openrouter", "/v1/videos"), ("xai", "/v1/videos/generations"),
        ] {
            let profile = folder.path().join(format!("{dialect}.toml"));
            let quick = format!("extends = \"{dialect}\"\n[poll]\nevery = 0.05\n");
            std::fs::write(&profile, quick).unwrap();
            let service = stand_in(Protocol::OpenAi, Vec::new()).await;
            let videos = format!("videos=file:{}", profile.display());
            let settings = configure(&service, &[r#"makes=["video"]"#, "video_model=filmer-1", &videos]);
            let server = TestServer::start_with(&db, settings).await;
            let mut named = feature(MediaType::Video);
            dialect.clone_into(&mut named.name);
            let mut size = (320, 180);
            if dialect != "openai" {
                let properties = named.properties.get_or_insert_default();
                properties.settings = Some(structure(&json!({ "resolution": "480p" })));
                size = (854, 480);
            }
            let output = OutputSettings {
                width: Some(320), height: Some(180), duration_seconds: Some(1), ..Default::default()
            };
            let input = GenerationInput { output: Some(output), ..Default::default() };
            let ended = make(&server, named, input).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{dialect}: {:?}", ended.job);
            let video = server.media_of(ended.job.id).await.remove(0);
            assert_eq!((video.width, video.height), size, "{dialect}");
            assert!((video.duration_ms() - 1_000).abs() <= 1, "{dialect}: {video:?}");
            assert_eq!(service.calls()[0].path, path);
            server.stop().await;
        }
    }

    async fn a_video_that_is_stopped_is_deleted_at_the_service(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let settings = configure(&service, &[r#"makes=["video"]"#, "video_model=filmer-1"]);
        let server = TestServer::start_with(&db, settings).await;
        let feature = server.add_feature(feature(MediaType::Video)).await;
        let id = server.create(request_for(feature.id)).await.1.remove(0).id;
        let until = async |method: &str| within(async {
            while !service.calls().iter().any(|call| call.method == method) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        until("POST").await;
        let stop = CancelJobRequest { id, stop_processing: true };
        within(server.jobs().cancel_job(stop)).await.unwrap();
        until("DELETE").await;
        let calls = service.calls();
        let paths = calls.iter().filter(|call| call.method == "DELETE").map(|call| call.path.as_str());
        let paths: Vec<_> = paths.collect();
        assert!(matches!(paths[..], [path] if path.starts_with("/v1/videos/video_")), "{calls:?}");
    }

    async fn a_service_that_is_not_there_costs_nothing_and_is_tried_again(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let settings = configure(&service, &[]);
        drop(service);
        let server = TestServer::start_with(&db, |config| {
            settings(config);
            config.executor.max_attempts = 1;
        }).await;
        let ended = make(&server, feature(MediaType::Image), GenerationInput::default()).await;
        assert_eq!(ended.code(), "PROVIDER_UNAVAILABLE", "{:?}", ended.job);
        assert!(!ended.job.error.unwrap().message.contains("127.0.0.1"));
    }
}

#[test]
fn a_key_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-in-a-file\n").unwrap();
    let load = |key: String| {
        let common = [
            "kind=openai",
            "base_url=http://localhost/v1",
            r#"makes=["image"]"#,
            &key,
        ];
        let flags = common.map(|it| Flag::Set(format!("providers.service.{it}")));
        Config::load(&Inputs {
            flags: flags.to_vec(),
            ..Inputs::default()
        })
    };
    let loaded = load(format!("api_key=file:{}", file.display())).unwrap();
    let shown = loaded.to_toml();
    assert!(
        shown.contains("api_key = \"<redacted>\"") && !shown.contains("sk-in"),
        "{shown}"
    );
    let told = load("api_key=file:/nowhere".to_owned())
        .unwrap_err()
        .to_string();
    assert!(told.contains("providers.service.api_key"), "{told}");
    assert!(
        told.contains("the file /nowhere is empty or cannot be read"),
        "{told}"
    );
    let told = load("api_key=env:NOT_SET_ANYWHERE".to_owned())
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("the variable NOT_SET_ANYWHERE is empty or not set"),
        "{told}"
    );
}

#[tokio::test]
async fn pictures_of_its_progress_come_before_the_picture() {
    let service = stand_in(Protocol::OpenAi, Vec::new()).await;
    let mut config = Config::default();
    configure(&service, &["partial_images=3"])(&mut config);
    let Some(ProviderConfig::OpenAi(openai)) = config.providers.remove("service") else {
        panic!("a service");
    };
    let (task, seen) = task(256, 256);
    let files = fetcher(AddressRules::default());
    let provider = OpenAi::new("service".to_owned(), openai, &files);
    let made = provider.submit(&task).await.unwrap();
    assert!(matches!(made, Submitted::Done(output) if output.files.len() == 1));
    let seen = seen.borrow();
    assert!(seen.preview.is_some() && seen.fraction > 0.7, "{seen:?}");
}
