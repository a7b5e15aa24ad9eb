//! Whose time it is that records bear.

use std::collections::BTreeSet;

use atelier::rpc::proto::{
    DeleteRequestRequest, JobStatus, ListRequestsRequest, Request, RequestOrder, RetryJobRequest,
    UpdateRequestRequest, WatchRequestEvent,
};
use prost_types::FieldMask;
use url::{Position, Url};

use crate::support::client::{Client, USER, scripted_request};
use crate::support::database::{Backend, TestDatabase};
use crate::support::http::get;
use crate::support::load::{Load, SETTINGS};
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::TestServer;

/// A database whose clock is ten days ahead of the program's: a function of this name is found before the server's own.
const AHEAD: &str = "
    CREATE SCHEMA ahead;
    CREATE FUNCTION ahead.statement_timestamp() RETURNS timestamptz STABLE
        RETURN pg_catalog.statement_timestamp() + interval '10 days';";

/// The earliest time of each column that is not ten days ahead.
const BEHIND: &str = "
    SELECT behind.which FROM (
        SELECT 'job created' AS which, min(created_at) AS least FROM generation_jobs
        UNION ALL SELECT 'job updated', min(updated_at) FROM generation_jobs
        UNION ALL SELECT 'job started', min(started_at) FROM generation_jobs
        UNION ALL SELECT 'job completed', min(completed_at) FROM generation_jobs
        UNION ALL SELECT 'event', min(created_at) FROM generation_job_events
        UNION ALL SELECT 'media created', min(created_at) FROM generation_media
        UNION ALL SELECT 'media updated', min(updated_at) FROM generation_media
        UNION ALL SELECT 'request created', min(created_at) FROM generation_requests
        UNION ALL SELECT 'request updated', min(updated_at) FROM generation_requests
        UNION ALL SELECT 'request deleted', min(deleted_at) FROM generation_requests
        UNION ALL SELECT 'job deleted', min(deleted_at) FROM generation_jobs
        UNION ALL SELECT 'media deleted', min(deleted_at) FROM generation_media
    ) AS behind
    WHERE least IS NULL OR least < pg_catalog.now() + interval '9 days'";

#[tokio::test(flavor = "multi_thread")]
async fn requests_jobs_events_and_media_bear_the_time_of_the_database() {
    let db = TestDatabase::create(Backend::Postgres).await;
    migration::up(&db.connect().await, None).await.unwrap();
    db.execute(AHEAD).await;
    let name = db.texts("SELECT current_database()::text").await.remove(0);
    db.execute(&format!(
        "ALTER DATABASE {name} SET search_path = ahead, pg_catalog, public"
    ))
    .await;

    let server = TestServer::start(&db).await;
    let feature = server.scripted_feature().await;
    let script = Script::new(&["transient", "several"]);
    let made = server.made(scripted_request(feature, &script)).await.job;
    // A job in the place of a failed one is new too.
    let script = Script::new(&["fail"]);
    let failed = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    assert_eq!(
        server.ended(failed.id).await.job.status(),
        JobStatus::Failed
    );
    let request = RetryJobRequest { id: failed.id };
    let retried = server
        .jobs()
        .retry_job(request)
        .await
        .unwrap()
        .into_inner()
        .job
        .unwrap();
    assert_eq!(
        server.ended(retried.id).await.job.status(),
        JobStatus::Failed
    );

    change(&server, retried.request_id).await;
    delete(&server, made.request_id).await;
    let behind = db.texts(BEHIND).await;
    assert!(behind.is_empty(), "{behind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_ten_minutes_off_does_what_others_do() {
    for seconds in [-600, 600] {
        let db = TestDatabase::create(Backend::Postgres).await;
        let settings = [&SETTINGS[..], &["executor.lease=30s"]].concat();
        let first = Process::serve(&db, db.media.path(), &settings).await;
        let off = Process::serve_ahead(&db, db.media.path(), &settings, seconds).await;
        let mut watch = first.watch_user(USER, "").await;
        let load = Load::begin(&[&first, &off]).await;
        load.until_submitted_by(off.id(), 16).await;
        let jobs = load.end(&db, &first).await;
        assert!(
            jobs.values().all(|job| job.attempt == 1),
            "no lease ran out"
        );

        let requests: BTreeSet<i64> = jobs.values().map(|job| job.request_id).collect();
        let requests: Vec<i64> = requests.into_iter().collect();
        delete(&off, requests[0]).await;
        let told = watch.event(WatchRequestEvent::Deleted).await.unwrap();
        assert_eq!(told.request.unwrap().id, requests[0]);
        // What each changes comes after what was changed before.
        for (server, id) in [
            (&off, requests[1]),
            (&first, requests[2]),
            (&off, requests[3]),
        ] {
            change(server, id).await;
            for other in [&first, &off] {
                assert_eq!(last_changed(other).await, id, "{seconds}");
            }
        }

        let last = jobs.keys().last().unwrap();
        for (made_by, opened_on) in [(&first, &off), (&off, &first)] {
            let link = made_by.media_of(*last).await.remove(0).download_url;
            let path = &Url::parse(&link).unwrap()[Position::BeforePath..];
            let link = format!("http://{}{path}", opened_on.address());
            let answer = get(link.parse().unwrap()).await;
            assert!(answer.status().is_success(), "{link}");
        }
    }
}

async fn change(server: &Client, id: i64) {
    let request = Request {
        id,
        title: "another".to_owned(),
        ..Default::default()
    };
    let update = UpdateRequestRequest {
        request: Some(request),
        update_mask: Some(FieldMask {
            paths: vec!["title".to_owned()],
        }),
    };
    server.requests().update_request(update).await.unwrap();
}

async fn delete(server: &Client, id: i64) {
    let deletion = DeleteRequestRequest {
        id,
        ..Default::default()
    };
    server.requests().delete_request(deletion).await.unwrap();
}

async fn last_changed(server: &Client) -> i64 {
    let list = ListRequestsRequest {
        user_id: USER,
        order: RequestOrder::Updated.into(),
        page_size: 1,
        ..Default::default()
    };
    let listed = server.requests().list_requests(list).await.unwrap();
    listed.into_inner().requests[0].id
}
