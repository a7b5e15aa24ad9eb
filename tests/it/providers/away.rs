//! Providers that do not answer, or have all that they may: their jobs wait or go elsewhere, and the others run.

use std::net::SocketAddr;

use atelier::config::{Config, Flag, Inputs, ProviderConfig};
use atelier::entity::job;
use atelier::rpc::proto::{
    CreateFeatureRequest, ErrorReason, FeatureProperties, JobEventCause, JobStatus,
    ListJobEventsRequest, MediaType, ProviderFallback,
};
use atelier::stand_in::{Fault, Protocol, StandIn};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::client::{request_for, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::{atelier, run};
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

/// So many failures make a provider be away.
const FAILURES: usize = 5;

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
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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

    async fn what_is_refused_or_may_have_been_taken_goes_to_no_other(db: TestDatabase) {
        let rejected = json!({ "error": { "code": "content_policy_violation", "message": "no" } });
        let answer = |status, body: &Value| Fault::Answer { status, headers: Vec::new(), body: body.to_string() };
        let faults = vec![
            answer(400, &rejected), Fault::Cut, answer(422, &json!({})), answer(401, &json!({})),
        ];
        let reasons = [
            "PROVIDER_REJECTED_CONTENT", "PROVIDER_OUTCOME_UNKNOWN", "PROVIDER_REJECTED_INPUT", "PROVIDER_NOT_READY",
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
        assert_eq!(first.calls().iter().filter(|call| call.path.ends_with("generations")).count(), 2);
        told_by_health(&server, "ok\n").await;
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
        let (code, row) = answered(&format!("http://{}", nowhere())).await;
        assert_eq!((code, &row["answers"]), (Some(1), &json!(false)), "{row}");
        assert_eq!(row["problem"], "cannot be reached");
    }
}
