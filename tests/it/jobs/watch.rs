//! WatchJob: every transition, in order, once each, to whoever asks, whenever and however often the stream breaks.

use std::time::{Duration, Instant};

use atelier::domain;
use atelier::entity::{job, job_event};
use atelier::rpc::proto::{
    CancelJobRequest, DeleteJobRequest, ErrorReason, JobPhase, JobStatus, UndeleteJobRequest,
    WatchJobEvent, WatchJobRequest, job_service_client::JobServiceClient,
};
use atelier::server::Role;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};
use tonic::Code;
use tonic::transport::Endpoint;

use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, within};
use crate::support::watching::{revisions, status_of, statuses};

/// More than any buffer between the table and the client holds.
pub(crate) const MANY: i64 = 3_000;

on_both_databases! {
    async fn a_late_subscriber_gets_every_transition(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create_scripted(&script).await;
        server.ended(job.id).await;

        let late = server.watch(job.id).await.transitions().await;

        let (pending, processing) = (JobStatus::Pending, JobStatus::Processing);
        let all = [pending, processing, pending, processing, JobStatus::Completed];
        assert_eq!(statuses(&late), all, "{:?}", late.last());
        assert_eq!(revisions(&late), [1, 2, 3, 4, 5]);
        let jobs: Vec<_> = late.iter().map(|message| message.job.clone().unwrap()).collect();
        assert_eq!(jobs.iter().map(|job| job.revision).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        // As it was right after each transition, not as it is now.
        assert_eq!(jobs.iter().map(|job| job.attempt).collect::<Vec<_>>(), [0, 1, 1, 2, 2]);
        assert_eq!(jobs.iter().filter(|job| job.error.is_some()).count(), 1);
        assert!(jobs[2].error.is_some(), "the retry does not say why");
        assert_eq!(jobs.iter().filter(|job| job.end_time.is_some()).count(), 1);
        assert_eq!(late[4].media.len(), 1);
    }

    async fn resuming_after_each_revision_gives_exactly_the_rest(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create_scripted(&script).await;
        let all = server.ended(job.id).await.transitions;

        for (seen, expected) in (0..).zip(1..=all.len() + 1) {
            let rest = server.watch_after(job.id, seen).await.transitions().await;
            assert_eq!(revisions(&rest), revisions(&all[expected - 1..]), "after {seen}");
            assert_eq!(statuses(&rest), statuses(&all[expected - 1..]), "after {seen}");
        }
    }

    async fn a_stream_that_breaks_at_each_message_and_is_resumed_loses_nothing(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut seen = vec![];
        let mut last = 0;
        while seen.last() != Some(&JobStatus::Completed) {
            let message = server.watch_after(job.id, last).await.transition().await.unwrap();
            last = message.revision;
            seen.push(status_of(&message));
            if seen.len() == 2 {
                script.open_gate();
            }
        }
        assert_eq!(seen, [JobStatus::Pending, JobStatus::Processing, JobStatus::Completed]);
    }

    async fn a_slow_reader_loses_nothing(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&[]);
        let job = server.create_scripted(&script).await;
        give_a_long_history(&db, job.id).await;
        // A window that holds a few messages, so that the server feels that nobody reads.
        let endpoint = Endpoint::from_shared(server.url()).unwrap();
        let channel = endpoint.initial_stream_window_size(4_096).connect().await.unwrap();
        let request = WatchJobRequest { id: job.id, after_revision: 0, ..Default::default() };
        let opened = JobServiceClient::new(channel).watch_job(request).await.unwrap();
        let mut slow = opened.into_inner();
        assert_eq!(within(slow.message()).await.unwrap().unwrap().revision, 1);

        // The job goes on, and others read on, while the slow one does not read.
        let cancel = CancelJobRequest { id: job.id, ..Default::default() };
        within(server.jobs().cancel_job(cancel)).await.unwrap();
        let quick = server.watch(job.id).await.transitions().await;
        assert!(revisions(&quick).into_iter().eq(1..=MANY + 1));

        let mut next = 2;
        while let Some(message) = within(slow.message()).await.unwrap() {
            if message.event() == WatchJobEvent::Transition {
                assert_eq!(message.revision, next);
                next += 1;
            }
        }
        assert_eq!(next, MANY + 2);
    }

    async fn a_revision_that_the_job_has_not_reached_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&[]);
        let job = server.create_scripted(&script).await;
        let refused = refusal(server.try_watch(job.id, 2).await.map(|_| ()));
        refused
            .is(Code::OutOfRange, ErrorReason::RevisionAhead)
            .with("job_id", job.id)
            .with("revision", 1)
            .with("after_revision", 2);
        refusal(server.try_watch(job.id, -1).await.map(|_| ())).of_fields(["after_revision"]);
        refusal(server.try_watch(0, 0).await.map(|_| ())).of_fields(["id"]);
    }

    async fn the_last_message_of_a_deleted_job_says_so(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        for revision in 1..=2 {
            assert_eq!(watch.transition().await.unwrap().revision, revision);
        }
        within(server.jobs().delete_job(DeleteJobRequest { id: job.id })).await.unwrap();
        script.open_gate();
        let rest = watch.rest().await;
        let last = rest.last().unwrap();
        assert_eq!(last.event(), WatchJobEvent::Deleted);
        let shown = last.job.clone().unwrap();
        assert!(shown.delete_time.is_some() && shown.end_time.is_some());
        assert_eq!((last.revision, last.media.len()), (shown.revision, 0));
        // So does every stream after that.
        let again = server.watch_after(job.id, last.revision).await.rest().await;
        assert_eq!(again.iter().map(|message| message.event()).collect::<Vec<_>>(), [WatchJobEvent::Deleted]);

        within(server.jobs().undelete_job(UndeleteJobRequest { id: job.id })).await.unwrap();
        assert_eq!(server.watch_after(job.id, last.revision).await.rest().await, []);
    }

    async fn a_pending_job_that_is_deleted_is_told_to_be_cancelled_and_then_to_be_deleted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        let mut watch = server.watch(job.id).await;
        assert_eq!(watch.transition().await.unwrap().revision, 1);
        within(server.jobs().delete_job(DeleteJobRequest { id: job.id })).await.unwrap();
        for told in [watch.rest().await, server.watch_after(job.id, 1).await.rest().await] {
            let events: Vec<_> = told.iter().map(|message| message.event()).collect();
            assert_eq!(events, [WatchJobEvent::Transition, WatchJobEvent::Deleted]);
            assert_eq!(statuses(&told), [JobStatus::Cancelled; 2]);
            assert_eq!(revisions(&told), [2; 2]);
        }
    }

    async fn an_unknown_job_cannot_be_watched(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        refusal(server.try_watch(4_711, 0).await.map(|_| ()))
            .is(Code::NotFound, ErrorReason::JobNotFound)
            .with("job_id", 4_711);
    }

    async fn a_silent_stream_says_that_it_is_alive(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.server.watch_heartbeat = Duration::from_secs(1);
        }).await;
        let script = Script::new(&[]);
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        assert_eq!(watch.transition().await.unwrap().revision, 1);
        for _ in 0..2 {
            let beat = watch.next().await.unwrap().unwrap();
            assert_eq!(beat.event(), WatchJobEvent::Heartbeat);
            assert_eq!(beat.revision, 1);
            assert_eq!(beat.job.unwrap().status(), JobStatus::Pending);
        }
    }

    async fn progress_is_delivered_between_transitions(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        let progress = loop {
            let message = watch.next().await.unwrap().unwrap();
            if message.event() == WatchJobEvent::Progress {
                break message;
            }
        };
        assert_eq!(progress.revision, 2);
        let shown = progress.job.unwrap();
        assert_eq!((shown.progress, shown.progress_message.as_str()), (0.45, "waiting"));
        assert_eq!(shown.status(), JobStatus::Processing);
        script.open_gate();
        assert_eq!(status_of(&watch.transition().await.unwrap()), JobStatus::Completed);
    }

    async fn a_watcher_is_told_the_phases_of_a_job(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        assert_eq!(job.phase(), JobPhase::Queued);
        let mut watch = server.watch(job.id).await;
        for phase in [JobPhase::Queued, JobPhase::Starting] {
            assert_eq!(watch.transition().await.unwrap().job.unwrap().phase(), phase);
        }
        let told = watch.next().await.unwrap().unwrap();
        assert_eq!(told.event(), WatchJobEvent::Progress);
        assert_eq!(told.job.unwrap().phase(), JobPhase::Generating);
        script.open_gate();
        let mut phases = Vec::new();
        while let Some(message) = watch.next().await.unwrap() {
            phases.push(message.job.unwrap().phase());
        }
        assert_eq!(phases.pop(), Some(JobPhase::Unspecified));
        assert!(phases.iter().all(|phase| [JobPhase::Generating, JobPhase::Storing].contains(phase)), "{phases:?}");
    }

    async fn watchers_that_go_away_leave_nothing_behind_that_the_others_need(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.database.max_connections = 4).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut staying = server.watch(job.id).await;
        for _ in 0..100 {
            let mut leaving = server.watch(job.id).await;
            assert_eq!(leaving.transition().await.unwrap().revision, 1);
        }
        script.open_gate();
        let all = server.watch(job.id).await.transitions().await;
        assert_eq!(revisions(&all), [1, 2, 3]);
        for revision in 1..=3 {
            assert_eq!(staying.transition().await.unwrap().revision, revision);
        }
        assert!(staying.transition().await.is_none());
    }

    async fn many_watchers_of_one_job_all_see_all_of_it(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.database.max_connections = 4).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut watches = Vec::new();
        for _ in 0..50 {
            watches.push(tokio::spawn(server.watch(job.id).await.transitions()));
        }
        script.open_gate();
        for watch in watches {
            assert_eq!(revisions(&within(watch).await.unwrap()), [1, 2, 3]);
        }
    }
}

