//! The indexes that serve the pages of requests, jobs and media where the rows asked for are few among many; and how few
//! statements tell a page with what belongs to its rows.

use atelier::rpc::proto::{
    BatchGetJobsRequest, BatchGetMediaRequest, BatchGetRequestsRequest, BatchGetTemplatesRequest,
    CountJobsRequest, CountRequestsRequest, ListRequestsRequest, RequestInclude,
};
use atelier::store::media::select_covers;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryTrait, Statement};

use crate::support::clocked::ClockedServer;
use crate::support::database::{Backend, TestDatabase, on_both_databases};

use super::statements::Wire;

/// 200 users, projects and so on with 100 requests each, which came in turns.
const MANY: &str = "
    INSERT INTO users (id) SELECT generate_series(1, 200);
    INSERT INTO generation_features (name, category)
        SELECT 'feature_' || n, 'image' FROM generate_series(1, 200) AS n;
    INSERT INTO generation_templates (feature_id, name, template_data)
        SELECT n, 'template', '{}' FROM generate_series(1, 200) AS n;
    INSERT INTO generation_templates (feature_id, name, template_data)
        SELECT 1, 'named_' || n, '{}' FROM generate_series(1, 5000) AS n;
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
const PAGES: [(&str, &str, &str); 21] = [
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
    (
        "requests",
        "user_id = 3 AND deleted_at IS NOT NULL",
        "requests_user_deleted",
    ),
    (
        "requests",
        "deleted_at IS NOT NULL",
        "requests_deleted_page",
    ),
    (
        "jobs",
        "created_at < '2026-01-03' AND live",
        "jobs_created_at",
    ),
    ("jobs", "error_code = 'X' AND live", "jobs_error_page"),
    ("templates", "name = 'named_3' AND live", "templates_name"),
    (
        "media",
        "created_at < '2026-01-03' AND live",
        "media_created_at",
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

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_an_index_has_the_requests_of_a_user_in_the_order_of_their_changes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let database = db.connect().await;
    migration::up(&database, None).await.unwrap();
    database.execute_unprepared(MANY).await.unwrap();
    let page = "SELECT * FROM generation_requests WHERE user_id = 3 AND deleted_at IS NULL
                ORDER BY updated_at DESC, id DESC LIMIT 10";
    let plan = explain(&database, page).await;
    assert!(
        plan.contains("idx_generation_requests_user_updated"),
        "{plan}"
    );
    assert!(!plan.contains("Sort"), "{plan}");
}

/// A table, the rows asked for, their order, and the index that finds them in it. What no index finds is looked for among all
/// that is live, from the newest on until the page is full.
const SQLITE_PAGES: [(&str, &str, &str, &str); 8] = [
    (
        "requests",
        "user_id = ?",
        "updated_at DESC, id DESC",
        "requests_user_updated (user_id=?)",
    ),
    (
        "requests",
        "user_id = ? AND deleted",
        "id DESC",
        "requests_user_deleted (user_id=?)",
    ),
    ("requests", "deleted", "id DESC", "requests_deleted_page"),
    (
        "jobs",
        "error_code = ?",
        "id DESC",
        "jobs_error_page (error_code=?)",
    ),
    (
        "jobs",
        "created_at < ?",
        "id DESC",
        "jobs_deleted_at (deleted_at=?)",
    ),
    (
        "media",
        "created_at < ?",
        "id DESC",
        "media_deleted_at (deleted_at=?)",
    ),
    (
        "media",
        "role IN (?, ?)",
        "id DESC",
        "media_deleted_at (deleted_at=?)",
    ),
    (
        "templates",
        "name = ?",
        "id DESC",
        "templates_name (name=?)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_an_index_has_each_page_in_its_order() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let database = db.connect().await;
    migration::up(&database, None).await.unwrap();
    for (table, rows, order, index) in SQLITE_PAGES {
        let rows = match rows.contains("deleted") {
            true => rows.replace("deleted", "deleted_at IS NOT NULL"),
            false => format!("{rows} AND deleted_at IS NULL"),
        };
        let page =
            format!("SELECT * FROM generation_{table} WHERE {rows} ORDER BY {order} LIMIT 51");
        let plan = sqlite_plan(&database, &page).await;
        // A second step would sort.
        assert!(
            plan.len() == 1 && plan[0].ends_with(&format!("idx_generation_{index}")),
            "{page}: {plan:#?}"
        );
    }
}

/// The entries of the audit log asked for, and the index that finds them in their order.
const AUDIT_PAGES: [(&str, &str); 5] = [
    ("TRUE", "time"),
    ("created_at < '2026-01-03'", "time"),
    ("actor = 'admin:3'", "actor"),
    ("action = 'action_3'", "action"),
    ("subject_kind = 'feature' AND subject_id = 3", "subject"),
];

on_both_databases! {
    async fn an_index_has_each_page_of_the_audit_log_in_its_order(db: TestDatabase) {
        let database = db.connect().await;
        migration::up(&database, None).await.unwrap();
        if db.backend == Backend::Postgres {
            let many = "INSERT INTO generation_audit_entries (created_at, actor, action, subject_kind, subject_id, detail)
                SELECT TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 hour', 'admin:' || n % 100, 'action_' || n % 100, 'feature', n % 100, '{}'
                FROM generate_series(1, 20000) AS n; ANALYZE;";
            database.execute_unprepared(many).await.unwrap();
        }
        for (rows, index) in AUDIT_PAGES {
            let page = format!(
                "SELECT * FROM generation_audit_entries WHERE {rows} ORDER BY created_at DESC, id DESC LIMIT 51"
            );
            let plan = match db.backend {
                Backend::Postgres => explain(&database, &page).await,
                Backend::Sqlite => sqlite_plan(&database, &page).await.join("\n"),
            };
            let index = format!("idx_generation_audit_entries_{index}");
            let sorts = ["Sort", "TEMP B-TREE"].iter().any(|word| plan.contains(word));
            assert!(plan.contains(&index) && !sorts, "{page}: {plan}");
        }
    }
}

pub(super) async fn sqlite_plan(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {query}");
    let explain = Statement::from_string(DbBackend::Sqlite, explain);
    let steps = database.query_all_raw(explain).await.unwrap();
    let step = |step: sea_orm::QueryResult| step.try_get::<String>("", "detail").unwrap();
    steps.into_iter().map(step).collect()
}

async fn plan(database: &DatabaseConnection, table: &str, rows: &str) -> String {
    let page = format!("SELECT * FROM generation_{table} WHERE {rows} ORDER BY id DESC LIMIT 51");
    explain(database, &page).await
}

async fn explain(database: &DatabaseConnection, query: &str) -> String {
    let explain = Statement::from_string(DbBackend::Postgres, format!("EXPLAIN {query}"));
    let lines = database.query_all_raw(explain).await.unwrap();
    let line = |line: sea_orm::QueryResult| line.try_get_by_index::<String>(0).unwrap();
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A server on the many rows, and what it asks the database.
struct Watched {
    db: TestDatabase,
    wire: Wire,
    server: ClockedServer,
}

impl Watched {
    async fn start() -> Self {
        let db = TestDatabase::create(Backend::Postgres).await;
        let wire = Wire::before(&db).await;
        let server = ClockedServer::start(&TestDatabase::on_server(wire.url.clone())).await;
        db.execute(MANY).await;
        Self { db, wire, server }
    }

    /// The queries of generated rows since the last call.
    fn queries(&self) -> Vec<String> {
        let mut trips = self.wire.take();
        trips.retain(|text| text.starts_with("SELECT") && text.contains("generation_"));
        trips
    }

    /// How each query is done for values that are not known yet; none reads a whole table.
    async fn assert_served(&self, queries: &[String], indexes: &[&str]) {
        let database = self.db.connect().await;
        let mut plans = String::new();
        for (number, query) in queries.iter().enumerate() {
            let name = format!("query_{number}");
            let prepare =
                format!("SET plan_cache_mode = force_generic_plan; PREPARE {name} AS {query}");
            database.execute_unprepared(&prepare).await.unwrap();
            let count = format!(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = '{name}'"
            );
            let count = Statement::from_string(DbBackend::Postgres, count);
            let count = database.query_one_raw(count).await.unwrap().unwrap();
            let values = vec!["NULL"; count.try_get_by_index::<i32>(0).unwrap() as usize];
            let execute = format!("EXECUTE {name}({})", values.join(", "));
            let plan = explain(&database, &execute).await;
            for table in ["requests", "jobs", "media"] {
                let whole = format!("Seq Scan on generation_{table}");
                assert!(!plan.contains(&whole), "{query}\n{plan}");
            }
            plans += &plan;
        }
        for index in indexes {
            assert!(plans.contains(index), "{index}: {queries:#?}\n{plans}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_what_belongs_to_its_requests_takes_one_statement_for_each_kind() {
    let watched = Watched::start().await;
    for (page_size, include, expected) in [
        (1, vec![], 2),
        (12, vec![], 2),
        (1, vec![RequestInclude::Cover], 3),
        (50, vec![RequestInclude::Cover], 3),
        // The jobs wait, and what workers can run tells why.
        (1, vec![RequestInclude::Jobs, RequestInclude::Media], 5),
        (12, vec![RequestInclude::Jobs, RequestInclude::Media], 5),
        (50, vec![RequestInclude::Jobs, RequestInclude::Media], 5),
    ] {
        watched.queries();
        let request = ListRequestsRequest {
            page_size,
            user_id: 3,
            include: include.iter().map(|it| (*it).into()).collect(),
            ..Default::default()
        };
        let listed = watched.server.requests().list_requests(request).await;
        let listed = listed.unwrap().into_inner().requests;
        assert_eq!(listed.len(), page_size as usize);
        let with_jobs = include.contains(&RequestInclude::Jobs);
        assert!(
            listed
                .iter()
                .all(|request| request.jobs.is_empty() != with_jobs)
        );
        let queries = watched.queries();
        assert_eq!(
            queries.len(),
            expected,
            "{page_size} {include:?}: {queries:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_indexes_find_what_belongs_to_the_requests_of_a_page() {
    let watched = Watched::start().await;
    watched.queries();
    let request = ListRequestsRequest {
        user_id: 3,
        include: vec![
            RequestInclude::Jobs.into(),
            RequestInclude::Media.into(),
            RequestInclude::Cover.into(),
        ],
        ..Default::default()
    };
    watched
        .server
        .requests()
        .list_requests(request)
        .await
        .unwrap();
    let queries = watched.queries();
    assert_eq!(queries.len(), 6, "{queries:#?}");
    let indexes = [
        "idx_generation_jobs_of_request",
        "idx_generation_media_of_request",
    ];
    watched.assert_served(&queries, &indexes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_covers_are_found_by_their_requests_and_not_among_all_that_is_live() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let database = db.connect().await;
    migration::up(&database, None).await.unwrap();
    let covers = select_covers(DbBackend::Sqlite, &[1, 2]).build(DbBackend::Sqlite);
    let plan = sqlite_plan(&database, &covers.to_string()).await;
    for index in [
        "media_of_request (request_id=?)",
        "SEARCH job USING INTEGER PRIMARY KEY",
    ] {
        let found = plan.iter().any(|step| step.contains(index));
        assert!(found, "{index}: {plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_found_by_the_primary_key_with_one_statement() {
    let watched = Watched::start().await;
    let ids: Vec<i64> = (101..=200).collect();
    let server = &watched.server;
    watched.queries();
    let request = BatchGetTemplatesRequest {
        ids: ids.clone(),
        ..Default::default()
    };
    let found = server.templates().batch_get_templates(request).await;
    let templates = found.unwrap().into_inner().templates.len();
    let request = BatchGetJobsRequest {
        ids: ids.clone(),
        ..Default::default()
    };
    let found = server.jobs().batch_get_jobs(request).await;
    let jobs = found.unwrap().into_inner().jobs.len();
    let request = BatchGetMediaRequest {
        ids: ids.clone(),
        ..Default::default()
    };
    let found = server.media().batch_get_media(request).await;
    let media = found.unwrap().into_inner().media.len();
    let request = BatchGetRequestsRequest {
        ids,
        ..Default::default()
    };
    let found = server.requests().batch_get_requests(request).await;
    let requests = found.unwrap().into_inner().requests.len();
    assert_eq!([templates, jobs, media, requests], [100; 4]);
    let mut queries = watched.queries();
    queries.retain(|text| !text.contains("generation_capabilities"));
    // Requests are told with how their jobs stand.
    assert_eq!(queries.len(), 5, "{queries:#?}");
    // There are too few templates for an index.
    let tables = ["jobs", "media", "requests"];
    let keys = tables.map(|table| format!("generation_{table}_pkey"));
    let keys = keys.each_ref().map(String::as_str);
    watched.assert_served(&queries, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_by_status_are_found_by_an_index_with_one_statement() {
    let watched = Watched::start().await;
    let requests = CountRequestsRequest::default;
    let user_id = 3;
    for (filter, index) in [
        (
            CountRequestsRequest {
                user_id,
                ..requests()
            },
            "requests_user_",
        ),
        (
            CountRequestsRequest {
                project_id: 3,
                ..requests()
            },
            "requests_project_",
        ),
        (
            CountRequestsRequest {
                feature_id: 3,
                ..requests()
            },
            "requests_feature_",
        ),
        (
            CountRequestsRequest {
                template_id: 3,
                ..requests()
            },
            "requests_template_",
        ),
        (
            CountRequestsRequest {
                user_id,
                show_deleted: true,
                ..requests()
            },
            "requests_user_page",
        ),
    ] {
        watched.queries();
        let counted = watched.server.requests().count_requests(filter).await;
        let expected = if filter.show_deleted { 100 } else { 99 };
        assert_eq!(counted.unwrap().into_inner().pending, expected);
        watched.assert_counted(index).await;
    }
    let jobs = CountJobsRequest::default;
    for (filter, index) in [
        (CountJobsRequest { user_id, ..jobs() }, "jobs_user_"),
        (
            CountJobsRequest {
                project_id: 3,
                ..jobs()
            },
            "jobs_project_",
        ),
        (
            CountJobsRequest {
                feature_id: 3,
                ..jobs()
            },
            "jobs_feature_",
        ),
        (
            CountJobsRequest {
                worker_id: "worker_3".to_owned(),
                ..jobs()
            },
            "jobs_worker_",
        ),
    ] {
        watched.queries();
        let counted = watched.server.jobs().count_jobs(filter).await;
        assert_eq!(counted.unwrap().into_inner().pending, 99);
        watched.assert_counted(index).await;
    }
}

impl Watched {
    async fn assert_counted(&self, index: &str) {
        let queries = self.queries();
        assert_eq!(queries.len(), 1, "{queries:#?}");
        let index = format!("idx_generation_{index}");
        self.assert_served(&queries, &[&index]).await;
    }
}
