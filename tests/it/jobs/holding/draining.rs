//! A worker that operators drain takes no job, until it is undrained or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atelier::config::{Config, ProviderConfig, ProviderLimits, ScriptedConfig};
use atelier::domain::job::Skill;
use atelier::domain::{Actor, MediaType};
use atelier::rpc::proto::{
    DiagnoseJobRequest, DrainWorkerRequest, ErrorReason, GetQueueRequest, Job, JobObstacle,
    JobStatus, UndrainWorkerRequest, Worker,
};
use atelier::server::Role;
use atelier::store::queue::Presence;
use tonic::Code;

use crate::support::bench::{Bench, LEASE, capability, drawing, ids};
use crate::support::client::{Client, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

use super::ask;

on_both_databases! {
    async fn a_drained_worker_ends_what_it_runs_and_leaves_the_rest_to_others(db: TestDatabase) {
        let first = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("first".to_owned());
        }).await;
        let feature = first.scripted_feature().await;
        let gate = Script::new(&["succeed"]).gated();
        let running = first.create(scripted_request(feature, &gate)).await.1.remove(0);
        gate.wait_until_submitted(1).await;
        let second = first.beside(Role::All, &db, |config| {
            config.executor.worker_id = Some("second".to_owned());
        }).await;
        let drained = drain(&second, "first").await;
        assert_eq!((drained.worker_id.as_str(), drained.running_count, drained.slot_count), ("first", 1, 4));
        let told = worker(&first, "first").await.unwrap();
        let why = told.drain.unwrap();
        assert_eq!((why.actor.as_str(), why.reason.as_str()), ("local", "a new disk"));
        assert!(told.is_alive && told.version == env!("CARGO_PKG_VERSION") && told.role == "all");
        assert!(told.capabilities.iter().any(|it| it.provider == "scripted" && it.missing.is_empty()));
        assert_eq!(run_by(&first, feature).await, BTreeSet::from(["second".to_owned()]));

        drain(&first, "second").await;
        let script = Script::new(&["succeed"]);
        let waiting = first.create(scripted_request(feature, &script)).await.1.remove(0);
        for server in [&first, &second] {
            for name in ["first", "second"] {
                let scripted = [capability("scripted")];
                assert!(server.app().claim_jobs(name, 1, LEASE, &scripted).await.unwrap().is_empty());
            }
        }
        undrain(&second, "first").await;
        assert_eq!(first.completed(waiting.id).await.job.worker_id, "first");
        gate.open_gate();
        assert_eq!(first.completed(running.id).await.job.worker_id, "first");
        second.stop().await;
        assert!(worker(&first, "second").await.is_none(), "it has ended");
        // One of its name that begins anew is another one.
        let again = first.beside(Role::Worker, &db, |config| {
            config.executor.worker_id = Some("second".to_owned());
        }).await;
        assert!(worker(&first, "second").await.unwrap().drain.is_none());
        drain(&first, "first").await;
        assert_eq!(run_by(&first, feature).await, BTreeSet::from(["second".to_owned()]));
        again.stop().await;
    }

    async fn a_process_that_begins_anew_is_not_drained_and_one_that_was_lost_is_forgotten(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, 1, 2, bench.feature_id).await;
        let acting = bench.app.acting(Actor::local());
        assert!(!bench.app.note_worker(&presence("a")).await.unwrap());
        acting.drain_worker("worker", "").await.unwrap();
        assert!(bench.app.note_worker(&presence("a")).await.unwrap());
        assert!(bench.claim(1).await.is_empty());
        assert_eq!(ids(&bench.app.claim_jobs("other", 1, LEASE, &[drawing()]).await.unwrap()), jobs[..1]);
        assert_eq!(bench.app.crew().await.unwrap().running.into_iter().collect::<Vec<_>>(), [("other".to_owned(), 1)]);

        bench.app.forget_worker("worker", "another process").await.unwrap();
        assert!(!bench.app.note_worker(&presence("b")).await.unwrap());
        assert_eq!(ids(&bench.claim(1).await), jobs[1..]);
        let alive = async || {
            let crew = bench.app.crew().await.unwrap();
            crew.workers.iter().map(|worker| (worker.instance.clone(), crew.is_alive(worker))).collect::<Vec<_>>()
        };
        assert_eq!(alive().await, [("b".to_owned(), true)]);
        bench.pass(41);
        assert_eq!(alive().await, [("b".to_owned(), false)]);
        bench.pass(24 * 60 * 60);
        let other = Presence { name: "other".to_owned(), ..presence("c") };
        bench.app.note_worker(&other).await.unwrap();
        assert_eq!(alive().await, [("c".to_owned(), true)]);
        bench.app.forget_worker("other", "c").await.unwrap();
        assert!(alive().await.is_empty());
    }

    async fn servers_share_what_all_of_them_may_run(db: TestDatabase) {
        let limited = |name: &'static str| move |config: &mut Config| {
            config.executor.worker_id = Some(name.to_owned());
            config.executor.total_concurrency = 3;
        };
        let first = TestServer::start_with(&db, limited("first")).await;
        let feature = first.scripted_feature().await;
        let second = first.beside(Role::All, &db, limited("second")).await;
        until_it_shares(&first).await;
        let script = Script::new(&["succeed"]).gated();
        let mut asked = scripted_request(feature, &script);
        asked.input.get_or_insert_default().variations = 6;
        let jobs = first.create(asked).await.1;
        script.wait_until_submitted(2).await;
        assert_eq!(running(&first).await, [1, 1], "each has the whole part of its share");
        let told = first.jobs().diagnose_job(DiagnoseJobRequest { id: jobs[5].id }).await.unwrap().into_inner();
        assert_eq!(told.obstacle(), JobObstacle::Total);
        assert_eq!(told.summary, "As many jobs run as all workers together run at once, which is 2.");
        // What one leaves the other takes up.
        drain(&first, "first").await;
        script.wait_until_submitted(4).await;
        assert_eq!(running(&first).await, [1, 3]);
        script.open_gate();
        for job in &jobs {
            first.completed(job.id).await;
        }
        second.stop().await;
    }

    async fn servers_share_what_all_of_them_may_run_of_a_provider(db: TestDatabase) {
        let (first, second) = two_that_share(&db, |limits| limits.total_concurrency = 2).await;
        let feature = first.scripted_feature().await;
        let script = Script::new(&["succeed"]).gated();
        let mut asked = scripted_request(feature, &script);
        asked.input.get_or_insert_default().variations = 6;
        let jobs = first.create(asked).await.1;
        script.wait_until_submitted(2).await;
        assert_eq!(running(&first).await, [1, 1]);
        // Both have looked for more by now, in vain.
        for server in [&first, &second] {
            let waiting = server.job(jobs[5].id).await.waiting_reason;
            assert_eq!(waiting, "The generator \"scripted\" is running as many jobs as it may.");
        }
        // What one leaves the other takes up.
        drain(&first, "first").await;
        script.open_gate();
        for job in &jobs {
            first.completed(job.id).await;
        }
        second.stop().await;
    }

    async fn servers_share_what_all_of_them_may_begin_of_a_provider_within_a_minute(db: TestDatabase) {
        let (first, second) = two_that_share(&db, |limits| limits.total_requests_per_minute = 4).await;
        let feature = first.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let mut asked = scripted_request(feature, &script);
        asked.input.get_or_insert_default().variations = 6;
        let jobs = first.create(asked).await.1;
        let mut ended: BTreeMap<String, u32> = BTreeMap::new();
        for job in &jobs[..4] {
            *ended.entry(first.completed(job.id).await.job.worker_id).or_default() += 1;
        }
        assert_eq!(ended, [("first".to_owned(), 2), ("second".to_owned(), 2)].into());
        for (server, job) in [(&first, &jobs[4]), (&second, &jobs[5])] {
            let told = server.job(job.id).await;
            assert_eq!(told.status(), JobStatus::Pending);
            let reason = "The generator \"scripted\" has begun as many jobs as it may within a minute";
            assert!(told.waiting_reason.starts_with(reason), "{}", told.waiting_reason);
        }
        second.stop().await;
    }

    async fn a_worker_that_is_not_known_is_not_drained(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut admin = server.admin();
        let asked = DrainWorkerRequest { worker_id: "nobody".to_owned(), ..Default::default() };
        refusal(admin.drain_worker(asked).await).is(Code::NotFound, ErrorReason::WorkerNotFound).with("name", "nobody");
        let asked = UndrainWorkerRequest { worker_id: "nobody".to_owned() };
        refusal(admin.undrain_worker(asked).await).is(Code::NotFound, ErrorReason::WorkerNotFound);
        let asked = DrainWorkerRequest { worker_id: "x".repeat(65), reason: "x".repeat(501) };
        refusal(admin.drain_worker(asked).await).of_fields(["reason", "worker_id"]);
    }
}

