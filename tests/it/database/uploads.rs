//! Uploads are found by indexes, a user's as well as those that nothing uses, among however many others.

use std::time::Duration;

use atelier::app::RemovalMode;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase, on_both_databases};

use super::page_indexes::sqlite_plan;
use super::plans::explain;
use super::statements::Wire;

/// 200 users with 100 requests and as many uploads each, which these name, and as many URLs to put files to. The first uploads are
/// old, and so are the first URLs; odd users have deleted their first request.
const MANY: &str = "
    INSERT INTO users (id) SELECT generate_series(2, 200);
    INSERT INTO generation_requests (user_id, feature_id, user_prompt, created_at, deleted_at)
        SELECT n, 1, 'x', TIMESTAMPTZ '2026-01-01', CASE WHEN i = 1 AND n % 2 = 1 THEN TIMESTAMPTZ '2026-01-02' END
        FROM generate_series(1, 200) AS n, generate_series(1, 100) AS i ORDER BY i, n;
    INSERT INTO generation_uploads (user_id, sha256, storage_key, format, file_size, created_at, updated_at)
        SELECT n, lpad(n || 'x' || i, 64, '0'), 'uploads/' || n || '-' || i, 'png', 1, moment, moment
        FROM (SELECT n, i, CASE WHEN i = 1 THEN TIMESTAMPTZ '2026-01-01' ELSE TIMESTAMPTZ '2027-01-15' END AS moment
              FROM generate_series(1, 200) AS n, generate_series(1, 100) AS i) AS numbers ORDER BY i, n;
    INSERT INTO generation_request_uploads (request_id, upload_id)
        SELECT request.id, request.id - (SELECT MIN(id) FROM generation_requests WHERE user_prompt = 'x') + 1
        FROM generation_requests AS request WHERE user_prompt = 'x';
    INSERT INTO generation_upload_tickets (id, user_id, expires_at)
        SELECT 'ticket ' || id, user_id, updated_at + INTERVAL '1 day' FROM generation_uploads;
    ANALYZE";

/// What each statement of the upkeep says, and the index that serves it.
const UPKEEP: [(&str, &str); 5] = [
    (
        "DELETE FROM \"generation_upload_tickets\"",
        "idx_generation_upload_tickets_age",
    ),
    (
        "ORDER BY \"generation_uploads\"",
        "idx_generation_uploads_age",
    ),
    (
        "SELECT DISTINCT link",
        "idx_generation_request_uploads_upload",
    ),
    ("UPDATE \"generation_uploads\"", "generation_uploads_pkey"),
    (
        "DELETE FROM \"generation_uploads\"",
        "generation_uploads_pkey",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_uses_is_found_by_indexes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 1).await;
    bench.app.settings.uploads.idle = Duration::from_secs(24 * 60 * 60);
    // It knows its user then.
    bench.request(1, 0).await;
    db.execute("DELETE FROM generation_requests").await;
    let database = db.connect().await;
    database.execute_unprepared(MANY).await.unwrap();
    wire.take();
    let removed = bench.app.remove_idle_uploads(RemovalMode::Off).await;
    assert_eq!(removed.unwrap(), 100, "those of odd users");
    let statements = wire.take();
    for (number, (words, index)) in UPKEEP.into_iter().enumerate() {
        let statement = statements.iter().find(|text| text.contains(words));
        let statement = statement.unwrap_or_else(|| panic!("{words}: {statements:#?}"));
        let plan = match statement.contains("tickets") {
            // How many are over depends on the time.
            true => explain_at(&database, statement, "2027-01-15").await,
            false => explain(&database, number, statement).await,
        };
        let is_read_whole = plan.contains("Seq Scan on generation_");
        assert!(
            plan.contains(index) && !is_read_whole,
            "{statement}:\n{plan}"
        );
    }
    let left = "SELECT CAST(COUNT(*) AS TEXT) FROM generation_upload_tickets";
    assert_eq!(db.texts(left).await, ["19800"]);
}

/// How a statement with a time is run.
async fn explain_at(database: &DatabaseConnection, statement: &str, time: &str) -> String {
    let statement = statement
        .replace("$1", &format!("TIMESTAMPTZ '{time}'"))
        .replace("$2", "200");
    plan_of(database, &statement).await
}

async fn plan_of(database: &DatabaseConnection, statement: &str) -> String {
    let explain = Statement::from_string(DbBackend::Postgres, format!("EXPLAIN {statement}"));
    let lines = database.query_all_raw(explain).await.unwrap();
    let line = |line: sea_orm::QueryResult| line.try_get_by_index::<String>(0).unwrap();
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

on_both_databases! {
    async fn an_index_has_each_page_of_a_user_s_uploads_in_its_order(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let database = db.connect().await;
        if db.backend == Backend::Postgres {
            bench.request(1, 0).await;
            database.execute_unprepared("DELETE FROM generation_requests").await.unwrap();
            database.execute_unprepared(MANY).await.unwrap();
        }
        let page = "SELECT * FROM generation_uploads WHERE user_id = 3 ORDER BY id DESC LIMIT 51";
        let plan = match db.backend {
            Backend::Postgres => plan_of(&database, page).await,
            Backend::Sqlite => sqlite_plan(&database, page).await.join("\n"),
        };
        let sorts = ["Sort", "TEMP B-TREE"].iter().any(|word| plan.contains(word));
        assert!(plan.contains("idx_generation_uploads_user") && !sorts, "{plan}");
    }
}
