//! Whose time it is that records bear.

use atelier::rpc::proto::{JobStatus, RetryJobRequest};

use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase};
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
    server.made(scripted_request(feature, &script)).await;
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

    let behind = db.texts(BEHIND).await;
    assert!(behind.is_empty(), "{behind:?}");
}
