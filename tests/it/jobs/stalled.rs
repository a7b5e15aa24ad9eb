//! A running job whose worker has gone silent says so before another worker gets it, and says when it goes on.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{
    BatchGetJobsRequest, GetRequestRequest, Job, JobStatus, RequestInclude, WatchJobEvent,
};
use atelier::server::Role;

use crate::support::client::Client;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::Watch;

/// A worker is late after two and a half heartbeats, which is long before it loses its jobs.
const HEARTBEAT: Duration = Duration::from_secs(4);
const LEASE: Duration = Duration::from_secs(60);

on_both_databases! {
    async fn a_job_says_that_its_worker_is_silent_and_that_it_is_heard_again(db: TestDatabase) {
        let server = TestServer::start_with(&db, patient).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        let running = until(&mut watch, |job| !job.progress_message.is_empty()).await;
        assert!(!running.is_stalled && !server.job(job.id).await.is_stalled);

        // As if it had said nothing for ten seconds and a half; the next heartbeat is a few seconds away.
        let left = (LEASE - HEARTBEAT * 5 / 2).as_secs_f64() - 0.5;
        db.execute(&match db.backend {
            Backend::Postgres => format!("UPDATE generation_jobs SET lease_expires_at = now() + {left} * INTERVAL '1 second'"),
            Backend::Sqlite => format!("UPDATE generation_jobs SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '{left} seconds')"),
        }).await;
        assert!(everywhere(&server, &job).await.iter().all(|job| job.is_stalled));
        let silent = until(&mut watch, |job| job.is_stalled).await;
        assert_eq!((silent.status(), silent.revision), (JobStatus::Processing, 2));
        until(&mut watch, |job| !job.is_stalled).await;
        assert!(everywhere(&server, &job).await.iter().all(|job| !job.is_stalled));
        script.open_gate();
        assert_eq!(watch.transition().await.unwrap().revision, 3);
        assert_eq!(watch.next().await.unwrap(), None);
    }
}

/// A process that stands still, as under a debugger or on a machine that swaps. SQLite has no second one.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_is_told_of_and_goes_on() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let settings = ["executor.heartbeat=1s", "executor.lease=60s"];
    let worker = Process::serve(&db, db.media.path(), &settings).await;
    let script = Script::new(&["succeed"]).gated();
    let job = worker.create_scripted(&script).await;
    script.wait_until_submitted(1).await;
    let server = TestServer::start_as(Role::Api, &db, |config| {
        patient(config);
        config.executor.heartbeat = Duration::from_secs(1);
    });
    let server = server.await;
    let mut watch = server.watch(job.id).await;
    let mut request = server.watch_request(job.request_id).await;
    until(&mut watch, |job| !job.progress_message.is_empty()).await;
    worker.signal("STOP");
    until(&mut watch, |job| job.is_stalled).await;
    let told = within(async {
        loop {
            let job = request.next().await.unwrap().unwrap().job;
            if let Some(job) = job.filter(|job| job.is_stalled) {
                return job;
            }
        }
    });
    assert_eq!(told.await.id, job.id);
    worker.signal("CONT");
    until(&mut watch, |job| !job.is_stalled).await;
    script.open_gate();
    let end = watch.transition().await.unwrap().job.unwrap();
    assert_eq!((end.status(), end.attempt), (JobStatus::Completed, 1));
    server.stop().await;
}

fn patient(config: &mut Config) {
    config.executor.lease = LEASE;
    config.executor.heartbeat = HEARTBEAT;
}

/// The job of the next message in which it is so. None of them is a transition but the first two.
async fn until(watch: &mut Watch, is_so: impl Fn(&Job) -> bool) -> Job {
    within(async {
        loop {
            let message = watch.next().await.unwrap().unwrap();
            let event = message.event();
            let job = message.job.unwrap();
            assert!(event != WatchJobEvent::Transition || message.revision <= 2);
            if event == WatchJobEvent::Progress && is_so(&job) {
                return job;
            }
        }
    })
    .await
}

/// The job by itself, in a batch and in its request.
async fn everywhere(client: &Client, job: &Job) -> Vec<Job> {
    let ids = vec![job.id];
    let batch = BatchGetJobsRequest {
        ids,
        ..Default::default()
    };
    let batch = client.jobs().batch_get_jobs(batch).await.unwrap();
    let request = GetRequestRequest {
        id: job.request_id,
        include: vec![RequestInclude::Jobs.into()],
        ..Default::default()
    };
    let request = client.requests().get_request(request).await.unwrap();
    let mut jobs = vec![client.job(job.id).await];
    jobs.extend(batch.into_inner().jobs);
    jobs.extend(request.into_inner().request.unwrap().jobs);
    assert_eq!(jobs.len(), 3);
    jobs
}
