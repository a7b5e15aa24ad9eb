//! Calls of services: one that comes ends the waiting, one that is lost, doubled, forged or late costs nothing, and none is
//! believed more than it must be.

use std::time::Duration;

use atelier::app::Clock;
use atelier::config::ProviderConfig;
use atelier::domain::AddressRules;
use atelier::entity::job;
use atelier::provider::task::TaskService;
use atelier::provider::{Forged, Provider, Told, WebhookCall};
use atelier::rpc::proto::{
    CreateFeatureRequest, FeatureProperties, GenerationInput, JobStatus, MediaRole, MediaType,
};
use atelier::server::Role;
use atelier::stand_in::{Fault, Protocol, StandIn, Step, WEBHOOK_SECRET};
use sea_orm::EntityTrait;
use serde_json::json;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::Process;
use crate::support::provider::{fetcher, make, provider, stand_in, try_provider};
use crate::support::python::python;
use crate::support::server::{TestServer, within};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const SERVICES: [(&str, Protocol, &str); 3] = [
    ("fal", Protocol::Fal, ""),
    ("replicate", Protocol::Replicate, "/v1"),
    ("cog", Protocol::Cog, ""),
];

/// The table of a service that calls, which is not polled before a test has ended unless `more` says so.
fn table(profile: &str, service: &StandIn, more: &[&str]) -> Vec<String> {
    let (_, _, path) = SERVICES.iter().find(|(name, ..)| *name == profile).unwrap();
    let common = [
        "kind=task".to_owned(),
        format!("profile={profile}"),
        format!("base_url={}{path}", service.url()),
        "api_key=key-of-nobody".to_owned(),
        "webhooks=true".to_owned(),
        format!("webhook_secret={WEBHOOK_SECRET}"),
        format!("webhook_keys={}/.well-known/jwks.json", service.url()),
    ];
    let patient = if more.iter().any(|it| it.starts_with("poll_every")) {
        None
    } else {
        Some("poll_every=10m".to_owned())
    };
    let more = more.iter().map(|it| (*it).to_owned());
    common.into_iter().chain(patient).chain(more).collect()
}

async fn server(db: &TestDatabase, profile: &str, service: &StandIn, more: &[&str]) -> TestServer {
    let loaded = provider(&table(profile, service, more));
    TestServer::start_with(db, |config| {
        config.providers.insert("service".to_owned(), loaded);
    })
    .await
}

fn picture(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            model: "owner/painter".to_owned(),
            ..Default::default()
        }),
        ..scripted_feature(&name.replace(' ', "-"))
    }
}

fn on_webhook(fault: Fault) -> Fault {
    Fault::On {
        call: Step::Webhook,
        fault: Box::new(fault),
    }
}

/// How often something was to be made, and was asked for.
fn counted(service: &StandIn) -> (usize, usize) {
    let calls = service.calls();
    let is_work = |path: &str| !path.ends_with("/cancel") && !path.contains("jwks");
    let made = calls
        .iter()
        .filter(|call| call.method != "GET" && is_work(&call.path));
    let asked = calls
        .iter()
        .filter(|call| call.path.ends_with("/status") || call.path.starts_with("/v1/predictions/"))
        .filter(|call| call.method == "GET");
    (made.count(), asked.count())
}

