//! A job belongs to whoever holds its lease: an expired one is rescued once, and a late worker changes nothing.

use std::time::Duration;

use atelier::config::Config;
use atelier::entity::job;
use atelier::rpc::proto::JobStatus;
use atelier::server::Role;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::support::client::scripted_request;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::script::{Call, Script};
use crate::support::server::TestServer;
use crate::support::watching::{revisions, statuses};

const NEVER: Duration = Duration::from_secs(3_600);
const RESCUED: [JobStatus; 5] = [
    JobStatus::Pending,
    JobStatus::Processing,
    JobStatus::Pending,
    JobStatus::Processing,
    JobStatus::Completed,
];

on_both_databases! {
    async fn a_lost_lease_is_rescued_and_its_job_completes_once(db: TestDatabase) {
        let first = TestServer::start_with(&db, silent("first")).await;
        let script = Script::new(&["succeed"]).with_task().gated();
        let job = first.create_scripted(&script).await;
        let watch = first.watch(job.id).await;
        let second = rescue(&db, &first, &script, job.id).await;
        // Both ask for the same task now, and both are told that it is done.
        script.open_gate();
        let transitions = watch.transitions().await;

        assert_eq!(statuses(&transitions), RESCUED);
        assert_eq!(revisions(&transitions), [1, 2, 3, 4, 5]);
        let end = transitions[4].job.clone().unwrap();
        assert_eq!((end.worker_id.as_str(), end.attempt), ("second", 2));
        assert_eq!(script.calls_of("submit").len(), 1);
        assert_eq!(first.media_of(job.id).await.len(), 1);
        second.stop().await;
    }

    async fn a_worker_without_its_lease_completes_nothing(db: TestDatabase) {
        let first = TestServer::start_with(&db, silent("first")).await;
        // Only the attempt that has lost its lease is told that the task is done.
        let script = Script::new(&["succeed", "hang"]).with_task().gated();
        let job = first.create_scripted(&script).await;
        let second = rescue(&db, &first, &script, job.id).await;
        script.open_gate();

        // The other worker's only slot is taken, so it is the late one that has done with its attempt.
        let script = Script::new(&["succeed"]);
        let (_, next) = first.create(scripted_request(job.feature_id, &script)).await;
        assert_eq!(first.ended(next[0].id).await.job.worker_id, "first");
        let running = first.job(job.id).await;
        assert_eq!((running.status(), running.revision), (JobStatus::Processing, 4));
        assert_eq!((running.worker_id.as_str(), running.attempt), ("second", 2));
        assert!(first.media_of(job.id).await.is_empty());
        second.stop().await;
    }

    async fn a_worker_that_notices_its_loss_stops_and_does_not_take_the_job_back(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.heartbeat = Duration::from_millis(100);
            config.executor.concurrency = 1;
        }).await;
        let script = Script::new(&["hang"]).gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        steal_lease(&db, job.id).await;
        script.open_gate();

        // The only slot is free again, so the attempt has ended; the job stays with the thief until the lease runs out.
        let next = Script::new(&["succeed"]);
        let (_, jobs) = server.create(scripted_request(job.feature_id, &next)).await;
        server.ended(jobs[0].id).await;
        let stolen = server.job(job.id).await;
        assert_eq!((stolen.status(), stolen.revision, stolen.attempt), (JobStatus::Processing, 2, 1));
    }

    async fn a_job_whose_worker_vanishes_at_every_attempt_is_lost(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            silent("first")(config);
            config.executor.max_attempts = 1;
        }).await;
        let script = Script::new(&["succeed"]).with_task().gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        expire_lease(&db, job.id).await;
        let second = server.beside(Role::Worker, &db, |_| ()).await;
        let ended = server.ended(job.id).await;
        assert_eq!((ended.code(), ended.job.status()), ("WORKER_LOST", JobStatus::Failed));
        second.stop().await;
        script.open_gate();
    }

    async fn a_task_is_cancelled_once_no_attempt_of_its_job_waits_for_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["hang"]).with_task().gated();
        let job = server.create_scripted(&script).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "poll")).await;
        submit_elsewhere(&db, job.id).await;
        steal_lease(&db, job.id).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "cancel")).await;
    }

    async fn a_result_that_comes_too_late_is_noted_once_with_its_task(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &["log.format=json"]).await;
        let script = Script::new(&["succeed"]).with_task().gated();
        let job = process.create_scripted(&script).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "poll")).await;
        steal_lease(&db, job.id).await;
        script.open_gate();
        process.until_logged("what it made is thrown away").await;
        let log = process.log();
        let noted: Vec<_> = log.lines().filter(|line| line.contains("is thrown away")).collect();
        assert_eq!(noted.len(), 1, "{noted:?}");
        let key = &script.calls_of("submit")[0].key;
        assert!(noted[0].contains(&format!("task-{key}")), "{noted:?}");
        assert!(script.calls_of("cancel").is_empty(), "the thief may wait for it");
    }

    async fn a_lease_that_is_renewed_is_not_rescued(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.lease = Duration::from_secs(3);
            config.executor.heartbeat = Duration::from_millis(100);
        }).await;
        let script = Script::new(&["succeed"]).with_task().gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let first = lease_end(&db, job.id).await;
        // Two leases later, by the database's own clock.
        let long = chrono::TimeDelta::seconds(6);
        crate::support::server::within(async {
            while lease_end(&db, job.id).await < first + long {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }).await;
        script.open_gate();
        assert_eq!(revisions(&server.ended(job.id).await.transitions), [1, 2, 3]);
    }
}

