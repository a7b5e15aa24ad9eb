//! What plans count is found by indexes, however many jobs a user and all others have.

use atelier::domain::{Caller, Checks, RequestDraft};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase};
use crate::support::plans::{plan, plans};
use crate::support::server::within;

use super::statements::Wire;

/// 200 users with 100 requests each that were made under a plan, and jobs that wait, most of them held, that run and that have ended.
const MANY: &str = "
    INSERT INTO users (id) SELECT generate_series(2, 200);
    INSERT INTO generation_requests (user_id, feature_id, user_prompt, plan, created_at)
        SELECT n, 1, 'x', CASE WHEN i % 2 = 0 THEN 'free' END, now() - i * INTERVAL '1 hour'
        FROM generate_series(1, 200) AS n, generate_series(1, 100) AS i ORDER BY i, n;
    INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, concurrency, held, run_after)
        SELECT id, user_id, feature_id, 'image', '{}', 'builtin', 1, id % 100 > 1, 'epoch' FROM generation_requests;
    INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, status, completed_at)
        SELECT request_id, user_id, feature_id, 'image', '{}', 'builtin', 'completed', now() FROM generation_jobs;
    INSERT INTO generation_jobs
            (request_id, user_id, feature_id, category, input_json, provider, status, concurrency, started_at, lease_token, lease_expires_at)
        SELECT id, user_id, feature_id, 'image', '{}', 'builtin', 'processing', 1, now(), 'x', now() + INTERVAL '1 hour'
        FROM generation_requests WHERE user_id > 1;
    ANALYZE";

/// What a statement says, and the index that serves it.
const COUNTS: [(&str, &str); 6] = [
    ("OFFSET", "idx_generation_requests_plan"),
    (
        "SELECT id FROM generation_requests WHERE is_preview",
        "idx_generation_jobs_last_of_user",
    ),
    ("AS user_id, (", "idx_generation_jobs_limited_running"),
    ("WITH surplus", "idx_generation_jobs_limited"),
    (
        "SELECT value AS provider FROM named",
        "idx_generation_jobs_limited",
    ),
    ("SET held = FALSE", "idx_generation_jobs_limited"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_plans_count_is_found_by_indexes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 1).await;
    bench.app.settings.plans = plans([plan("free", |it| {
        it.requests_per_day = 10_000;
        it.pending_jobs = 10_000;
        it.concurrent_jobs = 1;
    })]);
    ask(&bench).await;
    let database = db.connect().await;
    database.execute_unprepared(MANY).await.unwrap();
    wire.take();
    ask(&bench).await;
    let claimed = within(bench.claim(4)).await;
    bench.complete(&claimed[0]).await.unwrap();
    let statements = wire.take();
    for (number, (words, index)) in COUNTS.into_iter().enumerate() {
        let statement = statements.iter().find(|text| text.contains(words));
        let statement = statement.unwrap_or_else(|| panic!("{words}: {statements:#?}"));
        let plan = explain(&database, number, statement).await;
        assert!(plan.contains(index), "{words}:\n{plan}");
        for table in ["generation_jobs", "generation_requests"] {
            assert!(
                !plan.contains(&format!("Seq Scan on {table}")),
                "{words}:\n{plan}"
            );
        }
    }
}

async fn ask(bench: &Bench) {
    let draft = RequestDraft {
        plan: Some("free".to_owned()),
        ..bench.draft("x")
    };
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    within(created).await.unwrap();
}

/// How a statement is run, whatever its parameters are.
pub(super) async fn explain(
    database: &DatabaseConnection,
    number: usize,
    statement: &str,
) -> String {
    let parameters = (1..100).filter(|n| statement.contains(&format!("${n}")));
    let nulls = vec!["NULL"; parameters.count()].join(", ");
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE counted_{number} AS {statement}"
    );
    database.execute_unprepared(&prepare).await.unwrap();
    let explain = match nulls.is_empty() {
        true => format!("EXPLAIN EXECUTE counted_{number}"),
        false => format!("EXPLAIN EXECUTE counted_{number}({nulls})"),
    };
    let explain = Statement::from_string(DbBackend::Postgres, explain);
    let lines = database.query_all_raw(explain).await.unwrap();
    let line = |line: sea_orm::QueryResult| line.try_get_by_index::<String>(0).unwrap();
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
