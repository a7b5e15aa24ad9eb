//! WatchRequest: every transition of every job of a request, once each, whatever breaks and whatever is added.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use atelier::domain;
use atelier::entity::{job, job_event};
use atelier::rpc::proto::{
    CancelJobRequest, CreateRequestRequest, DeleteRequestRequest, ErrorReason, JobStatus, Request,
    RequestStatus, RetryRequestRequest, UndeleteRequestRequest, WatchRequestEvent,
    WatchRequestRequest, request_service_client::RequestServiceClient,
};
use atelier::server::Role;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, EntityTrait, IntoActiveModel,
};
use tonic::Code;
use tonic::transport::Endpoint;

use crate::jobs::watch::{MANY, give_a_long_history, wait_until_listening};
use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, within};
use crate::support::watching::{step_of, steps};

const JOBS: usize = 3;

on_both_databases! {
    async fn every_transition_of_every_job_comes_once_and_in_order(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let request = create(&server, &script, JOBS).await;

        let all = server.watch_request(request.id).await.transitions().await;

        let mut by_job = BTreeMap::<i64, Vec<_>>::new();
        for message in &all {
            by_job.entry(step_of(message).0).or_default().push(message);
        }
        assert_eq!(by_job.len(), JOBS);
        let (pending, processing) = (JobStatus::Pending, JobStatus::Processing);
        for of_job in by_job.values() {
            let jobs: Vec<_> = of_job.iter().map(|message| message.job.clone().unwrap()).collect();
            let statuses: Vec<_> = jobs.iter().map(|job| job.status()).collect();
            assert_eq!(statuses, [pending, processing, pending, processing, JobStatus::Completed]);
            assert_eq!(jobs.iter().map(|job| job.revision).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            assert_eq!(jobs.iter().map(|job| job.attempt).collect::<Vec<_>>(), [0, 1, 1, 2, 2]);
            assert!(jobs.iter().all(|job| job.input.is_none() && job.request_id == request.id));
            assert_eq!(of_job.iter().map(|message| message.media.len()).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
        }
        let last = all.last().unwrap().request.clone().unwrap();
        assert_eq!(last, server.request(request.id).await);
        assert_eq!((last.status(), last.job_counts.unwrap().completed), (RequestStatus::Completed, JOBS as i64));
    }

    async fn resuming_after_every_message_gives_exactly_the_rest(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let request = create(&server, &script, JOBS).await;
        // Live, so in whatever order the jobs come forward; and afterwards, job by job.
        let live = server.watch_request(request.id).await.transitions().await;
        let late = server.watch_request(request.id).await.transitions().await;
        let all: BTreeSet<_> = steps(&late).into_iter().collect();
        assert_eq!((all.len(), late.len(), live.len()), (5 * JOBS, 5 * JOBS, 5 * JOBS));

        for messages in [&live, &late] {
            let mut rest = all.clone();
            for message in messages {
                rest.remove(&step_of(message));
                let resumed = server.watch_request_after(request.id, &message.cursor).await;
                let resumed = steps(&resumed.transitions().await);
                assert_eq!(resumed, rest.iter().copied().collect::<Vec<_>>());
            }
            assert_eq!(rest, BTreeSet::new());
        }
    }

    async fn a_stream_that_breaks_at_each_message_and_is_resumed_loses_nothing(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let request = create(&server, &script, 2).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        while let Some(message) = server.watch_request_after(request.id, &cursor).await.transition().await {
            cursor = message.cursor.clone();
            seen.push(step_of(&message));
            if seen.len() == 4 {
                script.open_gate();
            }
        }
        let once: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!((seen.len(), once.len()), (6, 6), "{seen:?}");
        // Nothing is left to tell, which is no error.
        assert!(server.watch_request_after(request.id, &cursor).await.next().await.unwrap().is_none());
    }

    async fn progress_comes_between_transitions_and_moves_no_cursor(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let request = create(&server, &script, 1).await;
        let mut watch = server.watch_request(request.id).await;
        let mut cursor = String::new();
        let progress = loop {
            let message = watch.next().await.unwrap().unwrap();
            if message.event() == WatchRequestEvent::Progress {
                break message;
            }
            cursor = message.cursor;
        };
        assert_eq!(progress.cursor, cursor);
        let shown = progress.job.unwrap();
        // Of the provider's half a tenth is kept for what comes after it.
        assert_eq!((shown.progress, shown.progress_message.as_str()), (0.45, "waiting"));
        assert_eq!(progress.request.unwrap().status(), RequestStatus::Processing);
        script.open_gate();
        let end = watch.transition().await.unwrap();
        assert_eq!(end.job.unwrap().status(), JobStatus::Completed);
        assert!(watch.transition().await.is_none());
    }

    async fn a_silent_stream_says_that_it_is_alive(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.server.watch_heartbeat = Duration::from_secs(1);
        }).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let mut watch = server.watch_request(request.id).await;
        let created = watch.transition().await.unwrap();
        for _ in 0..2 {
            let beat = watch.next().await.unwrap().unwrap();
            assert_eq!(beat.event(), WatchRequestEvent::Heartbeat);
            assert_eq!((beat.cursor, beat.job), (created.cursor.clone(), None));
            assert_eq!(beat.request.unwrap().status(), RequestStatus::Pending);
        }
    }

    async fn a_job_that_is_added_while_the_stream_runs_is_followed(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let request = create(&server, &script, 1).await;
        let mut watch = server.watch_request(request.id).await;
        let first = step_of(&watch.transition().await.unwrap()).0;
        assert_eq!(step_of(&watch.transition().await.unwrap()), (first, 2));

        let added = add_job_like(&db, first).await;
        let mut seen = vec![];
        while seen.len() < 2 {
            seen.push(step_of(&watch.transition().await.unwrap()));
        }
        assert_eq!(seen, [(added, 1), (added, 2)]);
        script.open_gate();
        let rest: BTreeSet<_> = steps(&watch.transitions().await).into_iter().collect();
        assert_eq!(rest, BTreeSet::from([(first, 3), (added, 3)]));
    }

    async fn what_a_retry_adds_and_a_deletion_cancels_is_told(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_request(request.id).await;
        let first = step_of(&watch.transition().await.unwrap()).0;
        let second = step_of(&watch.transition().await.unwrap()).0;
        within(server.jobs().cancel_job(CancelJobRequest { id: first, ..Default::default() })).await.unwrap();
        assert_eq!(step_of(&watch.transition().await.unwrap()), (first, 2));

        let retry = RetryRequestRequest { id: request.id };
        let retried = within(server.requests().retry_request(retry)).await.unwrap().into_inner();
        let added = watch.transition().await.unwrap();
        assert_eq!(step_of(&added), (retried.jobs[0].id, 1));
        assert_eq!(added.request.unwrap().job_counts.unwrap().pending, 2);

        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().delete_request(delete)).await.unwrap();
        let rest = watch.transitions().await;
        assert_eq!(steps(&rest), [(second, 2), (retried.jobs[0].id, 2)]);
        assert!(rest.iter().all(|message| message.request.as_ref().unwrap().delete_time.is_some()));
    }

    async fn the_last_message_of_a_deleted_request_says_so(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let request = create(&server, &script, 1).await;
        let mut watch = server.watch_request(request.id).await;
        watch.event(WatchRequestEvent::Progress).await.unwrap();
        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().delete_request(delete)).await.unwrap();
        let told = watch.rest().await;
        let last = told.last().unwrap();
        assert_eq!((last.event(), last.job.as_ref()), (WatchRequestEvent::Deleted, None));
        assert!(last.request.as_ref().unwrap().delete_time.is_some());
        script.open_gate();

        // So does every stream after that, wherever it resumes.
        let again = server.watch_request_after(request.id, &last.cursor).await.rest().await;
        assert_eq!(again.last().unwrap().event(), WatchRequestEvent::Deleted);
        let undelete = UndeleteRequestRequest { id: request.id };
        within(server.requests().undelete_request(undelete)).await.unwrap();
        let live = server.watch_request_after(request.id, &last.cursor).await.rest().await;
        assert!(live.iter().all(|message| message.event() == WatchRequestEvent::Transition));
    }

    async fn a_superseded_job_does_not_keep_the_stream_open_and_its_successor_does(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let first = server.watch_request(request.id).await.transition().await.unwrap();
        let (first, cursor) = (step_of(&first).0, first.cursor);
        let added = add_job_like(&db, first).await;
        supersede(&db, first, added).await;
        let mut watch = server.watch_request_after(request.id, &cursor).await;
        assert_eq!(step_of(&watch.transition().await.unwrap()), (added, 1));

        within(server.jobs().cancel_job(CancelJobRequest { id: added, ..Default::default() })).await.unwrap();
        assert_eq!(step_of(&watch.transition().await.unwrap()), (added, 2));
        assert!(watch.transition().await.is_none(), "the pending job that is superseded counts");
    }

    async fn a_request_whose_jobs_are_all_deleted_is_told_to_its_end(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_request(request.id).await;
        let created = [watch.transition().await.unwrap(), watch.transition().await.unwrap()];
        delete_jobs(&db).await;
        assert!(watch.transition().await.is_none());
        let late = server.watch_request(request.id).await.transitions().await;
        assert_eq!(steps(&late), steps(&created));
    }

    async fn a_cursor_must_be_one_of_this_request(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&[]);
        let request = create(&server, &script, 1).await;
        let feature = request.feature_id;
        let (other, _) = server.create(scripted_request(feature, &script)).await;
        let cursor = server.watch_request(request.id).await.transition().await.unwrap().cursor;

        let mut changed = cursor.clone();
        changed.replace_range(3..4, if changed.get(3..4) == Some("A") { "B" } else { "A" });
        let long = "A".repeat(65_537);
        for wrong in [changed.as_str(), &cursor[1..], "nonsense", "🦆", " ", "\0", &long] {
            refusal(server.try_watch_request(request.id, wrong).await.map(|_| ())).of_fields(["cursor"]);
        }
        refusal(server.try_watch_request(other.id, &cursor).await.map(|_| ())).of_fields(["cursor"]);
        refusal(server.try_watch_request(-1, "x").await.map(|_| ())).of_fields(["cursor", "id"]);
        refusal(server.try_watch_request(4_711, "").await.map(|_| ()))
            .is(Code::NotFound, ErrorReason::RequestNotFound)
            .with("request_id", 4_711);
    }

    async fn a_cursor_that_knows_more_than_the_database_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let created = server.watch_request(request.id).await.transition().await.unwrap();
        let (job_id, _) = step_of(&created);
        // As after a restore from an older backup.
        let connection = db.connect().await;
        let rewound = job::ActiveModel { id: Set(job_id), revision: Set(0), ..Default::default() };
        job::Entity::update(rewound).exec(&connection).await.unwrap();
        refusal(server.try_watch_request(request.id, &created.cursor).await.map(|_| ()))
            .is(Code::OutOfRange, ErrorReason::RevisionAhead)
            .with("job_id", job_id)
            .with("revision", 0)
            .with("after_revision", 1);
    }

    async fn a_slow_reader_loses_nothing(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 2).await;
        let jobs = job_ids(&db).await;
        give_a_long_history(&db, jobs[0]).await;
        // A window that holds a few messages, so that the server feels that nobody reads.
        let endpoint = Endpoint::from_shared(server.url()).unwrap();
        let channel = endpoint.initial_stream_window_size(4_096).connect().await.unwrap();
        let ask = WatchRequestRequest { id: request.id, cursor: String::new(), ..Default::default() };
        let opened = RequestServiceClient::new(channel).watch_request(ask).await.unwrap();
        let mut slow = opened.into_inner();
        let first = within(slow.message()).await.unwrap().unwrap();
        assert_eq!(step_of(&first), (jobs[0], 1));

        // The jobs go on, and others read on, while the slow one does not read.
        for id in jobs.clone() {
            within(server.jobs().cancel_job(CancelJobRequest { id, ..Default::default() })).await.unwrap();
        }
        let quick = server.watch_request(request.id).await.transitions().await;
        assert_eq!(quick.len() as i64, MANY + 1 + 2);

        let (mut next, mut others) = (2, 0);
        while let Some(message) = within(slow.message()).await.unwrap() {
            if message.event() != WatchRequestEvent::Transition {
                continue;
            }
            if step_of(&message).0 == jobs[0] {
                assert_eq!(step_of(&message).1, next);
                next += 1;
            } else {
                others += 1;
            }
        }
        assert_eq!((next, others), (MANY + 2, 2));
    }
}

