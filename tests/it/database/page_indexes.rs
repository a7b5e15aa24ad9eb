//! The indexes that serve the pages of requests, jobs and media where the rows asked for are few among many.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::support::database::{Backend, TestDatabase};

/// 200 users, projects and so on with 100 requests each, which came in turns.
const MANY: &str = "
    INSERT INTO users (id) SELECT generate_series(1, 200);
    INSERT INTO generation_features (name, category)
        SELECT 'feature_' || n, 'image' FROM generate_series(1, 200) AS n;
    INSERT INTO generation_templates (feature_id, name, template_data)
        SELECT n, 'template', '{}' FROM generate_series(1, 200) AS n;
    INSERT INTO generation_requests
            (user_id, project_id, feature_id, template_id, user_prompt, created_at, deleted_at)
        SELECT n, n, n, n, 'x', TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 day', CASE WHEN i = 7 THEN now() END
        FROM generate_series(1, 200) AS n, generate_series(1, 100) AS i ORDER BY i, n;
    INSERT INTO generation_jobs
            (request_id, user_id, project_id, feature_id, category, input_json, worker_id, deleted_at)
        SELECT id, user_id, project_id, feature_id, 'image', '{}', 'worker_' || user_id, deleted_at
        FROM generation_requests ORDER BY id;
    INSERT INTO generation_media (request_id, job_id, media_url, media_type, blurhash, deleted_at, sha256)
        SELECT request_id, id, 'http://media', 'image', 'L', deleted_at, lpad(user_id::text, 64, '0')
        FROM generation_jobs ORDER BY id;
    ANALYZE;";

/// A table, the rows asked for, and the index that finds them.
const PAGES: [(&str, &str, &str); 15] = [
    ("requests", "user_id = 3", "requests_user_page"),
    ("requests", "user_id = 3 AND live", "requests_user_page"),
    (
        "requests",
        "project_id = 3 AND live",
        "requests_project_page",
    ),
    (
        "requests",
        "feature_id = 3 AND live",
        "requests_feature_page",
    ),
    (
        "requests",
        "template_id = 3 AND live",
        "requests_template_page",
    ),
    (
        "requests",
        "created_at < '2026-01-03' AND live",
        "requests_created_at",
    ),
    ("jobs", "user_id = 3", "jobs_user_page"),
    ("jobs", "user_id = 3 AND live", "jobs_user_page"),
    ("jobs", "project_id = 3 AND live", "jobs_project_page"),
    ("jobs", "feature_id = 3 AND live", "jobs_feature_page"),
    (
        "jobs",
        "worker_id = 'worker_3' AND live",
        "jobs_worker_page",
    ),
    ("media", "request_id = 250", "media_of_request"),
    ("media", "job_id = 250", "media_of_job"),
    (
        "media",
        "sha256 = lpad('3', 64, '0') AND live",
        "media_sha256",
    ),
    (
        "media",
        "request_id IN (SELECT id FROM generation_requests WHERE user_id = 3) AND live",
        "requests_user_page",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_an_index_finds_the_page_of_a_few_rows_among_many() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let database = db.connect().await;
    migration::up(&database, None).await.unwrap();
    database.execute_unprepared(MANY).await.unwrap();
    for (table, rows, index) in PAGES {
        let plan = plan(
            &database,
            table,
            &rows.replace("live", "deleted_at IS NULL"),
        )
        .await;
        let index = format!("idx_generation_{index}");
        assert!(plan.contains(&index), "{table} where {rows}:\n{plan}");
    }
}

async fn plan(database: &DatabaseConnection, table: &str, rows: &str) -> String {
    let explain = Statement::from_string(
        DbBackend::Postgres,
        format!("EXPLAIN SELECT * FROM generation_{table} WHERE {rows} ORDER BY id DESC LIMIT 51"),
    );
    let lines = database.query_all_raw(explain).await.unwrap();
    let line = |line: sea_orm::QueryResult| line.try_get_by_index::<String>(0).unwrap();
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