/// A worker with one slot that neither renews its lease nor looks for expired ones: as good as hung.
fn silent(name: &'static str) -> impl Fn(&mut Config) {
    move |config| {
        config.executor.worker_id = Some(name.to_owned());
        config.executor.concurrency = 1;
        config.executor.lease = NEVER;
        config.executor.heartbeat = NEVER / 2;
        config.executor.upkeep_interval = NEVER;
    }
}

/// Lets the lease of the first server's task run out and a second server, with one slot, go on with it.
async fn rescue(db: &TestDatabase, first: &TestServer, script: &Script, job_id: i64) -> TestServer {
    let polled_by = |attempt| {
        move |calls: &[Call]| {
            let mut polls = calls.iter().filter(|call| call.name == "poll");
            polls.any(|call| call.attempt == attempt)
        }
    };
    script.wait_until(polled_by(1)).await;
    expire_lease(db, job_id).await;
    let second = first.beside(Role::Worker, db, |config| {
        config.executor.worker_id = Some("second".to_owned());
        config.executor.concurrency = 1;
    });
    let second = second.await;
    script.wait_until(polled_by(2)).await;
    second
}

async fn expire_lease(db: &TestDatabase, job_id: i64) {
    let expired = job::ActiveModel {
        id: Set(job_id),
        lease_expires_at: Set(Some(chrono::DateTime::UNIX_EPOCH)),
        ..Default::default()
    };
    let connection = db.connect().await;
    job::Entity::update(expired)
        .exec(&connection)
        .await
        .unwrap();
}

/// Makes the job look as if it had been submitted once more.
async fn submit_elsewhere(db: &TestDatabase, job_id: i64) {
    let submitted = job::ActiveModel {
        id: Set(job_id),
        submission_key: Set(Some("another".to_owned())),
        ..Default::default()
    };
    let connection = db.connect().await;
    let update = job::Entity::update(submitted);
    update.exec(&connection).await.unwrap();
}

/// Gives the job to a worker that does not exist, for long.
pub(super) async fn steal_lease(db: &TestDatabase, job_id: i64) {
    let connection = db.connect().await;
    let far = "2100-01-01T00:00:00Z".parse().unwrap();
    let stolen = job::ActiveModel {
        lease_token: Set(Some("the token of a thief".to_owned())),
        lease_expires_at: Set(Some(far)),
        ..Default::default()
    };
    let update = job::Entity::update_many().set(stolen);
    let update = update.filter(job::Column::Id.eq(job_id));
    let changed = update.exec(&connection).await.unwrap();
    assert_eq!(changed.rows_affected, 1);
}

async fn lease_end(db: &TestDatabase, job_id: i64) -> chrono::DateTime<chrono::Utc> {
    let connection = db.connect().await;
    let found = job::Entity::find_by_id(job_id).one(&connection).await;
    found.unwrap().unwrap().lease_expires_at.unwrap()
}
