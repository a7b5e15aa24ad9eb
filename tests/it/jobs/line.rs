//! Where pending jobs stand in line and when they may begin, as clients are told it: once asked, and while they watch.

use atelier::app::{Outlook, Reads};
use atelier::domain::job::Place;
use atelier::domain::{Actor, Checks, QueuePart, RequestDraft, Schedule};
use atelier::entity::job;
use atelier::rpc::proto::{Job, JobStatus, ListJobsRequest, WatchJobEvent, WatchRequestEvent};
use chrono::TimeDelta;

use crate::support::bench::{Bench, backlog, drawing};
use crate::support::client::scripted_request;
use crate::support::database::on_both_databases;
use crate::support::plans::{plan, plans};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

use super::holding::{ask, ask_with};

on_both_databases! {
    async fn a_job_is_told_its_place_in_the_order_in_which_workers_take_jobs(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let first = ask(&bench, 1, 3, bench.feature_id).await;
        let other = ask(&bench, 2, 1, bench.feature_id).await;
        let urgent = ask_with(&bench, RequestDraft { priority: 9, user_id: 3, ..bench.draft("x") }, 1).await;
        // Nobody is known to take them.
        assert_eq!(positions(&bench, &first).await, [0; 3]);
        serve(&bench).await;
        let all = [first, other, urgent].concat();
        let told = positions(&bench, &all).await;
        // The one in a hurry, one of each user, and then the rest of the first.
        assert_eq!(told, [2, 4, 5, 3, 1]);
        let mut in_line: Vec<(u32, i64)> = told.into_iter().zip(all.clone()).collect();
        in_line.sort_unstable();
        for (_, id) in in_line {
            assert_eq!(bench.claim(1).await[0].id, id);
        }
        assert_eq!(positions(&bench, &all).await, [0; 5], "they run");
    }

    async fn an_estimate_follows_from_what_runs_and_what_has_ended(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        serve(&bench).await;
        bench.request(6, 0).await;
        let running = bench.claim(2).await;
        let waiting = bench.request(4, 0).await;
        let told = place(&bench, &waiting[0]).await.unwrap();
        assert_eq!(told, Place { position: 5, start: None }, "nothing has ended");
        bench.pass(20);
        bench.complete(&running[0]).await.unwrap();
        bench.claim(1).await;
        let now = bench.pass(100);
        serve(&bench).await;
        // As on another server, which knows of nothing yet.
        bench.app.reads = Reads::default();
        // Two run, and one of them takes 20 s: the fourth of those in line begins when twice two have ended.
        let told = place(&bench, &waiting[0]).await.unwrap();
        assert_eq!(told, Place { position: 4, start: Some(now + TimeDelta::seconds(40)) });
        let told = place(&bench, &waiting[3]).await.unwrap();
        assert_eq!(told, Place { position: 7, start: Some(now + TimeDelta::seconds(70)) });
    }

    async fn what_is_out_of_the_line_has_no_place_and_neither_has_what_stands_too_far_behind(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        bench.app.settings.plans = plans([plan("free", |it| it.concurrent_jobs = 1)]);
        serve(&bench).await;
        let later = Schedule { not_before: Some(bench.app.clock.now() + TimeDelta::hours(1)), ..Schedule::default() };
        let scheduled = ask_with(&bench, RequestDraft { schedule: later, ..bench.draft("x") }, 1).await[0];
        let held = ask_with(&bench, RequestDraft { plan: Some("free".to_owned()), user_id: 3, ..bench.draft("x") }, 2).await;
        bench.claim(9).await;
        let waits = ask(&bench, 1, 1, bench.feature_id).await[0];
        assert_eq!(positions(&bench, &[scheduled, held[1], waits]).await, [0, 0, 1]);
        for part in [QueuePart::Whole, QueuePart::Feature(bench.feature_id), QueuePart::Provider("builtin".to_owned())] {
            let acting = bench.app.acting(Actor::local());
            acting.pause_queue(&part, "", Checks::default()).await.unwrap();
            let told = outlook(&bench, waits).await;
            assert_eq!((told.is_paused, told.place), (true, None), "{part:?}");
            acting.resume_queue(&part, Checks::default()).await.unwrap();
        }
        assert_eq!(positions(&bench, &[waits]).await, [1]);

        backlog(&db, 9_998, waits).await;
        let last = ask(&bench, 4, 3, bench.feature_id).await;
        db.execute(&format!("UPDATE generation_jobs SET pass = 1000000 + id WHERE id >= {}", last[0])).await;
        bench.app.reads = Reads::default();
        assert_eq!(positions(&bench, &last).await, [10_000, 0, 0]);
    }

    async fn a_client_is_told_how_its_jobs_come_forward(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.concurrency = 1).await;
        let feature = server.scripted_feature().await;
        let scripts: Vec<Script> = (0..4).map(|_| Script::new(&["succeed"]).gated()).collect();
        let mut jobs = Vec::new();
        for script in &scripts {
            jobs.extend(server.create(scripted_request(feature, script)).await.1);
        }
        scripts[0].wait_until_submitted(1).await;
        let last = jobs[3].id;
        assert_eq!(until(&server, last, 3).await.estimated_start_time, None, "nothing has ended");
        let listed = ListJobsRequest { request_id: jobs[3].request_id, ..ListJobsRequest::default() };
        let listed = server.jobs().list_jobs(listed).await.unwrap().into_inner().jobs;
        assert_eq!(listed[0].queue_position, 3);

        let mut of_job = server.watch(last).await;
        let mut of_request = server.watch_request(jobs[3].request_id).await;
        let mut told = of_job.next().await.unwrap().unwrap();
        assert_eq!((told.event(), told.revision), (WatchJobEvent::Transition, 1));
        assert_eq!(told.job.as_ref().unwrap().queue_position, 3);
        for (script, position) in scripts.iter().zip([2, 1]) {
            script.open_gate();
            told = within(async {
                loop {
                    let message = of_job.next().await.unwrap().unwrap();
                    let job = message.job.as_ref().unwrap();
                    assert_eq!((job.status(), message.revision), (JobStatus::Pending, 1));
                    if job.queue_position == position && job.estimated_start_time.is_some() {
                        break message;
                    }
                }
            }).await;
            let news = within(async {
                loop {
                    let message = of_request.event(WatchRequestEvent::Progress).await.unwrap();
                    if message.job.as_ref().unwrap().queue_position == position {
                        break message;
                    }
                }
            }).await;
            assert_eq!(news.job.unwrap().id, last);
        }
        assert_eq!(told.job.unwrap().queue_position, 1);
        scripts[2..].iter().for_each(Script::open_gate);
        let rest: Vec<_> = of_job.transitions().await.into_iter().map(|it| it.job.unwrap()).collect();
        assert_eq!(rest.iter().map(|job| job.revision).collect::<Vec<_>>(), [2, 3]);
        assert!(rest.iter().all(|job| job.queue_position == 0 && job.estimated_start_time.is_none()));
    }
}

/// A worker has said that it takes the bench's jobs.
async fn serve(bench: &Bench) {
    let able = [(drawing(), Ok(()))];
    bench.app.announce_capabilities(&able).await.unwrap();
}

async fn outlook(bench: &Bench, id: i64) -> Outlook {
    let job = bench.job(id).await;
    bench.app.outlooks([&job]).await.unwrap().of(&job)
}

async fn place(bench: &Bench, job: &job::Model) -> Option<Place> {
    outlook(bench, job.id).await.place
}

async fn positions(bench: &Bench, ids: &[i64]) -> Vec<u32> {
    let mut positions = Vec::new();
    for id in ids {
        let place = outlook(bench, *id).await.place;
        positions.push(place.map_or(0, |place| place.position));
    }
    positions
}

/// The job once it stands there.
async fn until(server: &TestServer, id: i64, position: i32) -> Job {
    within(async {
        loop {
            let job = server.job(id).await;
            if job.queue_position == position {
                return job;
            }
        }
    })
    .await
}