/// SQLite has no second machine; two servers of one process are in `two_executors`.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_on_one_replica_sees_at_once_what_another_does() {
    let db = TestDatabase::create(Backend::Postgres).await;
    // A job that starts before the deadline has not been found by looking again.
    let slow = |config: &mut atelier::config::Config| {
        config.executor.poll_interval = 2 * DEADLINE;
        config.server.watch_heartbeat = Duration::from_secs(15);
    };
    let api = TestServer::start_as(Role::Api, &db, slow).await;
    let worker = api.beside(Role::Worker, &db, slow).await;
    wait_until_listening(&db, 2).await;
    let feature = api.scripted_feature().await;

    let mut quickest = DEADLINE;
    for _ in 0..5 {
        let script = Script::new(&["succeed"]).gated();
        let job = api
            .create(scripted_request(feature, &script))
            .await
            .1
            .remove(0);
        let mut watch = api.watch(job.id).await;
        for expected in [JobStatus::Pending, JobStatus::Processing] {
            assert_eq!(status_of(&watch.transition().await.unwrap()), expected);
        }
        let opened = Instant::now();
        script.open_gate();
        let end = watch.transition().await.unwrap();
        quickest = quickest.min(opened.elapsed());
        assert_eq!(status_of(&end), JobStatus::Completed);
        assert_eq!(end.media.len(), 1);
        assert!(watch.transition().await.is_none());
    }
    // A watcher that hears of nothing looks every two seconds, counted from the transition before.
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    worker.stop().await;
    api.stop().await;
}