async fn answers(service: &StandIn, number: usize) -> Vec<Option<u16>> {
    within(async {
        loop {
            let made = service.callbacks();
            if made.len() >= number {
                return made.into_iter().map(|call| call.status).collect();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await
}

async fn originals(server: &TestServer, job: i64) -> usize {
    let media = server.media_of(job).await.into_iter();
    media
        .filter(|media| media.role() == MediaRole::Original)
        .count()
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> u16 {
    let call = browser().post(url).body(body).send();
    within(call).await.unwrap().status().as_u16()
}

on_both_databases! {
    async fn a_call_of_the_service_ends_the_waiting_for_a_task(db: TestDatabase) {
        for (profile, protocol, _) in SERVICES {
            let service = stand_in(protocol, Vec::new()).await;
            let server = server(&db, profile, &service, &[]).await;
            let ended = make(&server, picture(profile), GenerationInput::default()).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{profile}: {:?}", ended.job);
            let again = make(&server, picture(&format!("{profile} again")), GenerationInput::default()).await;
            assert_eq!(again.job.status(), JobStatus::Completed, "{profile}: {:?}", again.job);
            let (made, asked) = counted(&service);
            // Replicate calls when it begins, too.
            let (polls, calls) = match profile { "fal" => (2, 2), "replicate" => (4, 4), _ => (0, 2) };
            assert_eq!(made, 2, "{profile}");
            assert!(asked <= polls, "{profile}: {asked} polls");
            assert_eq!(answers(&service, calls).await, vec![Some(200); calls], "{profile}");
            let published = service.calls().into_iter().filter(|call| call.path.contains("jwks")).count();
            assert_eq!(published, usize::from(profile == "fal"), "{profile}: its keys are got once");
            server.stop().await;
        }
    }

    async fn a_lost_call_costs_the_pause_between_two_polls(db: TestDatabase) {
        for (profile, protocol, _) in &SERVICES[..2] {
            let service = stand_in(*protocol, vec![on_webhook(Fault::Lost)]).await;
            let server = server(&db, profile, &service, &["poll_every=20ms"]).await;
            let ended = make(&server, picture(profile), GenerationInput::default()).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{profile}: {:?}", ended.job);
            assert_eq!(counted(&service).0, 1, "{profile}");
            server.stop().await;
        }
    }

    async fn a_lost_call_that_was_the_only_way_ends_the_job_at_its_deadline_with_the_truth(db: TestDatabase) {
        let service = stand_in(Protocol::Cog, vec![on_webhook(Fault::Lost)]).await;
        let loaded = provider(&table("cog", &service, &[]));
        let server = TestServer::start_with(&db, |config| {
            config.executor.job_timeout = Duration::from_secs(2);
            config.providers.insert("service".to_owned(), loaded);
        }).await;
        let ended = make(&server, picture("poster"), GenerationInput::default()).await;
        assert_eq!(ended.code(), "PROVIDER_OUTCOME_UNKNOWN", "{:?}", ended.job);
        let told = ended.job.error.unwrap().message;
        assert_eq!(told, "The generator has not told within 2 seconds what became of the task.");
        assert_eq!(counted(&service).0, 1);
    }

    async fn a_doubled_call_makes_nothing_twice(db: TestDatabase) {
        for (profile, protocol, _) in SERVICES {
            let service = stand_in(protocol, vec![on_webhook(Fault::Twice)]).await;
            let server = server(&db, profile, &service, &[]).await;
            let ended = make(&server, picture(profile), GenerationInput::default()).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{profile}: {:?}", ended.job);
            let calls = if profile == "replicate" { 3 } else { 2 };
            assert_eq!(answers(&service, calls).await, vec![Some(200); calls], "{profile}");
            assert_eq!(originals(&server, ended.job.id).await, 1, "{profile}");
            assert_eq!(counted(&service).0, 1, "{profile}");
            server.stop().await;
        }
    }

    async fn a_forged_call_is_refused_and_the_task_is_polled_as_ever(db: TestDatabase) {
        for (profile, protocol, _) in &SERVICES[..2] {
            let service = stand_in(*protocol, vec![on_webhook(Fault::Forged)]).await;
            let server = server(&db, profile, &service, &["poll_every=2s"]).await;
            let ended = make(&server, picture(profile), GenerationInput::default()).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{profile}: {:?}", ended.job);
            let calls = if *profile == "replicate" { 2 } else { 1 };
            assert_eq!(answers(&service, calls).await.last(), Some(&Some(401)), "{profile}");
            server.stop().await;
        }
    }

    async fn a_call_at_another_address_or_of_another_task_changes_nothing(db: TestDatabase) {
        let service = stand_in(Protocol::Cog, vec![Fault::Delay(1_500)]).await;
        let server = server(&db, "cog", &service, &[]).await;
        let feature = server.add_feature(picture("poster")).await;
        let id = server.create(request_for(feature.id)).await.1.remove(0).id;
        let connection = db.connect().await;
        let row = async || job::Entity::find_by_id(id).one(&connection).await.unwrap().unwrap();
        within(async {
            while row().await.provider_task_id.is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        let key = row().await.submission_key.unwrap();
        let right = server.app().webhook_url(id, &key);
        assert!(right.as_str().starts_with(&server.url()), "{right}");
        let done = |id: &str| json!({ "id": id, "status": "succeeded", "output": "data:image/png;base64,AAAA" }).to_string();
        for (what, url, body, status) in [
            ("a guess", format!("{}/webhooks/{id}/{}", server.url(), "0".repeat(32)), done(&key), 404),
            ("another job", right.as_str().replace(&format!("/{id}/"), "/999999/"), done(&key), 404),
            ("no number", format!("{}/webhooks/x/y", server.url()), done(&key), 400),
            ("another task", right.to_string(), done("another"), 401),
            ("no task", right.to_string(), r#"{"status":"succeeded"}"#.to_owned(), 401),
            ("no JSON", right.to_string(), "xx".to_owned(), 401),
            ("too long", right.to_string(), "x".repeat((64 << 20) + 1), 413),
        ] {
            assert_eq!(post(&url, body).await, status, "{what}");
        }
        let answered = within(browser().get(right.as_str()).send()).await.unwrap();
        assert_eq!(answered.status().as_u16(), 405);
        let ended = server.ended(id).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        assert_eq!(post(right.as_str(), done(&key)).await, 200, "a late one is no error");
        assert_eq!(originals(&server, id).await, 1);
    }

    async fn a_server_takes_the_call_for_another_that_was_killed_and_the_job_goes_on_with_it(db: TestDatabase) {
        let service = stand_in(Protocol::Cog, vec![on_webhook(Fault::Delay(700))]).await;
        let loaded = provider(&table("cog", &service, &[]));
        let front = TestServer::start_as(Role::Api, &db, |config| {
            config.providers.insert("service".to_owned(), loaded);
        }).await;
        let settings = table("cog", &service, &[]).into_iter().map(|it| format!("providers.service.{it}"));
        let settings: Vec<_> = settings.chain([format!("server.public_url={}", front.url())]).collect();
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let media = db.media.clone();
        let first = Process::serve(&db, media.path(), &settings).await;
        let feature = front.add_feature(picture("poster")).await;
        let id = front.create(request_for(feature.id)).await.1.remove(0).id;
        let connection = db.connect().await;
        within(async {
            let noted = async || job::Entity::find_by_id(id).one(&connection).await.unwrap().unwrap().provider_task_id;
            while noted().await.is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        first.kill();
        assert_eq!(answers(&service, 1).await, [Some(200)]);
        let second = Process::serve(&db, media.path(), &settings).await;
        second.completed(id).await;
        assert_eq!(counted(&service).0, 1);
        assert_eq!(originals(&front, id).await, 1);
    }
}

/// SQLite has one process that works, and nobody to wake.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_another_replica_takes_ends_the_waiting_of_the_one_that_works() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let service = stand_in(Protocol::Fal, Vec::new()).await;
    let loaded = provider(&table("fal", &service, &[]));
    let front = TestServer::start_as(Role::Api, &db, |config| {
        config
            .providers
            .insert("service".to_owned(), loaded.clone());
    })
    .await;
    let url = front.url().parse().unwrap();
    let _worker = front
        .beside(Role::Worker, &db, |config| {
            config.server.public_url = Some(url);
            config
                .providers
                .insert("service".to_owned(), loaded.clone());
        })
        .await;
    let ended = make(&front, picture("poster"), GenerationInput::default()).await;
    assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
    assert!(service.callbacks()[0].url.starts_with(&front.url()));
    assert!(counted(&service).1 <= 1, "it is asked when it has called");
}

/// What stands for a call that came just now.
fn call(body: &serde_json::Value) -> WebhookCall {
    WebhookCall {
        task_id: None,
        headers: reqwest::header::HeaderMap::new(),
        body: body.to_string().into(),
        at: Clock::system().now(),
    }
}

fn service_of(table: &[&str]) -> TaskService {
    let ProviderConfig::Task(config) = provider(table) else {
        panic!("a task service");
    };
    let files = fetcher(AddressRules::default());
    TaskService::new("service".to_owned(), config, &files, || 0)
}

#[tokio::test]
async fn a_service_that_asks_whether_somebody_is_there_hears_what_it_has_said() {
    let minimax = service_of(&["kind=task", "profile=minimax", "webhooks=true"]);
    let asked = minimax
        .recognise(&call(&json!({ "challenge": "17" })))
        .await;
    assert_eq!(asked, Ok(Told::Challenge(json!({ "challenge": "17" }))));
    let news = minimax.recognise(&call(&json!({ "task_id": "1" }))).await;
    assert_eq!(news, Ok(Told::News));
    let silent = service_of(&["kind=task", "profile=minimax"]);
    let told = silent.recognise(&call(&json!({ "task_id": "1" }))).await;
    assert_eq!(told, Err(Forged::Signature), "nobody has asked it to call");
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_forgery() {
    let fal = service_of(&[
        "kind=task",
        "profile=fal",
        "webhooks=true",
        "base_url=http://127.0.0.1:9",
        "webhook_keys=http://127.0.0.1:9/jwks.json",
    ]);
    let told = fal.recognise(&call(&json!({}))).await;
    assert!(matches!(told, Err(Forged::NoKeys(_))), "{told:?}");
}

#[tokio::test]
async fn what_calls_need_is_told_when_the_configuration_is_read() {
    for (table, told) in [
        (
            vec!["kind=task", "profile=runway", "webhooks=true"],
            "providers.service.webhooks",
        ),
        (
            vec!["kind=task", "profile=replicate", "webhooks=true"],
            "providers.service.webhook_secret",
        ),
        (
            vec![
                "kind=task",
                "profile=replicate",
                "webhooks=true",
                "webhook_secret=whsec_!!!",
            ],
            "providers.service.webhook_secret",
        ),
    ] {
        let refused = try_provider(&table).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
}

/// What stands in for the services signs as their official clients verify it.
#[tokio::test]
async fn the_official_client_of_replicate_takes_what_its_stand_in_signs() {
    let service = stand_in(Protocol::Replicate, Vec::new()).await;
    let (succeeded, said) = python("tests/python/replicate_webhook.py", &[&service.url()]).await;
    assert!(succeeded, "{said}");
    assert_eq!(
        said,
        "starting is verified\nsucceeded is verified\nanother secret is refused\n"
    );
}
