//! The same over gRPC, with several servers that run jobs, and on the command line.

use std::time::Duration;

use atelier::app::Clock;
use atelier::config::Config;
use atelier::domain::JobStatus as Status;
use atelier::entity::{job, job_event};
use atelier::rpc::proto::{
    ErrorReason, GetQueueRequest, GetQueueResponse, JobStatus, ListJobsRequest, Pause,
    PauseQueueRequest, QueuePart, ResumeQueueRequest, queue_part::Part,
};
use atelier::server::Role;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;
use tonic::Code;

use crate::support::bench::{LEASE, capability};
use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::ledger::with_ledger;
use crate::support::process::{atelier, run};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, within};

on_both_databases! {
    async fn a_paused_queue_takes_requests_and_tells_why_they_wait_and_a_resume_wakes_at_once(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            slow_to_look(config);
            with_ledger(config);
        }).await;
        let other = server.beside(Role::All, &db, slow_to_look).await;
        let feature = server.priced_feature(5).await;
        server.give(100, "a").await;
        let gate = Script::new(&["succeed"]).gated();
        let running = server.create(scripted_request(feature, &gate)).await.1.remove(0);
        gate.wait_until_submitted(1).await;
        let paused = pause(&other, whole(), "the database moves").await;
        assert_eq!((paused.part.clone(), &*paused.actor, &*paused.reason), (Some(whole()), "local", "the database moves"));

        let script = Script::new(&["succeed"]);
        let (request, jobs) = server.create(scripted_request(feature, &script)).await;
        let waiting = &jobs[0];
        assert_eq!(server.balance().await, (90, 10), "its credits are held");
        gate.open_gate();
        server.completed(running.id).await;
        for client in [&server, &other] {
            let job = client.job(waiting.id).await;
            assert_eq!((job.status(), job.is_paused), (JobStatus::Pending, true));
            assert_eq!(job.waiting_reason, "The queue is paused: the database moves.");
            let listed = ListJobsRequest { request_id: request.id, ..Default::default() };
            let listed = client.jobs().list_jobs(listed).await.unwrap().into_inner().jobs.remove(0);
            let watched = client.watch_request(request.id).await.next().await.unwrap().unwrap().job.unwrap();
            assert!(listed.is_paused && watched.is_paused);
            assert_eq!(queue(client).await.pauses, std::slice::from_ref(&paused));
            assert!(client.app().claim_jobs("x", 9, LEASE, &[capability("scripted")]).await.unwrap().is_empty());
        }
        assert_eq!(queue(&server).await.bands[0].waiting_count, 1);
        assert_eq!(resume(&other, whole()).await, Some(paused));
        let ended = server.completed(waiting.id).await;
        assert!(!ended.job.is_paused && ended.job.waiting_reason.is_empty());
        assert_eq!(resume(&server, whole()).await, None);
        other.stop().await;
    }

    async fn the_command_wakes_the_workers_of_servers_that_hear_of_each_other(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            if db.backend == Backend::Postgres {
                slow_to_look(config);
            }
        }).await;
        let feature = server.scripted_feature().await;
        pause(&server, whole(), "").await;
        let script = Script::new(&["succeed"]);
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        let folder = format!("storage.folder={}", db.media.path().display());
        let resumed = run(atelier(&db, &["queue", "resume", "--all", "--set", &folder])).await;
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        server.completed(job.id).await;
    }

    async fn a_watch_hears_of_a_pause_and_of_its_end(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.server.watch_heartbeat = Duration::from_millis(200);
            config.executor.concurrency = 1;
        }).await;
        let feature = server.scripted_feature().await;
        let gate = Script::new(&["succeed"]).gated();
        server.create(scripted_request(feature, &gate)).await;
        gate.wait_until_submitted(1).await;
        let job = server.create(scripted_request(feature, &gate)).await.1.remove(0);
        let mut watch = server.watch(job.id).await;
        let mut until = async |is_paused| while within(watch.next()).await.unwrap().unwrap().job.unwrap().is_paused != is_paused {};
        until(false).await;
        let part = QueuePart { part: Some(Part::FeatureId(feature)) };
        pause(&server, part.clone(), "").await;
        until(true).await;
        assert_eq!(server.job(job.id).await.waiting_reason, "The feature is paused.");
        resume(&server, part).await;
        until(false).await;
        gate.open_gate();
        server.completed(job.id).await;
    }

    async fn whatever_is_paused_and_resumed_meanwhile_nothing_begins_while_it_is_paused(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let other = server.beside(Role::All, &db, |_| ()).await;
        let mut features = Vec::new();
        for name in ["one", "two", "three"] {
            features.push(server.add_feature(scripted_feature(name)).await.id);
        }
        let script = Script::new(&["transient", "succeed"]);
        let mut random = StdRng::seed_from_u64(7);
        let (mut jobs, mut spans) = (Vec::new(), Vec::new());
        for round in 0..16 {
            let feature = features[round % features.len()];
            let part = match random.random_range(0..4) {
                0 => Part::IsWholeQueue(true),
                1 => Part::Provider("scripted".to_owned()),
                _ => Part::FeatureId(feature),
            };
            let (paused_on, resumed_on) = if round % 2 == 0 { (&server, &other) } else { (&other, &server) };
            for feature in &features {
                let mut asked = scripted_request(*feature, &script);
                asked.input.get_or_insert_default().variations = random.random_range(1..4);
                jobs.extend(server.create(asked).await.1);
            }
            let named = QueuePart { part: Some(part.clone()) };
            pause(paused_on, named.clone(), "").await;
            let from = Clock::system().now();
            for feature in &features {
                jobs.extend(server.create(scripted_request(*feature, &script)).await.1);
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
            let to = Clock::system().now();
            resume(resumed_on, named).await;
            spans.push((part, from, to));
        }
        for job in &jobs {
            server.completed(job.id).await;
        }
        assert_none_began_within(&db, &spans).await;
        server.stop().await;
        other.stop().await;
    }

    async fn the_command_line_pauses_shows_and_resumes(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let shown = command(&db, &["queue", "show"]).await;
        assert!(shown.starts_with("nothing is paused\nnothing waits\nWORKER"), "{shown}");
        let told = command(&db, &["queue", "pause", "--feature", &feature.to_string(), "--reason", "too bright"]).await;
        assert!(told.starts_with(&format!("feature {feature} is paused since 2")), "{told}");
        command(&db, &["queue", "pause", "--provider", "scripted"]).await;
        let script = Script::new(&["succeed"]);
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        let shown = command(&db, &["queue", "show"]).await;
        let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["PAUSED", "SINCE", "BY", "REASON"], "{shown}");
        assert_eq!((&words[1][..2], &words[1][3..]), (&["feature", &*feature.to_string()][..], &["operator", "too", "bright"][..]), "{shown}");
        assert_eq!(&words[2][..2], ["provider", "scripted"], "{shown}");
        assert_eq!(&words[4][..4], ["scripted", "0", "0", "1"], "{shown}");
        assert_eq!(server.job(job.id).await.waiting_reason, "The feature is paused: too bright.");
        assert_eq!(command(&db, &["queue", "resume", "--feature", &feature.to_string()]).await, format!("feature {feature} is resumed\n"));
        assert_eq!(command(&db, &["queue", "resume", "--all"]).await, "the queue was not paused\n");
        assert_eq!(server.job(job.id).await.waiting_reason, "The generator \"scripted\" is paused.");
        command(&db, &["queue", "resume", "--provider", "scripted"]).await;
        server.completed(job.id).await;
        for wrong in [&["queue", "pause"][..], &["queue", "pause", "--all", "--feature", "1"]] {
            assert_eq!(run(atelier(&db, wrong)).await.status.code(), Some(2), "{wrong:?}");
        }
    }

    async fn what_is_no_part_of_the_queue_is_not_paused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut admin = server.admin();
        for (part, field) in [
            (None, "part"),
            (Some(Part::IsWholeQueue(false)), "part.is_whole_queue"),
            (Some(Part::FeatureId(-1)), "part.feature_id"),
            (Some(Part::Provider("No name".to_owned())), "part.provider"),
        ] {
            let part = Some(QueuePart { part });
            let asked = PauseQueueRequest { part: part.clone(), reason: "x\ny".to_owned() };
            refusal(admin.pause_queue(asked).await).of_fields([field, "reason"]);
            refusal(admin.resume_queue(ResumeQueueRequest { part }).await).of_fields([field]);
        }
        let asked = PauseQueueRequest { part: Some(QueuePart { part: Some(Part::FeatureId(999)) }), ..Default::default() };
        refusal(admin.pause_queue(asked).await).is(Code::NotFound, ErrorReason::FeatureNotFound);
        assert!(queue(&server).await.pauses.is_empty());
    }
}