/// Waits until so many connections to the database listen for wake-ups; the server gives no other sign of it.
pub(crate) async fn wait_until_listening(db: &TestDatabase, connections: i64) {
    let connection = db.connect().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    within(async {
        loop {
            let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, count);
            let row = sea_orm::ConnectionTrait::query_one_raw(&connection, statement).await;
            if row.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap() >= connections {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Makes the job, which is pending, look as if it had been tried over and over: it gets [`MANY`] transitions.
pub(crate) async fn give_a_long_history(db: &TestDatabase, job_id: i64) {
    let connection = db.connect().await;
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let transition = |revision: i64| job_event::ActiveModel {
        job_id: Set(job_id),
        revision: Set(revision),
        status: Set(match revision % 2 {
            0 => domain::JobStatus::Processing,
            _ => domain::JobStatus::Pending,
        }),
        attempt: Set(1),
        detail: Set(None),
        created_at: Set(now),
    };
    let transitions: Vec<_> = (2..=MANY).map(transition).collect();
    for batch in transitions.chunks(1_000) {
        let insert = job_event::Entity::insert_many(batch.to_vec());
        insert.exec_without_returning(&connection).await.unwrap();
    }
    let job = job::Entity::find_by_id(job_id).one(&connection).await;
    let mut job = job.unwrap().unwrap().into_active_model();
    job.revision = Set(MANY);
    job::Entity::update(job).exec(&connection).await.unwrap();
}
