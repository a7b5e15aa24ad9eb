//! What operators are told of a job that has not begun, or not ended.

use std::time::Duration;

use atelier::domain::job::{AttemptEnd, Failure, Obstacle, Skill};
use atelier::domain::{Actor, Caller, MediaType, QueuePart, Reason, RequestDraft, Schedule};
use atelier::rpc::proto::{
    DiagnoseJobRequest, DiagnoseJobResponse, ErrorReason, JobObstacle, JobStatus,
};
use atelier::store::queue::{AWAY, Presence};
use chrono::TimeDelta;
use tonic::Code;

use crate::support::bench::{Bench, lease, overloaded};
use crate::support::client::{Client, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::plans::{plan, plans};
use crate::support::process::{atelier, run};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

use super::{ask, ask_with, pause, resume};

on_both_databases! {
    async fn a_waiting_job_is_told_what_keeps_it_and_how_many_come_before_it(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, 1, 3, bench.feature_id).await;
        let urgent = ask_with(&bench, RequestDraft { priority: 9, user_id: 2, ..bench.draft("x") }, 2).await;
        assert_told(&bench, jobs[0], Obstacle::NoWorker, "No worker that has the generator \"builtin\" for image was seen.").await;
        there(&bench, None).await;
        assert_told(&bench, urgent[0], Obstacle::Line, "It is next: the first worker with a free place takes it.").await;
        assert_told(&bench, urgent[1], Obstacle::Line, "One job is before it.").await;
        for (index, id) in jobs.iter().enumerate() {
            let diagnosis = bench.app.diagnose_job(*id).await.unwrap();
            assert_eq!(diagnosis.jobs_before, Some(2 + index as u64));
        }
        bench.pass(41);
        assert_told(&bench, jobs[0], Obstacle::NoWorker, "No worker that has the generator \"builtin\" for image was seen since 2027-01-15T08:00:00Z.").await;
        there(&bench, Some("the program \"draw\" is missing")).await;
        assert_told(&bench, jobs[0], Obstacle::NoWorker, "No worker can run the generator \"builtin\" now: the program \"draw\" is missing.").await;
        there(&bench, Some(AWAY)).await;
        let away = assert_told(&bench, jobs[0], Obstacle::ProviderAway, "The generator \"builtin\" is away: its service does not answer any worker.").await;
        assert!(away);
        there(&bench, None).await;
        bench.app.acting(Actor::local()).drain_worker("worker", "").await.unwrap();
        assert_told(&bench, jobs[0], Obstacle::WorkersDrained, "Every worker that has the generator \"builtin\" is drained: worker.").await;
        for (part, what) in [
            (QueuePart::Whole, "The queue".to_owned()),
            (QueuePart::Feature(bench.feature_id), format!("Feature {}", bench.feature_id)),
            (QueuePart::Provider("builtin".to_owned()), "The generator \"builtin\"".to_owned()),
        ] {
            pause(&bench, part.clone()).await;
            let told = format!("{what} is paused since 2027-01-15T08:00:41Z by local: a test.");
            assert_told(&bench, jobs[0], Obstacle::Paused, &told).await;
            resume(&bench, part).await;
        }
    }

    async fn a_job_that_is_out_of_the_queue_is_told_until_when_and_why(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        bench.app.settings.plans = plans([plan("free", |it| it.concurrent_jobs = 1)]);
        there(&bench, None).await;
        let now = bench.app.clock.now();
        let later = Schedule { not_before: Some(now + TimeDelta::hours(1)), ..Schedule::default() };
        let scheduled = ask_with(&bench, RequestDraft { schedule: later, ..bench.draft("x") }, 1).await;
        assert_told(&bench, scheduled[0], Obstacle::Scheduled, "It is to start at 2027-01-15T09:00:00Z, and not before.").await;
        assert_eq!(bench.app.diagnose_job(scheduled[0]).await.unwrap().jobs_before, None);
        let soon = Schedule { start_deadline: Some(now + TimeDelta::seconds(20)), ..Schedule::default() };
        let late = ask_with(&bench, RequestDraft { schedule: soon, user_id: 2, ..bench.draft("x") }, 1).await;
        let held = ask_with(&bench, RequestDraft { plan: Some("free".to_owned()), user_id: 3, ..bench.draft("x") }, 2).await;
        bench.pass(21);
        assert_told(&bench, late[0], Obstacle::DeadlineOver, "It was to start by 2027-01-15T08:00:20Z, and upkeep is about to cancel it.").await;
        let claimed = bench.claim(9).await.remove(0);
        assert_eq!(claimed.id, held[0]);
        assert_told(&bench, held[1], Obstacle::Plan, "As many jobs of user 3 run as the plan lets run at once, which is 1.").await;
        assert_told(&bench, held[0], Obstacle::Nothing, "Worker \"worker\" runs it since 2027-01-15T08:00:21Z, attempt 1 of 2, 0 % done.").await;
        bench.app.end_attempt(&lease(&claimed), &overloaded(Duration::from_secs(60))).await.unwrap().unwrap();
        assert_told(&bench, held[0], Obstacle::Retry, "The next attempt may begin at 2027-01-15T08:01:21Z, since the last one failed (PROVIDER_UNAVAILABLE): Overloaded.").await;
    }

    async fn a_job_that_runs_or_has_ended_is_told_as_that(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, 1, 3, bench.feature_id).await;
        let claimed = bench.claim(3).await;
        bench.complete(&claimed[0]).await.unwrap();
        assert_told(&bench, jobs[0], Obstacle::Nothing, "It has completed.").await;
        let failure = Failure::new(Reason::ProviderFailed, "No.");
        bench.app.end_attempt(&lease(&claimed[1]), &AttemptEnd::Fail(failure)).await.unwrap().unwrap();
        assert_told(&bench, jobs[1], Obstacle::Nothing, "It has failed (PROVIDER_FAILED): No.").await;
        bench.pass(31);
        let lost = "Worker \"worker\" was to say by 2027-01-15T08:00:30Z that it still runs it, and has not: upkeep is about to take it away.";
        assert_told(&bench, jobs[2], Obstacle::WorkerLost, lost).await;
        bench.app.cancel_job(Caller::TrustedService, jobs[2], true).await.unwrap();
        assert_told(&bench, jobs[2], Obstacle::Nothing, "It was cancelled.").await;
    }

    async fn admins_are_told_events_lease_and_workers_and_so_is_the_command_line(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("first".to_owned());
            config.executor.concurrency = 1;
        }).await;
        let feature = server.scripted_feature().await;
        let gate = Script::new(&["succeed"]).gated();
        let running = server.create(scripted_request(feature, &gate)).await.1.remove(0);
        gate.wait_until_submitted(1).await;
        let waiting = server.create(scripted_request(feature, &gate)).await.1.remove(0);
        let told = diagnose(&server, running.id).await;
        let statuses: Vec<_> = told.events.iter().map(|event| event.status()).collect();
        assert_eq!(statuses, [JobStatus::Pending, JobStatus::Processing]);
        let lease = told.lease.clone().unwrap();
        assert!(lease.worker_id == "first" && !lease.is_expired && lease.expire_time.is_some(), "{lease:?}");
        assert_eq!((told.obstacle(), told.provider.as_str(), told.earlier_count), (JobObstacle::Unspecified, "scripted", None));
        assert!(told.summary.starts_with("Worker \"first\" runs it since 2"), "{}", told.summary);
        let told = diagnose(&server, waiting.id).await;
        assert_eq!((told.obstacle(), told.earlier_count), (JobObstacle::Line, Some(0)));
        assert!(told.lease.is_none() && told.job.unwrap().input.is_none());
        let [worker] = &told.workers[..] else { panic!("{:?}", told.workers) };
        assert_eq!((worker.worker_id.as_str(), worker.running_count, worker.slot_count), ("first", 1, 1));

        let folder = format!("storage.folder={}", db.media.path().display());
        let shown = run(atelier(&db, &["job", "diagnose", &waiting.id.to_string(), "--set", &folder])).await;
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.starts_with(&format!("{}\nstatus    pending\n", told.summary)), "{text}");
        assert!(text.contains("worker    first works, seen "), "{text}");
        let unknown = server.jobs().diagnose_job(DiagnoseJobRequest { id: 4_711 }).await;
        refusal(unknown).is(Code::NotFound, ErrorReason::JobNotFound);
        gate.open_gate();
        server.completed(waiting.id).await;
    }
}

async fn diagnose(client: &Client, id: i64) -> DiagnoseJobResponse {
    let told = client.jobs().diagnose_job(DiagnoseJobRequest { id }).await;
    told.unwrap().into_inner()
}

/// Whether its provider is told to be away.
async fn assert_told(bench: &Bench, id: i64, obstacle: Obstacle, summary: &str) -> bool {
    let diagnosis = bench.app.diagnose_job(id).await.unwrap();
    assert_eq!(diagnosis.summary, summary);
    assert_eq!(diagnosis.obstacle, obstacle);
    diagnosis.is_provider_away
}

/// Has a worker say that it is there, and what it lacks.
async fn there(bench: &Bench, missing: Option<&str>) {
    let presence = Presence {
        name: "worker".to_owned(),
        instance: "a".to_owned(),
        host: "here".to_owned(),
        role: "worker".to_owned(),
        version: "0.1.0".to_owned(),
        capabilities: vec![Skill {
            provider: "builtin".to_owned(),
            category: MediaType::Image,
            missing: missing.map(str::to_owned),
        }],
        slots: 4,
    };
    bench.app.note_worker(&presence).await.unwrap();
}