/// Only what wakes them has them look.
fn slow_to_look(config: &mut Config) {
    config.executor.poll_interval = 2 * DEADLINE;
}

fn whole() -> QueuePart {
    QueuePart {
        part: Some(Part::IsWholeQueue(true)),
    }
}

async fn pause(client: &Client, part: QueuePart, reason: &str) -> Pause {
    let asked = PauseQueueRequest {
        part: Some(part),
        reason: reason.to_owned(),
    };
    let paused = client.admin().pause_queue(asked).await.unwrap();
    paused.into_inner().pause.unwrap()
}

async fn resume(client: &Client, part: QueuePart) -> Option<Pause> {
    let asked = ResumeQueueRequest { part: Some(part) };
    let resumed = client.admin().resume_queue(asked).await.unwrap();
    resumed.into_inner().pause
}

async fn queue(client: &Client) -> GetQueueResponse {
    let told = client.admin().get_queue(GetQueueRequest {}).await;
    told.unwrap().into_inner()
}

/// What a command of the program prints.
async fn command(db: &TestDatabase, arguments: &[&str]) -> String {
    let folder = format!("storage.folder={}", db.media.path().display());
    let output = run(atelier(db, &[arguments, &["--set", &folder]].concat())).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All attempts, by the events of the jobs.
async fn assert_none_began_within(
    db: &TestDatabase,
    spans: &[(Part, DateTime<Utc>, DateTime<Utc>)],
) {
    let connection = db.connect().await;
    let jobs = job::Entity::find().all(&connection).await.unwrap();
    let begun = job_event::Entity::find();
    let begun = begun.all(&connection).await.unwrap().into_iter();
    let begun: Vec<_> = begun.filter(|it| it.status == Status::Processing).collect();
    assert!(begun.len() >= 2 * jobs.len(), "each was tried twice");
    for event in begun {
        let job = jobs.iter().find(|job| job.id == event.job_id).unwrap();
        for (part, from, to) in spans {
            let is_meant = match part {
                Part::IsWholeQueue(_) | Part::Provider(_) => true,
                Part::FeatureId(id) => *id == job.feature_id,
            };
            // SQLite has milliseconds.
            let within = (*from..*to - TimeDelta::milliseconds(20)).contains(&event.created_at);
            assert!(
                !is_meant || !within,
                "job {} began {event:?} within {part:?} {from} {to}",
                job.id
            );
        }
    }
}
