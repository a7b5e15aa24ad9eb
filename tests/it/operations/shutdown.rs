//! Signals to the program: the first asks and leaves time, the second does not.

use std::time::{Duration, Instant};

use atelier::entity::{job, job_event};
use atelier::rpc::proto::{ErrorReason, JobStatus};
use atelier::server::Role;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::api::reflection::{wait_for, watch_health};
use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::Process;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::statuses;

/// What a shutdown of jobs that do not end may take, most of which they get.
const SHORT: Duration = Duration::from_secs(4);
/// Longer than anything here takes.
const LONG: &str = "server.shutdown_grace=10m";

on_both_databases! {
    async fn a_shutdown_ends_streams_hands_jobs_back_and_exits_with_zero(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        for signal in ["TERM", "INT"] {
            let script = Script::new(&["succeed"]).gated();
            let mut process = Process::serve(&db, media.path(), &[&short_grace()]).await;
            let feature = scripted_feature(&signal.to_ascii_lowercase());
            let feature = process.add_feature(feature).await.id;
            let job = process.create(scripted_request(feature, &script)).await.1.remove(0);
            let watch = process.watch(job.id).await;
            script.wait_until_submitted(1).await;

            let began = Instant::now();
            process.signal(signal);
            of_status(&watch.broken().await).is(Code::Unavailable, ErrorReason::ShuttingDown);
            let status = process.exit().await;
            assert_eq!(status.code(), Some(0), "{status}");
            // It was waited for, and not cut off at the end of the grace.
            let took = began.elapsed();
            assert!(took > SHORT / 2 && took < SHORT, "{took:?}");
            let log = process.log();
            assert!(log.contains("health: the server is shutting down"), "{log}");
            assert!(!log.contains("WARN") && !log.contains("ERROR"), "it was asked for: {log}");
            assert_handed_back(&db, job.id).await;

            script.open_gate();
            let next = Process::serve(&db, media.path(), &[]).await;
            let ended = next.ended(job.id).await;
            assert_eq!(ended.statuses(), [
                JobStatus::Pending, JobStatus::Processing, JobStatus::Pending, JobStatus::Processing, JobStatus::Completed,
            ]);
            assert_eq!((ended.job.attempt, ended.code()), (1, ""));
        }
    }

    async fn a_task_at_a_provider_is_followed_on_after_a_shutdown(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).with_task().gated();
        let mut process = Process::serve(&db, media.path(), &[&short_grace()]).await;
        let job = process.create_scripted(&script).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "poll")).await;
        process.signal("TERM");
        assert_eq!(process.exit().await.code(), Some(0));
        assert_handed_back(&db, job.id).await;

        script.open_gate();
        let next = Process::serve(&db, media.path(), &[]).await;
        assert_eq!(next.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!(script.calls_of("submit").len(), 1);
        assert_eq!(script.calls_of("cancel").len(), 0);
    }

    async fn a_second_signal_ends_the_process_at_once(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).gated();
        let mut process = Process::serve(&db, media.path(), &[LONG]).await;
        process.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let mut health = watch_health(&process, "").await;

        process.signal("TERM");
        // A sign that the first signal has arrived.
        wait_for(&mut health, ServingStatus::NotServing).await;
        process.signal("TERM");

        let status = process.exit().await;
        assert_eq!(status.code(), Some(143), "{status}");
    }

    async fn a_job_that_ends_within_the_grace_is_completed_and_no_other_is_begun(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let (running, waiting) = (Script::new(&["succeed"]).gated(), Script::new(&["succeed"]));
        let mut process = Process::serve(&db, media.path(), &[LONG]).await;
        let feature = process.scripted_feature().await;
        let job = process.create(scripted_request(feature, &running)).await.1.remove(0);
        let watch = process.watch(job.id).await;
        running.wait_until_submitted(1).await;
        let mut health = watch_health(&process, "").await;

        process.signal("TERM");
        wait_for(&mut health, ServingStatus::NotServing).await;
        // Accepted, for a worker that does not stop.
        let later = process.create(scripted_request(feature, &waiting)).await.1.remove(0);
        running.open_gate();
        let transitions = watch.transitions().await;
        assert_eq!(statuses(&transitions), [JobStatus::Pending, JobStatus::Processing, JobStatus::Completed]);
        assert_eq!(process.exit().await.code(), Some(0));
        assert_eq!(waiting.calls(), []);

        let next = Process::serve(&db, media.path(), &[]).await;
        let ended = next.ended(later.id).await;
        assert_eq!(ended.statuses(), [JobStatus::Pending, JobStatus::Processing, JobStatus::Completed]);
    }

    async fn the_port_answers_through_the_pause_while_health_says_that_the_server_stops(db: TestDatabase) {
        let pause = Duration::from_secs(2);
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.server.shutdown_delay = pause;
        }).await;
        let client = server.client();
        let feature = client.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let job = client.create(scripted_request(feature, &script)).await.1.remove(0);
        let watch = client.watch(job.id).await;
        let mut health = watch_health(&client, "").await;
        wait_for(&mut health, ServingStatus::Serving).await;
        let url = server.url();

        let began = Instant::now();
        let stopped = tokio::spawn(server.shutdown());
        wait_for(&mut health, ServingStatus::NotServing).await;
        let answer = within(browser().get(format!("{url}/healthz")).send()).await.unwrap();
        assert_eq!(answer.status(), reqwest::StatusCode::SERVICE_UNAVAILABLE);
        // Over a connection of its own, as a client that does not know yet.
        Client::connect(&url).await.create(scripted_request(feature, &script)).await;
        of_status(&watch.broken().await).is(Code::Unavailable, ErrorReason::ShuttingDown);
        assert!(began.elapsed() >= pause, "{:?}", began.elapsed());
        within(stopped).await.unwrap();
        assert!(tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.is_err());
    }

    async fn an_idle_process_ends_with_zero(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let mut process = Process::serve(&db, media.path(), &[]).await;
        process.signal("TERM");
        assert_eq!(process.exit().await.code(), Some(0));
    }
}

/// The job waits as before its attempt, which does not count, and its history says why.
async fn assert_handed_back(db: &TestDatabase, id: i64) {
    let connection = db.connect().await;
    let job = job::Entity::find_by_id(id).one(&connection).await;
    let job = job.unwrap().unwrap();
    assert_eq!(job.status, atelier::domain::JobStatus::Pending);
    assert_eq!((job.attempt, job.revision), (0, 3));
    assert_eq!((job.lease_token, job.lease_expires_at), (None, None));
    let events = job_event::Entity::find().order_by_desc(job_event::Column::JobId);
    let events = events.order_by_desc(job_event::Column::Revision);
    let last = events.one(&connection).await.unwrap().unwrap();
    assert_eq!((last.job_id, last.revision), (id, 3));
    assert_eq!(last.detail.unwrap()["cause"], json!("hand_back"));
}

fn short_grace() -> String {
    format!("server.shutdown_grace={}s", SHORT.as_secs())
}