/// Servers with these limits of the provider "scripted", which know of each other.
async fn two_that_share(
    db: &TestDatabase,
    limit: impl FnOnce(&mut ProviderLimits),
) -> (TestServer, TestServer) {
    let mut limits = ProviderLimits::default();
    limit(&mut limits);
    let limited = |name: &str| {
        let name = name.to_owned();
        move |config: &mut Config| {
            config.executor.worker_id = Some(name);
            let folder = std::env::temp_dir();
            let scripted = ScriptedConfig {
                folder,
                pictures: false,
                limits,
            };
            let scripted = ProviderConfig::Scripted(scripted);
            config.providers.insert("scripted".to_owned(), scripted);
        }
    };
    let first = TestServer::start_with(db, limited("first")).await;
    let second = first.beside(Role::All, db, limited("second")).await;
    until_it_shares(&first).await;
    (first, second)
}

/// Who runs a few more jobs of this feature.
async fn run_by(client: &Client, feature: i64) -> BTreeSet<String> {
    let script = Script::new(&["succeed"]);
    let mut asked = scripted_request(feature, &script);
    asked.input.get_or_insert_default().variations = 8;
    let mut workers = BTreeSet::new();
    for Job { id, .. } in client.create(asked).await.1 {
        workers.insert(client.completed(id).await.job.worker_id);
    }
    workers
}

