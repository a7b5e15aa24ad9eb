//! Providers that do not answer, or have all that they may: their jobs wait or go elsewhere, and the others run.

use std::net::SocketAddr;
use std::time::Duration;

use atelier::config::{Config, Flag, Inputs, ProviderConfig};
use atelier::entity::job;
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, ErrorReason, FeatureProperties,
    Job, JobEventCause, JobStatus, ListJobEventsRequest, MediaType, PauseQueueRequest,
    ProviderFallback, QueuePart, WatchJobRequest, queue_part::Part,
};
use atelier::server::Role;
use atelier::stand_in::{Fault, Protocol, StandIn};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::client::{request_for, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::{atelier, run};
use crate::support::provider::{labelled, provider};
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

/// So many failures make a provider be away.
const FAILURES: usize = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

async fn stand_in(listen: SocketAddr, faults: Vec<Fault>) -> StandIn {
    StandIn::start(Protocol::OpenAi, listen, faults)
        .await
        .unwrap()
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = std::net::TcpListener::bind(any_port()).unwrap();
    listener.local_addr().unwrap()
}

fn settings(name: &str, origin: &str) -> [String; 4] {
    let of = |setting: &str| format!("providers.{name}.{setting}");
    [
        of("kind=openai"),
        of(&format!("base_url={origin}/v1")),
        of("api_key=sk-of-nobody"),
        of(r#"makes=["image"]"#),
    ]
}

fn configure(config: &mut Config, name: &str, origin: &str) {
    let inputs = Inputs {
        file: Some("/dev/null".into()),
        flags: settings(name, origin).map(Flag::Set).to_vec(),
        ..Inputs::default()
    };
    let mut loaded = Config::load(&inputs).unwrap().config;
    let provider: ProviderConfig = loaded.providers.remove(name).unwrap();
    config.providers.insert(name.to_owned(), provider);
}

fn feature(fallbacks: &[&str]) -> CreateFeatureRequest {
    let fallback = |name: &&str| ProviderFallback {
        provider: (*name).to_owned(),
        model: "painter-3".to_owned(),
        settings: Some(structure(&json!({ "quality": "low" }))),
    };
    CreateFeatureRequest {
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            provider: "first".to_owned(),
            model: "painter-1".to_owned(),
            settings: Some(structure(&json!({ "background": "opaque" }))),
            fallbacks: fallbacks.iter().map(fallback).collect(),
            ..Default::default()
        }),
        ..scripted_feature(&format!("away{}", fallbacks.len()))
    }
}

async fn row(db: &TestDatabase, id: i64) -> job::Model {
    let found = job::Entity::find_by_id(id).one(&db.connect().await).await;
    found.unwrap().unwrap()
}

async fn causes(server: &TestServer, job_id: i64) -> Vec<JobEventCause> {
    let asked = ListJobEventsRequest {
        job_id,
        ..Default::default()
    };
    let events = server.jobs().list_job_events(asked).await.unwrap();
    let events = events.into_inner().events;
    events.iter().map(|event| event.cause()).collect()
}

async fn created(server: &TestServer, feature: i64, count: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.extend(server.create(request_for(feature)).await.1);
    }
    jobs
}

fn generations(service: &StandIn) -> usize {
    let calls = service.calls().into_iter();
    calls
        .filter(|call| call.path.ends_with("generations"))
        .count()
}

