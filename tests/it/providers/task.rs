//! The kind `task`: what is sent, what comes of each answer, and that one submission is all there is, whatever happens.

use std::time::Duration;

use atelier::config::ProviderConfig;
use atelier::domain::{self, AddressRules};
use atelier::entity::job;
use atelier::provider::task::TaskService;
use atelier::provider::{Provider, Submitted};
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, DeleteJobRequest,
    FeatureProperties, GenerationInput, JobEventCause, JobStatus, ListJobEventsRequest, MediaRole,
    MediaType,
};
use atelier::stand_in::{Call, Fault, Protocol, StandIn, Step};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::EntityTrait;
use serde_json::json;
use sha2::Sha256;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::support::client::{USER, request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::provider::{
    answer, elsewhere, fetcher, labelled, make, on, patience, provider, refuses_key, stand_in,
    task, try_provider,
};
use crate::support::python::python;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

const KEY: &str = "key-of-nobody";
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const PROFILES: [(&str, Protocol); 3] = [
    ("fal", Protocol::Fal),
    ("replicate", Protocol::Replicate),
    ("cog", Protocol::Cog),
];

async fn service(profile: &str, faults: Vec<Fault>) -> StandIn {
    let (_, protocol) = PROFILES.iter().find(|(name, _)| *name == profile).unwrap();
    stand_in(*protocol, faults).await
}

/// The table that makes the stand-in a provider.
fn table(profile: &str, service: &StandIn, more: &[&str]) -> Vec<String> {
    let path = if profile == "replicate" { "/v1" } else { "" };
    let common = [
        "kind=task".to_owned(),
        format!("profile={profile}"),
        format!("base_url={}{path}", service.url()),
        format!("api_key={KEY}"),
        "poll_every=10ms".to_owned(),
    ];
    let more = more.iter().map(|it| (*it).to_owned());
    common.into_iter().chain(more).collect()
}

/// The same for a server of its own, as the provider `service`.
fn settings(profile: &str, service: &StandIn, more: &[&str]) -> Vec<String> {
    let table = table(profile, service, more).into_iter();
    table.map(|it| format!("providers.service.{it}")).collect()
}

async fn server(db: &TestDatabase, profile: &str, service: &StandIn, more: &[&str]) -> TestServer {
    let loaded = provider(&table(profile, service, more));
    TestServer::start_with(db, |config| {
        config.limits.output_bytes = 8 << 20;
        config.providers.insert("service".to_owned(), loaded);
    })
    .await
}

fn feature(name: &str, category: MediaType, model: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: category.into(),
        system_prompt: "Draw in ink.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            model: model.to_owned(),
            ..Default::default()
        }),
        ..scripted_feature(&name.replace([' ', '/'], "-"))
    }
}

fn picture(name: &str) -> CreateFeatureRequest {
    feature(name, MediaType::Image, "owner/painter")
}

/// The calls that have something made.
fn submissions(service: &StandIn) -> Vec<Call> {
    let calls = service.calls().into_iter();
    calls
        .filter(|it| matches!(it.method.as_str(), "POST" | "PUT") && !it.path.ends_with("/cancel"))
        .collect()
}

fn cancellations(calls: &[Call]) -> usize {
    calls
        .iter()
        .filter(|call| call.path.ends_with("/cancel"))
        .count()
}