/// The wake-ups of two servers that share a database; on SQLite there are none between processes.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_on_one_replica_sees_at_once_what_another_does() {
    let db = TestDatabase::create(Backend::Postgres).await;
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
        let (request, _) = api.create(variations(feature, &script, 2)).await;
        let mut watch = api.watch_request(request.id).await;
        for _ in 0..4 {
            watch.transition().await.unwrap();
        }
        let opened = Instant::now();
        script.open_gate();
        let rest = watch.transitions().await;
        quickest = quickest.min(opened.elapsed());
        assert_eq!(rest.len(), 2);
    }
    // A watcher that hears of nothing looks every two seconds, counted from the transition before.
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    worker.stop().await;
    api.stop().await;
}

/// A scripted request of so many jobs.
pub(super) async fn create(server: &TestServer, script: &Script, jobs: usize) -> Request {
    let feature = server.scripted_feature().await;
    server.create(variations(feature, script, jobs)).await.0
}

pub(super) fn variations(feature: i64, script: &Script, jobs: usize) -> CreateRequestRequest {
    let mut asked = scripted_request(feature, script);
    asked.input.get_or_insert_default().variations = jobs as i32;
    asked
}

async fn job_ids(db: &TestDatabase) -> Vec<i64> {
    let rows = job::Entity::find().all(&db.connect().await).await.unwrap();
    let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids
}