async fn drain(client: &Client, name: &str) -> Worker {
    let asked = DrainWorkerRequest {
        worker_id: name.to_owned(),
        reason: "a new disk".to_owned(),
    };
    let drained = within(client.admin().drain_worker(asked)).await.unwrap();
    drained.into_inner().worker.unwrap()
}

async fn undrain(client: &Client, name: &str) {
    let asked = UndrainWorkerRequest {
        worker_id: name.to_owned(),
    };
    let undrained = client.admin().undrain_worker(asked).await.unwrap();
    assert!(undrained.into_inner().worker.unwrap().drain.is_none());
}

async fn worker(client: &Client, name: &str) -> Option<Worker> {
    let queue = client.admin().get_queue(GetQueueRequest {}).await.unwrap();
    let mut workers = queue.into_inner().workers.into_iter();
    workers.find(|worker| worker.worker_id == name)
}

fn presence(instance: &str) -> Presence {
    Presence {
        name: "worker".to_owned(),
        instance: instance.to_owned(),
        host: "here".to_owned(),
        role: "worker".to_owned(),
        version: "0.1.0".to_owned(),
        capabilities: vec![Skill {
            provider: "builtin".to_owned(),
            category: MediaType::Image,
            missing: None,
        }],
        slots: 4,
    }
}

/// Waits until the first has looked who shares with it since the second is there.
async fn until_it_shares(first: &TestServer) {
    within(async {
        let began = worker(first, "second").await.unwrap().start_time.unwrap();
        let seen = async || {
            worker(first, "first")
                .await
                .unwrap()
                .last_seen_time
                .unwrap()
        };
        while seen().await.seconds <= began.seconds + 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// How many jobs each worker runs.
async fn running(server: &TestServer) -> Vec<i64> {
    let queue = server.admin().get_queue(GetQueueRequest {}).await.unwrap();
    let workers = queue.into_inner().workers.into_iter();
    workers.map(|it| it.running_count).collect()
}
