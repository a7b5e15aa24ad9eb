//! What is kept no longer is found by indexes, among however much that stays.

use std::time::Duration;

use atelier::domain::{Retention, RetentionStep};
use atelier::store::retention::select_due;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase};
use crate::support::plans::{plan, plans};
use crate::support::server::within;

use super::page_indexes::sqlite_plan;
use super::plans::explain;
use super::statements::Wire;

const DAY: Duration = Duration::from_secs(86_400);

/// 100,000 requests, each with a job, a media and a key, of which every thousandth is old: the bench's time is 2027.
const MANY: &str = "
    INSERT INTO users (id) SELECT generate_series(2, 200);
    INSERT INTO generation_requests (user_id, feature_id, user_prompt, plan, status, created_at, updated_at)
        SELECT n % 200 + 1, 1, 'x', CASE WHEN n % 2 = 0 THEN 'free' END, 'completed', moment, moment
        FROM (SELECT n, CASE WHEN n % 1000 < 2 THEN TIMESTAMPTZ '2026-01-01' ELSE TIMESTAMPTZ '2027-01-14' END AS moment
              FROM generate_series(1, 100000) AS n) AS numbers;
    INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, status, created_at, completed_at)
        SELECT id, user_id, 1, 'image', '{}', 'completed', created_at, updated_at FROM generation_requests;
    INSERT INTO generation_media (request_id, job_id, media_url, media_type, blurhash, storage_key, deleted_at, role, metadata)
        SELECT request_id, id, 'x', 'image', 'L', 'jobs/000/000/' || lpad(CAST(id % 1000 AS text), 3, '0') || '/x' || id || '-0.png',
            CASE WHEN id % 3 < 2 THEN completed_at END, 'original', '{}' FROM generation_jobs;
    INSERT INTO generation_idempotency_keys (user_id, key, fingerprint, request_id, created_at)
        SELECT user_id, 'k' || id, 'x', id, created_at FROM generation_requests;
    UPDATE generation_media SET deleted_at = '2026-01-01', content_deleted_at = '2026-01-01', storage_key = NULL WHERE request_id % 2000 = 1;
    UPDATE generation_requests SET deleted_at = created_at WHERE id % 2000 = 1 AND id > 1;
    INSERT INTO generation_features (name, category, deleted_at) SELECT 'old' || n, 'image', '2026-01-01' FROM generate_series(1, 3) AS n;
    INSERT INTO generation_templates (feature_id, name, template_data, deleted_at) SELECT 1, 'old' || n, '{}', '2026-01-01' FROM generate_series(1, 3) AS n;
    UPDATE generation_requests SET template_id = 1 + id % 3 WHERE id % 100 = 7;
    VACUUM ANALYZE";

/// Tables that no step may read as a whole.
const LARGE: [&str; 5] = [
    "generation_requests",
    "generation_jobs",
    "generation_media",
    "generation_idempotency_keys",
    "generation_job_events",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_no_longer_is_found_by_indexes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 1).await;
    bench.app.settings.plans = plans([plan("free", |it| it.retention = DAY * 30)]);
    bench.app.settings.retention = Retention {
        archive_requests: DAY * 90,
        purge_jobs: DAY * 90,
        deleted_media: DAY * 30,
        idempotency_keys: DAY * 30,
        purge_requests: DAY * 90,
        purge_catalogue: DAY * 90,
    };
    bench.request(1, 0).await;
    let database = db.connect().await;
    for statement in MANY.split(';') {
        database.execute_unprepared(statement).await.unwrap();
    }
    wire.take();
    let reports = bench.app.retention_report(u64::MAX).await.unwrap();
    let runs = within(bench.app.run_retention(None)).await;
    assert_eq!(runs.len(), RetentionStep::all().count());
    for (report, run) in reports.iter().zip(&runs) {
        assert!(report.due > 0 && run.done > 0, "{report:?} {run:?}");
    }
    let mut explained = 0;
    for (number, statement) in wire.take().iter().enumerate() {
        let looks = statement.contains("AS due")
            || statement.contains("purged_jobs")
            || statement.contains("content_deleted_at");
        if !looks {
            continue;
        }
        explained += 1;
        let plan = explain(&database, number, statement).await;
        for table in LARGE {
            assert!(
                !plan.contains(&format!("Seq Scan on {table} ")),
                "{statement}:\n{plan}"
            );
        }
    }
    assert!(explained > 10, "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_too_and_not_among_all_that_is_live() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let database = db.connect().await;
    migration::up(&database, None).await.unwrap();
    for step in RetentionStep::all() {
        for statement in select_due(DbBackend::Sqlite, step) {
            let statement = statement
                .replace("$1", "'2026-01-01'")
                .replace("$2", "'free'");
            let plan = sqlite_plan(&database, &statement).await;
            assert!(!plan.is_empty());
            for line in &plan {
                let whole = line.starts_with("SCAN") || line.contains("deleted_at (deleted_at=?)");
                assert!(!whole, "{step:?}: {plan:#?}");
            }
        }
    }
}