/// Adds a pending job to the request of another and tells nobody.
async fn add_job_like(db: &TestDatabase, id: i64) -> i64 {
    let connection = db.connect().await;
    let old = job::Entity::find_by_id(id).one(&connection).await;
    let old = old.unwrap().unwrap();
    let new = job::ActiveModel {
        id: NotSet,
        status: Set(domain::JobStatus::Pending),
        revision: Set(1),
        attempt: Set(0),
        worker_id: Set(None),
        started_at: Set(None),
        lease_token: Set(None),
        lease_expires_at: Set(None),
        submission_key: Set(None),
        ..old.clone().into_active_model().reset_all()
    };
    let new = job::Entity::insert(new).exec(&connection).await.unwrap();
    let event = job_event::ActiveModel {
        job_id: Set(new.last_insert_id),
        revision: Set(1),
        status: Set(domain::JobStatus::Pending),
        attempt: Set(0),
        detail: Set(None),
        created_at: Set(old.created_at),
    };
    let event = job_event::Entity::insert(event);
    event.exec_without_returning(&connection).await.unwrap();
    new.last_insert_id
}

async fn supersede(db: &TestDatabase, id: i64, by: i64) {
    let superseded = job::ActiveModel {
        id: Set(id),
        superseded_by: Set(Some(by)),
        ..Default::default()
    };
    let connection = db.connect().await;
    let updated = job::Entity::update(superseded).exec(&connection).await;
    updated.unwrap();
}

async fn delete_jobs(db: &TestDatabase) {
    let connection = db.connect().await;
    for id in job_ids(db).await {
        let row = job::Entity::find_by_id(id).one(&connection).await;
        let deleted = job::ActiveModel {
            id: Set(id),
            deleted_at: Set(Some(row.unwrap().unwrap().created_at)),
            ..Default::default()
        };
        job::Entity::update(deleted)
            .exec(&connection)
            .await
            .unwrap();
    }
}