/// Until health says this.
async fn told_by_health(server: &TestServer, words: &str) {
    let url = format!("{}/readyz", server.url());
    within(async {
        loop {
            let answer = browser().get(&url).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
            if answer.text().await.unwrap().contains(words) {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

on_both_databases! {
    async fn a_job_whose_provider_cannot_be_reached_is_made_by_the_next_and_says_so(db: TestDatabase) {
        let second = stand_in(any_port(), Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &format!("http://{}", nowhere()));
            configure(config, "second", &second.url());
        }).await;
        let feature = server.add_feature(feature(&["second"])).await;
        let job = server.create(request_for(feature.id)).await.1.remove(0);
        let ended = server.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{:?}", ended.job);
        let [call] = &second.calls()[..] else { panic!("{:?}", second.calls()) };
        assert_eq!((&call.body["model"], &call.body["quality"]), (&json!("painter-3"), &json!("low")));
        assert_eq!(call.body.get("background"), None);

        let row = row(&db, job.id).await;
        assert_eq!(row.provider.as_deref(), Some("second"));
        assert_eq!(row.input_json["provider"], "second");
        assert_eq!(row.input_json.get("fallbacks"), None);
        assert_eq!(row.output_metadata.unwrap()["recipe"]["provider"], "second");
        assert!(causes(&server, job.id).await.contains(&JobEventCause::FallBack));
    }

    async fn a_brief_watch_tells_the_input_again_when_another_provider_gets_it(db: TestDatabase) {
        let second = stand_in(any_port(), Vec::new()).await;
        let both = |config: &mut Config| {
            configure(config, "first", &format!("http://{}", nowhere()));
            configure(config, "second", &second.url());
        };
        let server = TestServer::start_as(Role::Api, &db, both).await;
        let feature = server.add_feature(feature(&["second"])).await;
        let job = server.create(request_for(feature.id)).await.1.remove(0);
        let watch = WatchJobRequest { id: job.id, omit_unchanged: true, ..Default::default() };
        let mut watch = within(server.jobs().watch_job(watch)).await.unwrap().into_inner();
        let mut told = Vec::new();
        let mut worker = None;
        while let Some(message) = within(watch.message()).await.unwrap() {
            told.extend(message.job.and_then(|job| job.input));
            if worker.is_none() {
                worker = Some(server.beside(Role::Worker, &db, both).await);
            }
        }
        let expected = ["first", "second"].map(|name| structure(&json!({ "provider": name })).fields["provider"].clone());
        let told = told.iter().map(|input| input.fields["provider"].clone());
        assert_eq!(told.collect::<Vec<_>>(), expected);
        worker.unwrap().stop().await;
    }

    async fn a_job_goes_to_no_provider_that_is_paused_while_another_is_not(db: TestDatabase) {
        let paused = stand_in(any_port(), Vec::new()).await;
        let third = stand_in(any_port(), Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &format!("http://{}", nowhere()));
            configure(config, "second", &paused.url());
            configure(config, "third", &third.url());
        }).await;
        let part = QueuePart { part: Some(Part::Provider("second".to_owned())) };
        let pause = PauseQueueRequest { part: Some(part), ..Default::default() };
        server.admin().pause_queue(pause).await.unwrap();
        let feature = server.add_feature(feature(&["second", "third"])).await;
        let job = server.create(request_for(feature.id)).await.1.remove(0);
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!((generations(&paused), generations(&third)), (0, 1));
        let row = row(&db, job.id).await;
        assert_eq!(row.provider.as_deref(), Some("third"));
        assert_eq!(row.input_json["fallbacks"][0]["provider"], "second", "should the third be away too");
    }

    async fn what_is_refused_or_may_have_been_taken_goes_to_no_other(db: TestDatabase) {
        let rejected = json!({ "error": { "code": "content_policy_violation", "message": "no" } });
        let answer = |status, body: &Value| Fault::Answer { status, headers: Vec::new(), body: body.to_string() };
        let faults = vec![
            answer(400, &rejected), Fault::Cut, answer(422, &json!({})), answer(502, &json!({})),
        ];
        let reasons = [
            "PROVIDER_REJECTED_CONTENT", "PROVIDER_OUTCOME_UNKNOWN", "PROVIDER_REJECTED_INPUT", "PROVIDER_OUTCOME_UNKNOWN",
        ];
        let first = stand_in(any_port(), faults).await;
        let second = stand_in(any_port(), Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &first.url());
            configure(config, "second", &second.url());
        }).await;
        let feature = server.add_feature(feature(&["second"])).await;
        for reason in reasons {
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            assert_eq!(server.ended(job.id).await.code(), reason);
        }
        assert!(second.calls().is_empty(), "{:?}", second.calls());
    }

    async fn what_a_provider_has_no_time_or_no_account_for_is_made_by_the_next_at_once(db: TestDatabase) {
        // Nobody waits for as long as that, nor is the service asked again before.
        let faults = [(401, "0"), (500, "0"), (503, "0"), (429, "3600")];
        let faults = faults.map(|(status, seconds)| labelled(status, "retry-after", seconds, "{}"));
        let first = stand_in(any_port(), faults.to_vec()).await;
        let second = stand_in(any_port(), Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &first.url());
            configure(config, "second", &second.url());
        }).await;
        let feature = server.add_feature(feature(&["second"])).await;
        for (index, fault) in faults.iter().enumerate() {
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            let ended = server.ended(job.id).await;
            assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{fault:?}: {:?}", ended.job);
            assert_eq!((generations(&first), generations(&second)), (index + 1, index + 1), "{fault:?}");
        }
        let job = server.create(request_for(feature.id)).await.1.remove(0);
        let ended = server.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{:?}", ended.job);
        assert_eq!((generations(&first), generations(&second)), (faults.len(), faults.len() + 1));
    }

    async fn a_service_whose_tls_fails_is_tried_again_and_its_jobs_fall_back(db: TestDatabase) {
        let second = stand_in(any_port(), Vec::new()).await;
        let mut services = Vec::new();
        for (name, protocol, lines) in [
            ("openai", Protocol::OpenAi, &["kind=openai", r#"makes=["image"]"#][..]),
            ("sdapi", Protocol::SdApi, &["kind=sdapi"]),
            ("comfyui", Protocol::ComfyUi, &[
                "kind=comfyui", r#"makes=["image"]"#, "workflow=text-to-image.json", r#"bindings={ prompt = "6.inputs.text" }"#,
                concat!("workflows=", env!("CARGO_MANIFEST_DIR"), "/examples/comfyui"),
            ]),
            ("task", Protocol::Fal, &["kind=task", "profile=fal", "api_key=key-of-nobody"]),
        ] {
            let service = StandIn::start(protocol, any_port(), Vec::new()).await.unwrap();
            // It speaks no TLS.
            let base = format!("base_url={}", service.url().replace("http://", "https://"));
            let table = provider(&[lines, &[&base]].concat());
            services.push((name, service, table));
        }
        let server = TestServer::start_with(&db, |config| {
            configure(config, "second", &second.url());
            config.executor.max_attempts = 2;
            for (name, _, table) in &services {
                config.providers.insert((*name).to_owned(), table.clone());
            }
        }).await;
        let mut jobs = Vec::new();
        for (name, service, _) in &services {
            for fallbacks in [&[][..], &["second"]] {
                let mut feature = feature(fallbacks);
                feature.name = format!("{name}{}", fallbacks.len());
                let properties = feature.properties.as_mut().unwrap();
                (properties.provider, properties.settings) = ((*name).to_owned(), None);
                if *name == "comfyui" {
                    properties.model.clear();
                }
                let feature = server.add_feature(feature).await.id;
                let job = server.create(request_for(feature)).await.1.remove(0);
                jobs.push((name, service, fallbacks.is_empty(), job.id));
            }
        }
        for (name, service, alone, job) in jobs {
            let ended = server.ended(job).await;
            let (code, attempt) = if alone { ("PROVIDER_UNAVAILABLE", 2) } else { ("", 1) };
            assert_eq!((ended.code(), ended.job.attempt), (code, attempt), "{name}: {:?}", ended.job);
            assert!(service.calls().is_empty(), "{name}: {:?}", service.calls());
        }
        assert_eq!(generations(&second), services.len());
    }

    async fn a_provider_that_is_away_costs_no_attempts_and_leaves_the_others_alone(db: TestDatabase) {
        let address = nowhere();
        let second = stand_in(any_port(), Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &format!("http://{address}"));
            configure(config, "second", &second.url());
            config.executor.max_attempts = 1;
        }).await;
        let alone = server.add_feature(feature(&[])).await.id;
        let helped = server.add_feature(feature(&["second"])).await.id;
        for _ in 1..FAILURES {
            let job = server.create(request_for(alone)).await.1.remove(0);
            assert_eq!(server.ended(job.id).await.code(), "PROVIDER_UNAVAILABLE");
        }
        let last = server.create(request_for(alone)).await.1.remove(0);
        told_by_health(&server, "degraded\nprovider_away: ").await;
        let mut asked = request_for(alone);
        asked.validate_only = true;
        let refused = server.requests().create_request(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(of_status(&refused).reason, ErrorReason::ProviderUnavailable);

        let waiting = server.create(request_for(alone)).await.1.remove(0);
        let reason = server.job(waiting.id).await.waiting_reason;
        assert!(reason.contains(r#""first" does not answer"#), "{reason}");
        let mut asked = request_for(helped);
        asked.validate_only = true;
        server.requests().create_request(asked).await.unwrap();
        let moved = server.create(request_for(helped)).await.1.remove(0);
        assert_eq!(server.ended(moved.id).await.job.status(), JobStatus::Completed);
        let script = Script::new(&[]);
        assert_eq!(server.ended(server.create_scripted(&script).await.id).await.job.status(), JobStatus::Completed);

        let first = stand_in(address, Vec::new()).await;
        for waited in [last.id, waiting.id] {
            let ended = server.ended(waited).await;
            assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{:?}", ended.job);
        }
        assert_eq!(generations(&first), 2);
        told_by_health(&server, "ok\n").await;
    }

    async fn a_service_that_is_too_busy_costs_the_job_that_tries_it_no_attempt(db: TestDatabase) {
        let busy = Fault::Answer { status: 503, headers: Vec::new(), body: String::new() };
        let first = stand_in(any_port(), vec![busy; FAILURES + 1]).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &first.url());
            config.executor.max_attempts = 1;
        }).await;
        let alone = server.add_feature(feature(&[])).await.id;
        for _ in 1..FAILURES {
            let job = server.create(request_for(alone)).await.1.remove(0);
            assert_eq!(server.ended(job.id).await.code(), "PROVIDER_UNAVAILABLE");
        }
        let waiting = server.create(request_for(alone)).await.1.remove(0);
        let ended = server.ended(waiting.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{:?}", ended.job);
        assert_eq!(generations(&first), FAILURES + 2);
    }

    async fn a_service_that_never_answers_to_a_submission_is_away_whoever_loses_patience(db: TestDatabase) {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        for (name, fault, call, job, code) in [
            ("cut", Fault::Cut, long, long, "PROVIDER_OUTCOME_UNKNOWN"),
            ("call", Fault::Hang, short, long, "PROVIDER_OUTCOME_UNKNOWN"),
            ("job", Fault::Hang, long, short, "JOB_TIMED_OUT"),
        ] {
            let first = stand_in(any_port(), vec![fault; FAILURES]).await;
            let server = TestServer::start_with(&db, |config| {
                configure(config, "first", &first.url());
                let Some(ProviderConfig::OpenAi(openai)) = config.providers.get_mut("first") else { panic!() };
                openai.timeout = call;
                config.executor.job_timeout = job;
                config.executor.concurrency = FAILURES;
            }).await;
            let alone = CreateFeatureRequest { name: name.to_owned(), ..feature(&[]) };
            let alone = server.add_feature(alone).await.id;
            for job in created(&server, alone, FAILURES).await {
                assert_eq!(server.ended(job.id).await.code(), code, "{name}");
            }
            let waiting = server.create(request_for(alone)).await.1.remove(0);
            let reason = server.job(waiting.id).await.waiting_reason;
            assert!(reason.contains(r#""first" does not answer"#), "{name}: {reason}");
            assert_eq!(generations(&first), FAILURES, "{name}");
            let stop = CancelJobRequest { id: waiting.id, stop_processing: true };
            server.jobs().cancel_job(stop).await.unwrap();
            server.stop().await;
        }
    }

    async fn what_is_broken_off_here_does_not_make_a_provider_be_away(db: TestDatabase) {
        let first = stand_in(any_port(), vec![Fault::Hang; FAILURES]).await;
        let server = TestServer::start_with(&db, |config| {
            configure(config, "first", &first.url());
            config.executor.concurrency = FAILURES;
        }).await;
        let alone = server.add_feature(feature(&[])).await.id;
        let jobs = created(&server, alone, FAILURES).await;
        within(async {
            while generations(&first) < FAILURES {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        for job in jobs {
            let stop = CancelJobRequest { id: job.id, stop_processing: true };
            server.jobs().cancel_job(stop).await.unwrap();
        }
        let last = server.create(request_for(alone)).await.1.remove(0);
        server.completed(last.id).await;
    }

    async fn a_server_that_runs_no_jobs_learns_from_the_workers_that_a_provider_is_away(db: TestDatabase) {
        let address = nowhere();
        let change = |config: &mut Config| {
            configure(config, "first", &format!("http://{address}"));
            config.executor.max_attempts = 1;
        };
        let api = TestServer::start_as(Role::Api, &db, change).await;
        let alone = api.add_feature(feature(&[])).await.id;
        let asked = CreateRequestRequest { validate_only: true, ..request_for(alone) };
        api.requests().create_request(asked.clone()).await.unwrap();
        let worker = api.beside(Role::Worker, &db, change).await;
        for _ in 1..FAILURES {
            let job = api.create(request_for(alone)).await.1.remove(0);
            assert_eq!(api.ended(job.id).await.code(), "PROVIDER_UNAVAILABLE");
        }
        let last = api.create(request_for(alone)).await.1.remove(0);
        let connection = db.connect().await;
        let refused = within(async {
            loop {
                // As if its worker had said long ago that it can run it.
                connection.execute_unprepared("UPDATE generation_capabilities SET seen_at = NULL").await.unwrap();
                match api.requests().create_request(asked.clone()).await {
                    Err(refused) => break refused,
                    Ok(_) => tokio::time::sleep(LOOK_AGAIN).await,
                }
            }
        }).await;
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(of_status(&refused).reason, ErrorReason::ProviderUnavailable);
        let reason = api.job(last.id).await.waiting_reason;
        assert!(reason.contains("its service does not answer"), "{reason}");

        let _first = stand_in(address, Vec::new()).await;
        api.completed(last.id).await;
        within(async {
            while api.requests().create_request(asked.clone()).await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        worker.stop().await;
    }

    async fn a_provider_begins_as_many_jobs_within_a_minute_as_it_may(db: TestDatabase) {
        const LIMIT: usize = 2;
        let first = stand_in(any_port(), Vec::new()).await;
        let change = |config: &mut Config| {
            configure(config, "first", &first.url());
            let Some(ProviderConfig::OpenAi(openai)) = config.providers.get_mut("first") else { panic!() };
            openai.limits.requests_per_minute = LIMIT as u32;
        };
        let server = TestServer::start_with(&db, change).await;
        let alone = server.add_feature(feature(&[])).await.id;
        let mut jobs = created(&server, alone, LIMIT + 1).await;
        let waiting = jobs.pop().unwrap();
        for job in jobs {
            server.completed(job.id).await;
        }
        // Whoever comes later is run by others meanwhile.
        let drawn = CreateFeatureRequest { properties: None, ..scripted_feature("drawn") };
        let drawn = server.add_feature(drawn).await.id;
        server.made(request_for(drawn)).await;
        assert_eq!(generations(&first), LIMIT);
        let waits = server.job(waiting.id).await;
        assert_eq!((waits.status(), waits.attempt), (JobStatus::Pending, 0));
        let reason = waits.waiting_reason;
        assert!(reason.contains("as many jobs as it may within a minute; the next begins in "), "{reason}");
        server.stop().await;

        // It was nothing else that held it up: each process counts by itself.
        let server = TestServer::start_with(&db, change).await;
        server.completed(waiting.id).await;
        assert_eq!(generations(&first), LIMIT + 1);
    }

    async fn a_provider_gets_as_many_jobs_at_a_time_as_it_may(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            if let Some(ProviderConfig::Scripted(scripted)) = config.providers.get_mut("scripted") {
                scripted.limits.concurrency = 1;
            }
        }).await;
        let script = Script::new(&[]).gated();
        let first = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let second = server.create(scripted_request(first.feature_id, &script)).await.1.remove(0);
        let builtin = CreateFeatureRequest {
            properties: None,
            ..scripted_feature("drawn")
        };
        let builtin = server.add_feature(builtin).await;
        let drawn = server.create(request_for(builtin.id)).await.1.remove(0);
        server.completed(drawn.id).await;
        let reason = server.job(second.id).await.waiting_reason;
        assert!(reason.contains("as many jobs as it may"), "{reason}");
        assert_eq!(script.calls_of("submit").len(), 1);
        script.open_gate();
        server.completed(first.id).await;
        server.completed(second.id).await;
    }

    async fn what_a_provider_could_not_make_of_a_feature_is_told_with_its_field(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| configure(config, "first", "http://127.0.0.1:9")).await;
        let mut feature = feature(&["voice"]);
        let properties = feature.properties.as_mut().unwrap();
        properties.settings = Some(structure(&json!({ "prompt": "another" })));
        feature.validate_only = true;
        let refused = server.features().create_feature(feature).await.unwrap_err();
        assert_eq!(of_status(&refused).fields, ["properties.settings.prompt", "properties.fallbacks[0].provider"]);
    }

    async fn what_a_provider_lacks_is_told_to_operators_only(db: TestDatabase) {
        let program = ["kind=exec", "command=/srv/of-nobody", "install=ask nobody", r#"makes=["image"]"#];
        let workflows = ["kind=comfyui", "base_url=http://127.0.0.1:9", "workflows=/srv/of-nobody", r#"makes=["image"]"#];
        let lacking = [
            ("program", program, "its program is not installed"),
            ("workflows", workflows, "its configuration is wrong"),
        ];
        let mut command = atelier(&db, &["providers"]);
        let server = TestServer::start_with(&db, |config| {
            for (name, table, _) in lacking {
                config.providers.insert(name.to_owned(), provider(&table));
                let settings = table.map(|setting| format!("providers.{name}.{setting}"));
                for setting in settings {
                    command.args(["--set", &setting]);
                }
            }
        })
        .await;
        let told = String::from_utf8(run(command).await.stdout).unwrap();
        for words in ["the program \"/srv/of-nobody\" is missing; ask nobody", "the workflows in /srv/of-nobody: "] {
            assert!(told.contains(words), "{told}");
        }
        for (name, _, sentence) in lacking {
            let mut asked = feature(&[]);
            name.clone_into(&mut asked.name);
            name.clone_into(&mut asked.properties.as_mut().unwrap().provider);
            asked.properties.as_mut().unwrap().settings = None;
            asked.properties.as_mut().unwrap().model.clear();
            let added = server.add_feature(asked).await;
            let refused = server.requests().create_request(request_for(added.id)).await.unwrap_err();
            assert!(refused.message().ends_with(&format!("cannot run here: {sentence}")), "{refused}");
            let whole = format!("{refused:?}");
            assert!(!whole.contains("nobody"), "{whole}");
        }
    }

    async fn the_command_tells_what_is_there_and_whether_it_answers(db: TestDatabase) {
        let service = stand_in(any_port(), Vec::new()).await;
        let providers = async |origin: &str, arguments: &[&str]| {
            let mut command = atelier(&db, &["providers"]);
            for setting in settings("service", origin) {
                command.args(["--set", &setting]);
            }
            command.args(["--set", "providers.service.concurrency=2"]);
            command.args(arguments);
            let output = run(command).await;
            let told = String::from_utf8(output.stdout).unwrap();
            assert!(!told.contains("sk-of-nobody"), "{told}");
            (output.status.code(), told)
        };
        let (code, table) = providers(&service.url(), &[]).await;
        assert_eq!(code, Some(0), "{table}");
        let line = table.lines().find(|line| line.starts_with("service ")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["service", "openai", "image", &service.url(), "2", "at", "a", "time", "ready"]);
        assert!(table.lines().any(|line| line.starts_with("builtin ")), "{table}");
        assert!(service.calls().is_empty());

        let voice = ["--set", "providers.voice.kind=exec", "--set", "providers.voice.command=/bin/true", "--set", r#"providers.voice.makes=["audio"]"#];
        let probe = [&voice[..], &["--probe", "--json"]].concat();
        let answered = async |origin: &str| {
            let (code, json) = providers(origin, &probe).await;
            let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
            let row = rows.into_iter().find(|row| row["name"] == "service").unwrap();
            (code, row)
        };
        let (code, row) = answered(&service.url()).await;
        assert_eq!((code, &row["answers"], &row["problem"]), (Some(0), &json!(true), &Value::Null), "{row}");
        // Whatever stands there, it has no models.
        let (code, row) = answered(&format!("{}/elsewhere", service.url())).await;
        assert_eq!((code, &row["answers"]), (Some(0), &json!(true)), "{row}");
        assert_eq!(row["problem"], "does not know what it is asked: is its base_url right?");
        let (code, row) = answered(&format!("http://{}", nowhere())).await;
        assert_eq!((code, &row["answers"]), (Some(1), &json!(false)), "{row}");
        assert_eq!(row["problem"], "cannot be reached");
    }
}