/// 500,000 jobs that have ended, ten of each request, of which every hundredth request's are old. The references are not checked
/// while they are made, which would take most of the time.
const HALF_A_MILLION: &str = "
    SET session_replication_role = replica;
    INSERT INTO generation_requests (user_id, feature_id, user_prompt, status, created_at, updated_at)
        SELECT 1, 1, 'x', 'completed', moment, moment
        FROM (SELECT n, CASE WHEN n % 100 = 0 THEN TIMESTAMPTZ '2026-01-01' ELSE TIMESTAMPTZ '2027-01-14' END AS moment
              FROM generate_series(1, 50000) AS n) AS numbers;
    INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, status, variation, created_at, completed_at)
        SELECT id, 1, 1, 'image', '{}', 'completed', n, created_at, updated_at
        FROM generation_requests, generate_series(0, 9) AS n WHERE user_prompt = 'x' AND status = 'completed';
    VACUUM ANALYZE generation_requests;
    VACUUM ANALYZE generation_jobs";

const OLD: u64 = 5_000;
/// Most jobs of one transaction.
const AT_ONCE: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_in_small_transactions_among_half_a_million_others() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 4).await;
    bench.app.settings.retention = Retention {
        purge_jobs: DAY * 90,
        ..Retention::default()
    };
    bench.request(1, 0).await;
    let database = db.connect().await;
    for statement in HALF_A_MILLION.split(';') {
        database.execute_unprepared(statement).await.unwrap();
    }
    wire.take();
    let mut worked = 0;
    let work = async {
        loop {
            bench.request(1, 0).await;
            let claimed = bench.claim(1).await;
            bench.complete(&claimed[0]).await.unwrap();
            worked += 1;
        }
    };
    let runs = tokio::select! {
        runs = bench.app.run_retention(None) => runs,
        () = work => unreachable!("it works on and on"),
    };
    let done: Vec<_> = runs.iter().map(|run| (run.step, run.done)).collect();
    assert_eq!(done, [(RetentionStep::PurgeJobs, OLD)]);
    assert!(worked > 0, "others wait for the purge");
    let removals = wire.take().into_iter();
    let removals = removals.filter(|text| text.starts_with("DELETE FROM generation_jobs"));
    assert_eq!(removals.count() as u64, OLD / AT_ONCE);
    let kept = "SELECT CAST(COUNT(*) AS TEXT) FROM generation_requests
        WHERE id > 1 AND user_prompt = 'x' AND status = 'completed' AND purged_jobs = 10 AND purged_completed = 10";
    assert_eq!(db.texts(kept).await, ["500"]);
    let left =
        "SELECT CAST(COUNT(*) AS TEXT) FROM generation_jobs WHERE completed_at < '2027-01-15'";
    assert_eq!(db.texts(left).await, ["495000"]);
}