async fn until_called(service: &StandIn, what: impl Fn(&Call) -> bool) {
    within(async {
        while !service.calls().iter().any(&what) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

on_both_databases! {
    async fn every_service_makes_pictures_clips_and_sound(db: TestDatabase) {
        for (profile, protocol) in PROFILES {
            let service = stand_in(protocol, Vec::new()).await;
            let server = server(&db, profile, &service, &[]).await;
            for (category, model) in [
                (MediaType::Image, "owner/painter"), (MediaType::Video, "owner/video"), (MediaType::Audio, "owner/music"),
            ] {
                let mut feature = feature(&format!("{profile} {model}"), category, model);
                // The server of cog has one model, and its stand-in is told by the input which one that is.
                let settings = structure(&json!({ "model": model }));
                feature.properties.as_mut().unwrap().settings = Some(settings);
                let ended = make(&server, feature, GenerationInput::default()).await;
                assert_eq!(ended.job.status(), JobStatus::Completed, "{profile} {model}: {:?}", ended.job);
                let media = server.media_of(ended.job.id).await;
                let original = media.iter().find(|media| media.role() == MediaRole::Original).unwrap();
                assert_eq!(original.media_type(), category, "{profile}");
            }
            assert_eq!(submissions(&service).len(), 3, "{profile}");
            let word = if profile == "fal" { "Key" } else { "Bearer" };
            let key = format!("{word} {KEY}");
            assert!(service.calls().iter().all(|call| call.header("authorization") == Some(&*key)), "{profile}");
            server.stop().await;
        }
    }

    async fn a_job_is_sent_as_the_profile_says_and_its_settings_change_nothing_of_that(db: TestDatabase) {
        let service = service("fal", Vec::new()).await;
        let server = server(&db, "fal", &service, &[]).await;
        let mut feature = feature("poster", MediaType::Image, "owner/painter/dev");
        let settings = structure(&json!({ "num_inference_steps": 4, "negative_prompt": "snow" }));
        feature.properties.as_mut().unwrap().settings = Some(settings);
        let input = GenerationInput { seed: Some(7), negative_prompt: Some("rain".to_owned()), ..Default::default() };
        let ended = make(&server, feature, input).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);

        let calls = service.calls();
        let paths = calls.iter().map(|call| (call.method.as_str(), call.path.rsplit('/').next().unwrap()));
        let paths: Vec<_> = paths.filter(|(_, last)| last.len() < 10).collect();
        assert_eq!(paths, [("POST", "dev"), ("GET", "status"), ("GET", "status"), ("GET", "status"), ("GET", "0")]);
        assert_eq!(calls[0].path, "/owner/painter/dev");
        assert!(calls[1].path.starts_with("/owner/painter/requests/"));
        assert_eq!(calls[0].header("x-fal-no-retry"), Some("1"));
        let body = &calls[0].body;
        assert!(body["prompt"].as_str().unwrap().starts_with("Draw in ink.\n\n"));
        for (field, expected) in [
            ("seed", json!(7)), ("negative_prompt", json!("rain")), ("num_inference_steps", json!(4)),
            ("image_size", json!({ "width": 1080, "height": 1080 })),
        ] {
            assert_eq!(body[field], expected, "{field}");
        }
        assert_eq!(body.get("image_url"), None);
    }

    async fn a_model_that_leaves_its_path_and_a_key_that_the_profile_fills_in_are_refused_with_their_fields(db: TestDatabase) {
        let service = service("fal", Vec::new()).await;
        let server = server(&db, "fal", &service, &[]).await;
        for model in ["../../x", "a//b", "owner/..", "/"] {
            let refused = refusal(server.features().create_feature(feature("path", MediaType::Image, model)).await);
            refused.of_fields(["properties.model"]);
            assert!(refused.descriptions[0].contains("a name for the path"), "{model}: {:?}", refused.descriptions);
        }
        let named = server.add_feature(picture("named")).await.id;
        for key in ["prompt", "seed", "image_size"] {
            let words = "must be left out: the profile of the provider fills it in";
            // What only some requests say may have a value for the others.
            let set = structure(&json!({ "guidance_scale": 3, "negative_prompt": "rain", key: 1 }));
            let wrong = picture("wrong");
            refuses_key(&server, wrong, named, (key, &set), words).await;
        }
        assert_eq!(service.calls().len(), 0);
    }

    async fn each_fault_has_its_outcome_and_its_number_of_submissions(db: TestDatabase) {
        let policy = r#"{"detail":[{"loc":["body","prompt"],"msg":"flagged","type":"content_policy_violation"}]}"#;
        let input = r#"{"detail":[{"loc":["body","seed"],"msg":"not a number","type":"int_type"}]}"#;
        let late = r#"{"detail":"Request timed out","error_type":"startup_timeout"}"#;
        let black = r#"{"images":[{"url":"/files/0"}],"has_nsfw_concepts":[true]}"#;
        let no_fal = r#"{"request_id":null,"status_url":null}"#;
        let no_replicate = r#"{"id":null,"status":null,"urls":null,"error":null}"#;
        let nothing = r#"{"status":"succeeded","output":null,"error":null}"#;
        let mislabelled = |word: &str| labelled(200, "content-type", "text/html", &format!(r#"{{"status":"{word}"}}"#));
        let (poll, result, file) = (Step::Poll, Step::Result, Step::File);
        for (profile, case, faults, code, submitted) in [
            ("fal", "rate", vec![answer(429, "{}"), answer(500, "oops")], "", 3),
            ("fal", "storm", vec![answer(500, "{}"), answer(503, "{}"), answer(500, "<html>")], "PROVIDER_UNAVAILABLE", 3),
            ("fal", "policy at once", vec![answer(422, policy)], "PROVIDER_REJECTED_CONTENT", 1),
            ("fal", "input at once", vec![answer(422, input)], "PROVIDER_REJECTED_INPUT", 1),
            ("fal", "key", vec![answer(401, r#"{"detail":"bad key key-of-nobody"}"#)], "PROVIDER_NOT_READY", 1),
            ("fal", "gateway", vec![answer(504, late)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "cut", vec![Fault::Cut], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "silent", vec![Fault::Hang], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "html", vec![answer(200, "<html>welcome</html>")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "nulls", vec![answer(200, no_fal)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "null", vec![answer(200, "null")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "list", vec![answer(200, "[]")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "bad gateway", vec![answer(502, "<html>")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "odd gateway", vec![answer(520, "{}")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "slow", vec![Fault::Drip(50)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("fal", "error inside", vec![answer(200, r#"{"error":"no such application"}"#)], "PROVIDER_FAILED", 1),
            ("fal", "endless", vec![Fault::Endless], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("fal", "huge", vec![Fault::Huge], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("fal", "redirect", vec![elsewhere()], "PROVIDER_FAILED", 1),
            ("fal", "poll storm", vec![on(poll, answer(500, "{}")), on(poll, answer(429, "{}"))], "", 1),
            ("fal", "poll cut", vec![on(poll, Fault::Cut)], "", 1),
            ("fal", "poll silent", vec![on(poll, Fault::Hang)], "", 1),
            ("fal", "poll html", vec![on(poll, answer(200, "<html>"))], "", 1),
            ("fal", "unknown word", vec![on(poll, answer(200, r#"{"status":"DREAMING"}"#))], "", 1),
            ("fal", "no word", vec![on(poll, answer(200, r#"{"status":null}"#))], "", 1),
            ("fal", "poll slow", vec![on(poll, Fault::Drip(50))], "", 1),
            ("fal", "poll mislabelled", vec![on(poll, mislabelled("IN_PROGRESS"))], "", 1),
            ("fal", "gone", vec![on(poll, answer(404, "{}")); 5], "PROVIDER_FAILED", 1),
            ("fal", "policy", vec![on(result, answer(422, policy))], "PROVIDER_REJECTED_CONTENT", 1),
            ("fal", "input", vec![on(result, answer(422, input))], "PROVIDER_REJECTED_INPUT", 1),
            ("fal", "not begun", vec![on(result, answer(500, late))], "", 2),
            ("fal", "failed", vec![on(result, answer(500, r#"{"detail":"oops","error_type":"internal_error"}"#))], "PROVIDER_FAILED", 1),
            ("fal", "result away", vec![on(result, answer(503, "<html>")), on(result, answer(500, r#"{"detail":"oops"}"#))], "", 1),
            ("fal", "result gone", vec![on(result, answer(404, r#"{"detail":"Request not found"}"#))], "PROVIDER_FAILED", 1),
            ("fal", "black", vec![on(result, answer(200, black))], "PROVIDER_REJECTED_CONTENT", 1),
            ("fal", "none", vec![on(result, answer(200, r#"{"images":[]}"#))], "PROVIDER_NO_OUTPUT", 1),
            ("fal", "result of nulls", vec![on(result, answer(200, r#"{"images":null}"#))], "PROVIDER_NO_OUTPUT", 1),
            ("fal", "result null", vec![on(result, answer(200, "null"))], "PROVIDER_NO_OUTPUT", 1),
            ("fal", "result elsewhere", vec![on(result, elsewhere())], "", 1),
            ("fal", "result huge", vec![on(result, Fault::Huge)], "", 1),
            ("fal", "huge file", vec![on(file, Fault::Huge)], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("fal", "expired", vec![on(file, answer(410, ""))], "PROVIDER_FAILED", 1),
            ("fal", "file cut", vec![on(file, Fault::Cut)], "", 1),
            ("fal", "endless file", vec![on(file, Fault::Endless)], "PROVIDER_FAILED", 1),
            ("replicate", "nsfw", vec![on(poll, answer(200, r#"{"status":"failed","error":"NSFW content detected"}"#))],
                "PROVIDER_REJECTED_CONTENT", 1),
            ("replicate", "failed", vec![on(poll, answer(200, r#"{"status":"failed","error":"out of memory"}"#))],
                "PROVIDER_FAILED", 1),
            ("replicate", "aborted", vec![on(poll, answer(200, r#"{"status":"aborted"}"#))], "", 2),
            ("replicate", "canceled", vec![on(poll, answer(200, r#"{"status":"canceled"}"#))], "PROVIDER_FAILED", 1),
            ("replicate", "endless", vec![Fault::Endless], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("replicate", "huge", vec![Fault::Huge], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("replicate", "slow", vec![Fault::Drip(50)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("replicate", "redirect", vec![elsewhere()], "PROVIDER_FAILED", 1),
            ("replicate", "bad gateway", vec![answer(502, "{}")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("replicate", "nulls", vec![answer(201, no_replicate)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("replicate", "null", vec![answer(201, "null")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("replicate", "error inside", vec![answer(200, r#"{"error":"no such model"}"#)], "PROVIDER_FAILED", 1),
            ("replicate", "poll of nulls", vec![on(poll, answer(200, no_replicate))], "", 1),
            ("replicate", "poll endless", vec![on(poll, Fault::Endless)], "", 1),
            ("replicate", "poll slow", vec![on(poll, Fault::Drip(50))], "", 1),
            ("replicate", "poll mislabelled", vec![on(poll, mislabelled("processing"))], "", 1),
            ("replicate", "result of nulls", vec![on(poll, answer(200, nothing))], "PROVIDER_NO_OUTPUT", 1),
            ("replicate", "key", vec![answer(401, r#"{"detail":"bad token key-of-nobody"}"#)], "PROVIDER_NOT_READY", 1),
            ("replicate", "rate", vec![answer(429, r#"{"detail":"resets in ~30s."}"#)], "", 2),
            ("cog", "capacity", vec![answer(409, r#"{"error":"At capacity"}"#)], "", 2),
            ("cog", "failed", vec![answer(200, r#"{"status":"failed","error":"oops"}"#)], "PROVIDER_FAILED", 1),
            ("cog", "runs on", vec![answer(202, r#"{"status":"processing"}"#)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "cut", vec![Fault::Cut], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "silent", vec![Fault::Hang], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "slow", vec![Fault::Drip(50)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "endless", vec![Fault::Endless], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("cog", "huge", vec![Fault::Huge], "PROVIDER_LIMIT_EXCEEDED", 1),
            ("cog", "redirect", vec![elsewhere()], "PROVIDER_FAILED", 1),
            ("cog", "bad gateway", vec![answer(502, "{}")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "error inside", vec![answer(200, r#"{"error":"no such thing"}"#)], "PROVIDER_FAILED", 1),
            ("cog", "nulls", vec![answer(200, r#"{"id":null,"status":null,"output":null}"#)], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "null", vec![answer(200, "null")], "PROVIDER_OUTCOME_UNKNOWN", 1),
            ("cog", "result of nulls", vec![answer(200, nothing)], "PROVIDER_NO_OUTPUT", 1),
        ] {
            let patience = patience(&faults);
            let service = service(profile, faults).await;
            let server = server(&db, profile, &service, &[patience]).await;
            let case = format!("{profile} {case}");
            let ended = make(&server, picture(&case), GenerationInput::default()).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job);
            assert_eq!(submissions(&service).len(), submitted, "{case}");
            let error = ended.job.error.unwrap_or_default();
            assert!(!error.message.contains(KEY) && !error.detail.contains(KEY), "{case}: {error:?}");
            match case.as_str() {
                "fal expired" | "fal result gone" => assert!(error.detail.contains("has expired"), "{}", error.detail),
                "fal gone" => assert!(error.detail.contains("does not have the task any more"), "{}", error.detail),
                _ => {}
            }
            server.stop().await;
        }
    }

    async fn a_paid_task_is_given_up_for_the_same_answer_five_times_and_not_for_four_odd_ones(db: TestDatabase) {
        let odd = || [
            answer(403, "{}"), elsewhere(), answer(400, "{}"), answer(404, "{}"), answer(401, "{}"), answer(422, "{}"),
            answer(200, "<html>"), answer(200, "null"), answer(200, "[]"),
        ];
        for profile in ["fal", "replicate"] {
            // An answer that says nothing is none that fails, so no five are in a row.
            let faults = odd().into_iter().enumerate().flat_map(|(index, fault)| {
                let pause = (index % 4 == 3).then(|| answer(200, r#"{"status":null}"#));
                [Some(fault), pause]
            });
            let faults = faults.flatten().map(|fault| on(Step::Poll, fault)).collect();
            let service = service(profile, faults).await;
            let server = server(&db, profile, &service, &[]).await;
            let ended = make(&server, picture(&format!("{profile} odd")), GenerationInput::default()).await;
            assert_eq!(ended.code(), "", "{profile}: {:?}", ended.job);
            assert_eq!((submissions(&service).len(), cancellations(&service.calls())), (1, 0), "{profile}");
            server.stop().await;
        }
        for (profile, fault, code) in [
            ("fal", answer(403, "{}"), "PROVIDER_NOT_READY"),
            ("fal", elsewhere(), "PROVIDER_FAILED"),
            ("replicate", answer(403, "{}"), "PROVIDER_NOT_READY"),
            ("replicate", answer(404, "{}"), "PROVIDER_FAILED"),
            ("replicate", elsewhere(), "PROVIDER_FAILED"),
        ] {
            let service = service(profile, vec![on(Step::Poll, fault.clone()); 5]).await;
            let server = server(&db, profile, &service, &[]).await;
            let case = format!("{profile} {code} {fault:?}");
            let ended = make(&server, picture(&Uuid::new_v4().to_string()), GenerationInput::default()).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job);
            until_called(&service, |call| call.path.ends_with("/cancel")).await;
            server.stop().await;
            assert_eq!((submissions(&service).len(), cancellations(&service.calls())), (1, 1), "{case}");
        }
    }

    async fn a_service_that_asks_to_be_left_alone_is_for_as_long_as_it_says(db: TestDatabase) {
        let wait = Duration::from_secs(2);
        let busy = labelled(429, "retry-after", "2", "{}");
        for (case, fault, submitted) in [("submission", busy.clone(), 2), ("poll", on(Step::Poll, busy), 1)] {
            let service = service("fal", vec![fault]).await;
            let server = server(&db, "fal", &service, &[]).await;
            let begun = std::time::Instant::now();
            let ended = make(&server, picture(case), GenerationInput::default()).await;
            assert_eq!(ended.code(), "", "{case}: {:?}", ended.job);
            assert!(begun.elapsed() >= wait, "{case}: {:?}", begun.elapsed());
            assert_eq!(submissions(&service).len(), submitted, "{case}");
            if submitted > 1 {
                let asked = ListJobEventsRequest { job_id: ended.job.id, ..Default::default() };
                let events = server.jobs().list_job_events(asked).await.unwrap().into_inner().events;
                let retried = events.iter().find(|event| event.cause() == JobEventCause::Retry).unwrap();
                let due = retried.next_attempt_time.unwrap().seconds - retried.create_time.unwrap().seconds;
                assert!((2..=3).contains(&due), "{retried:?}");
            }
            server.stop().await;
        }
    }

    async fn news_of_a_task_do_not_have_a_service_asked_that_asks_to_be_left_alone(db: TestDatabase) {
        let busy = on(Step::Poll, labelled(429, "retry-after", "2", "{}"));
        let service = service("fal", vec![busy]).await;
        let server = server(&db, "fal", &service, &[]).await;
        let events = server.app().events.clone();
        let _news = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                (1..9).for_each(|job| events.publish_task(job));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }));
        let begun = std::time::Instant::now();
        let ended = make(&server, picture("told"), GenerationInput::default()).await;
        assert_eq!(ended.code(), "", "{:?}", ended.job);
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    async fn a_key_that_a_service_repeats_stands_in_no_error_and_no_log(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let repeated = |status| answer(status, r#"{"detail":"no account has the key key-of-nobody"}"#);
        let polls = [403; 5].map(|status| on(Step::Poll, repeated(status)));
        let service = service("replicate", [vec![repeated(401)], polls.to_vec()].concat()).await;
        let settings = settings("replicate", &service, &[]);
        let settings = settings.iter().map(String::as_str).chain(["log.filter=trace"]);
        let mut process = Process::serve(&db, media.path(), &settings.collect::<Vec<_>>()).await;
        for _ in 0..2 {
            let job = start(&process).await;
            let ended = process.ended(job).await;
            assert_eq!(ended.code(), "PROVIDER_NOT_READY");
            let error = ended.job.error.unwrap();
            assert!(error.detail.contains("no account has the key [our key]"), "{error:?}");
        }
        process.signal("TERM");
        process.exit().await;
        assert!(process.log().contains("our key"), "{}", process.log());
        assert!(!process.log().contains(KEY), "{}", process.log());
    }

    async fn a_link_that_leads_to_where_strangers_must_not_is_refused_or_fails_before_anything_is_submitted(db: TestDatabase) {
        let edits = stand_in(Protocol::OpenAi, Vec::new()).await;
        let edited = format!("base_url={}/v1", edits.url());
        let edited = provider(&["kind=openai", &edited, r#"makes=["image"]"#, "edits_path=images/edits"]);
        let taking = stand_in(Protocol::SdApi, Vec::new()).await;
        let taken = provider(&["kind=sdapi".to_owned(), format!("base_url={}", taking.url())]);
        let (fal, cog) = (service("fal", Vec::new()).await, service("cog", Vec::new()).await);
        for (case, service, loaded) in [
            ("fal", &fal, provider(&table("fal", &fal, &[]))),
            ("cog", &cog, provider(&table("cog", &cog, &[]))),
            ("openai", &edits, edited),
            ("sdapi", &taking, taken),
        ] {
            let server = TestServer::start_with(&db, |config| {
                config.providers.insert("service".to_owned(), loaded);
            }).await;
            let feature = server.add_feature(picture(case)).await.id;
            let asked = |link: &str| CreateRequestRequest { user_media_urls: vec![link.to_owned()], ..request_for(feature) };
            for link in [
                "http://169.254.169.254/latest", "http://127.0.0.1/a.png", "http://[::1]/a.png", "http://[::ffff:10.0.0.1]/a.png",
                "https://somebody:secret@pictures.example/a.png",
            ] {
                let refused = refusal(within(server.requests().create_request(asked(link))).await);
                refused.of_fields(["user_media_urls[0]"]);
            }
            let (_, jobs) = server.create(asked("http://localhost:9/a.png")).await;
            let ended = server.ended(jobs[0].id).await;
            assert_eq!(ended.code(), "INPUT_UNREADABLE", "{case}: {:?}", ended.job);
            let told = ended.job.error.unwrap().message;
            assert!(told.starts_with("user_media_urls[0]: the link to localhost "), "{case}: {told}");
            let made = service.calls().into_iter().filter(|call| call.method != "GET");
            assert_eq!(made.count(), 0, "{case}");
            server.stop().await;
        }
    }

    async fn an_upload_reaches_a_service_as_a_link_that_it_can_open_and_that_ends(db: TestDatabase) {
        let service = service("fal", Vec::new()).await;
        let server = server(&db, "fal", &service, &[]).await;
        let file = crate::support::uploads::picture_named("own");
        let upload = server.upload(USER, &file).await;
        let feature = server.add_feature(picture("edits")).await.id;
        let asked = CreateRequestRequest { user_media_urls: vec![upload.url.clone()], ..request_for(feature) };
        let (request, jobs) = server.create(asked).await;
        server.completed(jobs[0].id).await;
        let sent = submissions(&service).pop().unwrap().body.to_string();
        let begin = sent.find(&format!("{}/media/upload-{}.png?expires=", server.url(), upload.id)).expect(&sent);
        let link = sent[begin..].split('"').next().unwrap();
        let opened = crate::support::http::browser().get(link).send().await.unwrap();
        assert_eq!(opened.bytes().await.unwrap(), file);
        // What is kept is the upload, and not the way to it.
        assert_eq!(server.request(request.id).await.user_media_urls, [upload.url]);
    }

    async fn a_killed_server_goes_on_with_the_task_that_it_was_asking_for(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let dreaming = on(Step::Poll, answer(200, r#"{"status":"DREAMING"}"#));
        let service = service("fal", vec![dreaming.clone(), dreaming, on(Step::Poll, Fault::Hang)]).await;
        let settings = settings("fal", &service, &[]);
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let first = Process::serve(&db, media.path(), &settings).await;
        let job = start(&first).await;
        let polls = || service.calls().iter().filter(|call| call.path.ends_with("/status")).count();
        within(async {
            while polls() < 3 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        assert_eq!(first.log().matches("that its profile does not know").count(), 1);
        first.kill();
        let second = Process::serve(&db, media.path(), &settings).await;
        second.completed(job).await;
        assert_eq!(submissions(&service).len(), 1);
    }

    async fn a_killed_server_goes_on_with_the_task_that_it_had_only_written_down(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        for profile in ["fal", "replicate"] {
            let service = service(profile, Vec::new()).await;
            let patient = settings(profile, &service, &["poll_every=1m"]);
            let patient: Vec<_> = patient.iter().map(String::as_str).collect();
            let first = Process::serve(&db, media.path(), &patient).await;
            let job = start(&first).await;
            let connection = db.connect().await;
            within(async {
                let noted = async || job::Entity::find_by_id(job).one(&connection).await.unwrap().unwrap().provider_task_id;
                while noted().await.is_none() {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }).await;
            first.kill();
            assert_eq!(service.calls().len(), 1, "{profile}");
            let settings = settings(profile, &service, &[]);
            let settings: Vec<_> = settings.iter().map(String::as_str).collect();
            let second = Process::serve(&db, media.path(), &settings).await;
            second.completed(job).await;
            assert_eq!(submissions(&service).len(), 1, "{profile}");
        }
    }

    async fn a_server_that_is_killed_while_it_submits_never_submits_again(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        for profile in ["fal", "replicate", "cog"] {
            let service = service(profile, vec![Fault::Hang]).await;
            let settings = settings(profile, &service, &[]);
            let settings: Vec<_> = settings.iter().map(String::as_str).collect();
            let first = Process::serve(&db, media.path(), &settings).await;
            let job = start(&first).await;
            until_called(&service, |_| true).await;
            first.kill();
            let second = Process::serve(&db, media.path(), &settings).await;
            assert_eq!(second.ended(job).await.code(), "PROVIDER_OUTCOME_UNKNOWN", "{profile}");
            assert_eq!(submissions(&service).len(), 1, "{profile}");
        }
    }

    async fn what_is_stopped_or_deleted_is_cancelled_at_the_service(db: TestDatabase) {
        for (profile, poll) in [("fal", "poll_every=1m"), ("replicate", "poll_every=1m"), ("cog", "poll_every=1m")] {
            for deletes in [false, true] {
                let faults = match profile {
                    "cog" => vec![Fault::Delay(600_000)],
                    _ => Vec::new(),
                };
                let service = service(profile, faults).await;
                let server = server(&db, profile, &service, &[poll]).await;
                let feature = server.add_feature(picture(&format!("{profile} {deletes}"))).await;
                let id = server.create(request_for(feature.id)).await.1.remove(0).id;
                until_called(&service, |_| true).await;
                match deletes {
                    true => within(server.jobs().delete_job(DeleteJobRequest { id })).await.map(drop).unwrap(),
                    false => {
                        let stop = CancelJobRequest { id, stop_processing: true };
                        within(server.jobs().cancel_job(stop)).await.map(drop).unwrap();
                    }
                }
                until_called(&service, |call| call.path.ends_with("/cancel")).await;
                let calls = service.calls();
                assert_eq!((cancellations(&calls), submissions(&service).len()), (1, 1), "{profile}: {calls:?}");
                server.stop().await;
            }
        }
    }

    async fn a_server_that_stops_cancels_what_it_cannot_ask_for_and_has_it_made_later(db: TestDatabase) {
        let service = service("cog", vec![Fault::Delay(600_000)]).await;
        let first = server(&db, "cog", &service, &[]).await;
        let feature = first.add_feature(picture("poster")).await;
        let job = first.create(request_for(feature.id)).await.1.remove(0).id;
        until_called(&service, |_| true).await;
        first.stop().await;
        assert!(cancellations(&service.calls()) > 0);
        let second = server(&db, "cog", &service, &[]).await;
        second.completed(job).await;
        assert_eq!(submissions(&service).len(), 2);
    }

    async fn an_address_elsewhere_gets_the_key_only_if_it_is_allowed(db: TestDatabase) {
        for (case, allowed, reachable) in [("guarded", false, false), ("open", false, true), ("allowed", true, false)] {
            let elsewhere = stand_in(Protocol::Fal, Vec::new()).await;
            let answered = json!({
                "request_id": "1", "status_url": format!("{}/a/b/requests/1/status", elsewhere.url()),
            });
            let service = service("fal", vec![answer(200, &answered.to_string())]).await;
            let origin = format!(r#"allowed_origins=["{}"]"#, elsewhere.url());
            let more = [origin.as_str()];
            let loaded = provider(&table("fal", &service, if allowed { &more } else { &[] }));
            let server = TestServer::start_with(&db, |config| {
                config.providers.insert("service".to_owned(), loaded);
                if reachable {
                    config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
                }
            }).await;
            let ended = make(&server, picture(case), GenerationInput::default()).await;
            assert_eq!(ended.code(), "PROVIDER_FAILED", "{case}");
            let calls = elsewhere.calls();
            assert_eq!(!calls.is_empty(), allowed || reachable, "{case}");
            let with_key = calls.iter().filter(|call| call.header("authorization").is_some());
            assert_eq!(with_key.count(), if allowed { calls.len() } else { 0 }, "{case}");
            server.stop().await;
        }
    }
}

async fn start(process: &Process) -> i64 {
    let poster = picture(&Uuid::new_v4().to_string());
    let feature = process.features().create_feature(poster).await.unwrap();
    let feature = feature.into_inner().feature.unwrap();
    process.create(request_for(feature.id)).await.1.remove(0).id
}

fn service_of(config: ProviderConfig) -> TaskService {
    let ProviderConfig::Task(config) = config else {
        panic!("a task service");
    };
    let files = fetcher(AddressRules::default());
    TaskService::new("service".to_owned(), config, &files, || 17)
}

#[tokio::test]
async fn each_call_is_signed_as_the_profile_says_and_the_secret_is_never_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signed.toml");
    let text = r#"
        extends = "replicate"
        [auth]
        value = "Bearer {{ key }} {{ now }} {{ signature }}"
        hmac = "{{ method }} {{ path }} {{ query }} {{ body_sha256 }} {{ now }}"
    "#;
    std::fs::write(&file, text).unwrap();
    let service = stand_in(Protocol::Replicate, Vec::new()).await;
    let base = format!("base_url={}/v1", service.url());
    let own = format!("profile=file:{}", file.display());
    let table = ["kind=task", &own, &base, "api_key=key", "api_secret=unsaid"];
    let provider = service_of(provider(&table));
    let (mut task, _) = task(64, 64);
    task.input.model = Some("owner/painter".to_owned());
    let Ok(Submitted::Accepted { task_id, .. }) = provider.submit(&task).await else {
        panic!("a task");
    };
    provider.poll(&task, &task_id).await.unwrap();
    let calls = service.calls();
    let nothing = domain::sha256_hex(b"");
    let said = format!("GET /v1/predictions/{task_id}  {nothing} 17");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"unsaid").unwrap();
    mac.update(said.as_bytes());
    let signature = domain::hex(&mac.finalize().into_bytes());
    let expected = format!("Bearer key 17 {signature}");
    assert_eq!(calls[1].header("authorization"), Some(&*expected));
    assert_ne!(calls[0].header("authorization"), Some(&*expected));
    assert!(!serde_json::to_string(&calls).unwrap().contains("unsaid"));
}

#[tokio::test]
async fn a_probe_makes_nothing() {
    for (profile, calls) in [("fal", 0), ("replicate", 1), ("cog", 1)] {
        let service = service(profile, Vec::new()).await;
        let provider = service_of(provider(&table(profile, &service, &[])));
        provider.probe().await.unwrap();
        assert_eq!(
            (service.calls().len(), submissions(&service).len()),
            (calls, 0),
            "{profile}"
        );
        let url = service.url();
        drop(service);
        let probed = provider.probe().await;
        assert_eq!(probed.is_err(), calls > 0, "{profile} at {url}: {probed:?}");
    }
}

#[tokio::test]
async fn a_wrong_profile_is_told_when_the_configuration_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "extends = \"fal\"\n[submit]\nid = \"request_id\"\n").unwrap();
    let own = format!("profile=file:{}", file.display());
    for (table, told) in [
        (vec!["kind=task", "profile=fall"], "no profile \"fall\""),
        (vec!["kind=task", "profile=file:/nowhere"], "/nowhere"),
        (vec!["kind=task", &own], "submit.id"),
        (
            vec!["kind=task", "profile=cog"],
            "providers.service.base_url",
        ),
        (
            vec!["kind=task", "profile=fal", r#"makes=["image", "smell"]"#],
            "providers.service.makes",
        ),
        (
            vec!["kind=task", "profile=kling", "api_key=x"],
            "providers.service.api_secret",
        ),
        (
            vec![
                "kind=task",
                "profile=kling",
                "api_key=x",
                "api_secret=env:NOT_SET_ANYWHERE",
            ],
            "the variable NOT_SET_ANYWHERE is empty or not set",
        ),
        (
            vec![
                "kind=task",
                "profile=kling",
                "api_key=env:NOT_SET_ANYWHERE",
                "api_secret=x",
            ],
            "providers.service.api_key",
        ),
    ] {
        let wrong = try_provider(&table).unwrap_err();
        assert!(wrong.contains(told), "{told}: {wrong}");
        assert_eq!(
            wrong.matches("\n  providers.service.").count(),
            1,
            "{told}: {wrong}"
        );
    }
}

#[tokio::test]
async fn the_clients_of_fal_and_replicate_are_served() {
    let fal = stand_in(Protocol::Fal, Vec::new()).await;
    let replicate = stand_in(Protocol::Replicate, Vec::new()).await;
    let program = "tests/python/task_clients.py";
    let (succeeded, printed) = python(program, &[&fal.url(), &replicate.url()]).await;
    assert!(succeeded, "{printed}");
    let said: Vec<_> = printed.lines().collect();
    let expected = [
        "fal Queued InProgress Completed 7 PNG",
        "fal ftyp",
        "fal at once 320 180 PNG",
        "fal cancelled",
        "fal 422 missing",
        "replicate PNG",
        "replicate ftyp",
        "replicate starting starting processing succeeded RIFF",
        "replicate canceled",
        "replicate failed prompt is required",
        "replicate listed 5 True None",
    ];
    assert_eq!(said, expected, "{printed}");
    let queue = fal.calls().into_iter().filter(|call| call.method == "POST");
    assert!(
        queue
            .clone()
            .all(|call| call.header("authorization") == Some("Key key-of-nobody"))
    );
    assert_eq!(queue.count(), 5);
}
