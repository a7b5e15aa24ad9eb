//! WatchRequests: what WatchRequest tells of one, of many in one stream.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier::entity::job;
use atelier::rpc::proto::{
    CancelRequestRequest, DeleteRequestRequest, ErrorReason, JobStatus, RetryRequestRequest,
    WatchRequestEvent,
};
use atelier::server::Role;
use sea_orm::{ActiveValue::Set, EntityTrait};
use tonic::Code;

use crate::requests::watch::variations;
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::{step_of, steps};

const REQUESTS: usize = 5;
const JOBS: usize = 2;

on_both_databases! {
    async fn every_transition_of_every_request_comes_once_and_resuming_gives_the_rest(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let ids = create_several(&server, &script, REQUESTS).await;
        let live = server.watch_requests(&ids, "").await.transitions().await;
        let late = server.watch_requests(&ids, "").await.transitions().await;
        let all: BTreeSet<_> = steps(&late).into_iter().collect();
        let count = 5 * JOBS * REQUESTS;
        assert_eq!((all.len(), late.len(), live.len()), (count, count, count));
        let of_requests: BTreeSet<_> = live.iter().map(|message| message.request.as_ref().unwrap().id).collect();
        assert_eq!(of_requests, ids.iter().copied().collect());
        for message in &live {
            let job = message.job.as_ref().unwrap();
            assert_eq!(message.request.as_ref().unwrap().id, job.request_id);
            assert_eq!(message.media.len(), usize::from(job.status() == JobStatus::Completed));
            assert!(job.input.is_none());
        }
        for request in server_requests(&server, &ids).await {
            let last = live.iter().rfind(|message| message.request.as_ref().unwrap().id == request.id);
            assert_eq!(last.unwrap().request, Some(request));
        }

        let backwards: Vec<_> = ids.iter().rev().copied().collect();
        let mut rest = all.clone();
        for message in live.iter() {
            rest.remove(&step_of(message));
            let resumed = server.watch_requests(&backwards, &message.cursor).await.transitions().await;
            assert_eq!(steps(&resumed), rest.iter().copied().collect::<Vec<_>>());
        }
    }

    async fn the_stream_stays_open_until_all_have_ended_and_follows_what_a_retry_adds_meanwhile(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let ids = create_several(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_requests(&ids, "").await;
        for _ in 0..2 * JOBS {
            watch.transition().await.unwrap();
        }
        cancel(&server, ids[0]).await;
        for _ in 0..JOBS {
            assert_eq!(watch.transition().await.unwrap().request.unwrap().id, ids[0]);
        }
        let retry = RetryRequestRequest { id: ids[0] };
        let retried = within(server.requests().retry_request(retry)).await.unwrap().into_inner();
        let mut added = BTreeSet::new();
        for _ in 0..JOBS {
            added.insert(step_of(&watch.transition().await.unwrap()));
        }
        assert_eq!(added, retried.jobs.iter().map(|job| (job.id, 1)).collect());
        cancel(&server, ids[1]).await;
        cancel(&server, ids[0]).await;
        assert_eq!(watch.rest().await.len(), 2 * JOBS);
    }

    async fn a_request_that_is_deleted_is_told_once_and_the_others_go_on(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let ids = create_several(&server, &Script::new(&[]), 3).await;
        let mut watch = server.watch_requests(&ids, "").await;
        for _ in 0..3 * JOBS {
            watch.transition().await.unwrap();
        }
        // One that waits, and one that had ended.
        cancel(&server, ids[1]).await;
        for id in &ids[..2] {
            let delete = DeleteRequestRequest { id: *id, ..Default::default() };
            within(server.requests().delete_request(delete)).await.unwrap();
        }
        let mut deleted = BTreeSet::new();
        let mut cursor = String::new();
        while deleted.len() < 2 {
            let told = watch.event(WatchRequestEvent::Deleted).await.unwrap();
            cursor = told.cursor;
            let request = told.request.unwrap();
            assert!(request.delete_time.is_some());
            assert!(deleted.insert(request.id), "told twice");
        }
        assert_eq!(deleted, BTreeSet::from([ids[0], ids[1]]));

        cancel(&server, ids[2]).await;
        let rest = watch.rest().await;
        assert!(rest.iter().all(|message| message.event() == WatchRequestEvent::Transition));
        assert_eq!(rest.len(), JOBS);
        let resumed = server.watch_requests(&ids, &cursor).await.rest().await;
        assert_eq!(resumed.len(), JOBS + 2);
    }

    async fn a_hundred_requests_are_told_by_one_stream(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        let mut ids = Vec::new();
        for _ in 0..100 {
            ids.push(server.create(variations(feature, &script, 1)).await.0.id);
        }
        let mut watch = server.watch_requests(&ids, "").await;
        for _ in &ids {
            watch.transition().await.unwrap();
        }
        cancel(&server, ids[50]).await;
        assert_eq!(watch.transition().await.unwrap().request.unwrap().id, ids[50]);
        for id in &ids {
            cancel(&server, *id).await;
        }
        assert_eq!(watch.transitions().await.len(), 99);
    }

    async fn a_silent_stream_says_that_it_is_alive(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.server.watch_heartbeat = Duration::from_secs(1);
        }).await;
        let ids = create_several(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_requests(&ids, "").await;
        let beat = watch.event(WatchRequestEvent::Heartbeat).await.unwrap();
        assert_eq!((beat.job, beat.request), (None, None));
        assert!(server.watch_requests(&ids, &beat.cursor).await.event(WatchRequestEvent::Heartbeat).await.is_some());
    }

    async fn what_is_wrong_with_the_requests_or_the_cursor_is_told(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let ids = create_several(&server, &Script::new(&[]), 2).await;
        let cursor = server.watch_requests(&ids, "").await.transition().await.unwrap().cursor;
        let refused = async |ids: &[i64], cursor: &str| {
            refusal(server.try_watch_requests(ids, cursor).await.map(|_| ()))
        };
        refused(&[], "").await.of_fields(["ids"]);
        refused(&vec![1; 101], "").await.of_fields(["ids"]);
        let fields = ["ids[1]", "ids[2]", "ids[3]"];
        refused(&[ids[0], 0, -1, ids[0]], "").await.of_fields(fields);
        refused(&ids[..1], &cursor).await.of_fields(["cursor"]);
        let single = server.watch_request(ids[0]).await.transition().await.unwrap().cursor;
        refused(&ids[..1], &single).await.of_fields(["cursor"]);
        for wrong in [&cursor[1..], "nonsense", "🦆", " ", "\0", &"A".repeat(65_537)] {
            refused(&ids, wrong).await.of_fields(["cursor"]);
        }
        refused(&[ids[0], 4_711, 4_712], "").await
            .is(Code::NotFound, ErrorReason::RequestNotFound)
            .with("request_id", 4_711);

        let first = server.watch_requests(&ids, "").await.transition().await.unwrap();
        let (job_id, _) = step_of(&first);
        // As after a restore from an older backup.
        let rewound = job::ActiveModel { id: Set(job_id), revision: Set(0), ..Default::default() };
        job::Entity::update(rewound).exec(&db.connect().await).await.unwrap();
        refused(&ids, &first.cursor).await
            .is(Code::OutOfRange, ErrorReason::RevisionAhead)
            .with("job_id", job_id);
    }

    async fn a_server_that_stops_says_so(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let ids = create_several(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_requests(&ids, "").await;
        let stopping = tokio::spawn(server.stop());
        let broken = loop {
            match watch.next().await {
                Ok(message) => assert!(message.is_some(), "the stream ended with OK"),
                Err(broken) => break broken,
            }
        };
        refusal::<()>(Err(broken)).is(Code::Unavailable, ErrorReason::ShuttingDown);
        within(stopping).await.unwrap();
    }
}

async fn create_several(server: &TestServer, script: &Script, requests: usize) -> Vec<i64> {
    let feature = server.scripted_feature().await;
    let mut ids = Vec::new();
    for _ in 0..requests {
        ids.push(server.create(variations(feature, script, JOBS)).await.0.id);
    }
    ids
}

async fn server_requests(server: &TestServer, ids: &[i64]) -> Vec<atelier::rpc::proto::Request> {
    let mut requests = Vec::new();
    for id in ids {
        requests.push(server.request(*id).await);
    }
    requests
}

async fn cancel(server: &TestServer, id: i64) {
    let cancel = CancelRequestRequest {
        id,
        ..Default::default()
    };
    // A deleted one is not there.
    let _ = within(server.requests().cancel_request(cancel)).await;
}
