//! The queue's statements are served by indexes, and a claim costs the same however much waits, is paused or has ended.

use std::time::Duration;

use atelier::domain::{Actor, Checks, FeatureDraft, QueuePart};
use atelier::store::{
    self,
    queue::{self, Claim, Report},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};

use crate::support::bench::{Bench, LEASE, drawing, lease, overloaded};
use crate::support::database::{Backend, TestDatabase};

use super::plans::explain;
use super::statements::Wire;

/// What a statement says, and the indexes that serve it.
const SERVED: [(&str, &[&str]); 20] = [
    (
        "INSERT INTO generation_jobs",
        &[
            "idx_generation_jobs_last_of_user",
            "idx_generation_jobs_provider_claim",
        ],
    ),
    (
        "SELECT id FROM generation_requests WHERE is_preview",
        &["idx_generation_jobs_last_of_user"],
    ),
    ("SELECT locked.id", &["idx_generation_jobs_provider_claim"]),
    (
        "band AS MATERIALIZED",
        &["idx_generation_jobs_provider_claim"],
    ),
    ("SET lease_expires_at", &["idx_generation_jobs_running"]),
    ("WITH expired", &["idx_generation_jobs_running"]),
    ("SELECT job.run_after", &["idx_generation_jobs_parked"]),
    ("SET parked = FALSE WHERE", &["idx_generation_jobs_parked"]),
    ("WITH late", &["idx_generation_jobs_start_deadline"]),
    ("SET paused = TRUE", &["idx_generation_jobs_provider_claim"]),
    (
        "AS feature_id FROM features",
        &["idx_generation_jobs_paused"],
    ),
    ("SET paused = FALSE", &["idx_generation_jobs_paused"]),
    (
        "LIMIT (SELECT 10000)",
        &["idx_generation_jobs_provider_claim"],
    ),
    (
        "AVG(took)",
        &[
            "idx_generation_jobs_running",
            "idx_generation_jobs_completed_at",
        ],
    ),
    ("one.id > asked.bound", &["idx_generation_jobs_user_page"]),
    (
        "SELECT providers.value AS provider",
        &["idx_generation_jobs_provider_claim"],
    ),
    ("WITH unclaimed", &["idx_generation_jobs_provider_claim"]),
    ("given.output", &["generation_jobs_"]),
    (
        "SET status = counted.status",
        &["idx_generation_jobs_of_request"],
    ),
    ("event.revision > read.number", &["generation_job_events_"]),
];

/// The same where a feature has a limit.
const SERVED_OF_LIMIT: [(&str, &str); 4] = [
    ("WITH running", "idx_generation_jobs_"),
    ("WITH uncounted", "idx_generation_jobs_"),
    (
        "SELECT value AS provider FROM named",
        "idx_generation_jobs_next_of_feature",
    ),
    ("WITH urgent", "idx_generation_jobs_next_of_feature"),
];

const USERS: i64 = 1_000;
/// Longer than anything has waited here.
const LONG: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Whatever has ended is of a request of its own.
const OF_MANY_REQUESTS: &str = "
    SET session_replication_role = replica;
    INSERT INTO generation_requests (id, user_id, feature_id, user_prompt)
        SELECT -id, user_id, feature_id, 'x' FROM generation_jobs WHERE status = 'completed';
    UPDATE generation_jobs SET request_id = -id WHERE status = 'completed';
    SET session_replication_role = origin";

/// One transition of each job.
const EVENTS: &str = "
    SET session_replication_role = replica;
    INSERT INTO generation_job_events (job_id, revision, status, attempt) SELECT id, 1, 'completed', 1 FROM generation_jobs
        ON CONFLICT DO NOTHING;
    SET session_replication_role = origin;
    ANALYZE generation_job_events";

/// How often PostgreSQL plans a statement for its values before it compares that with one plan for all.
const PLANNED_FIRST: usize = 5;

/// As many as there may ever be at once, of other things than are claimed.
const PAUSES: &str = "
    INSERT INTO generation_pauses (provider, reason, actor, created_at)
        SELECT 'other-' || n, '', 'local', now() FROM generate_series(1, 20) AS n;
    ANALYZE generation_pauses";

/// So many jobs of a status, of many users, without looking after what they refer to.
fn jobs(count: u32, columns: &str, values: &str) -> String {
    jobs_of("1", count, columns, values)
}

fn jobs_of(request: &str, count: u32, columns: &str, values: &str) -> String {
    format!(
        "SET session_replication_role = replica;
         INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, run_after{columns})
         SELECT {request}, n % {USERS} + 1, 1, 'image', '{{}}', 'builtin', 'epoch'{values} FROM generate_series(1, {count}) AS n;
         SET session_replication_role = origin"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_asks_is_served_by_indexes_and_costs_the_same_however_much_waits() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    bench.request(1, 0).await;
    let database = db.connect().await;
    let run = async |statements: String| {
        database.execute_unprepared(&statements).await.unwrap();
        database
            .execute_unprepared("VACUUM ANALYZE generation_jobs")
            .await
            .unwrap();
    };
    // Each of a request of its own, which need not be there.
    run(jobs_of(
        "-n",
        100_000,
        ", status, completed_at",
        ", 'completed', now()",
    ))
    .await;
    run(EVENTS.to_owned()).await;
    run(jobs(1_000, "", "")).await;
    wire.take();
    let statements = live(&bench, &wire).await;
    // What was out of the queue and is back has left dead rows.
    run("SELECT 1".to_owned()).await;
    let claims = ["SELECT locked.id", "band AS MATERIALIZED"];
    let claims = claims.map(|words| statement(&statements, words));
    let mut before = Vec::new();
    for (number, claim) in claims.iter().enumerate() {
        before.push(buffers(&database, number, claim).await);
    }
    run(jobs(199_000, "", "")).await;
    run(jobs(100_000, ", parked", ", TRUE")).await;
    run(jobs(100_000, ", paused", ", TRUE")).await;
    run(PAUSES.to_owned()).await;
    run(
        "UPDATE generation_jobs SET run_after = now() + id * INTERVAL '1 second' WHERE parked"
            .to_owned(),
    )
    .await;
    for (number, (claim, before)) in claims.iter().zip(before).enumerate() {
        let after = buffers(&database, number + 10, claim).await;
        assert!(
            after < before * 13 / 10,
            "{after} pages instead of {before}: {claim}"
        );
    }
    assert_served(&database, &statements, 0).await;
}

/// What is prepared then is kept, and runs so when much waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_made_while_nothing_waits_has_the_same_indexes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    bench.request(1, 0).await;
    wire.take();
    let statements = live(&bench, &wire).await;
    let database = db.connect().await;
    let run = async |statements: &str| database.execute_unprepared(statements).await.unwrap();
    for setting in ["enable_seqscan", "jit"] {
        let show = Statement::from_string(DbBackend::Postgres, format!("SHOW {setting}"));
        let shown = bench.app.store.writer().query_one_raw(show).await.unwrap();
        let shown: String = shown.unwrap().try_get_by_index(0).unwrap();
        assert_eq!(shown, "off", "{setting}");
        run(&format!("SET {setting} = off")).await;
    }
    run("TRUNCATE generation_requests CASCADE").await;
    run("VACUUM ANALYZE").await;
    assert_served(&database, &statements, 0).await;
    run(&jobs(
        20_000,
        ", status, completed_at",
        ", 'completed', now()",
    ))
    .await;
    run("VACUUM ANALYZE").await;
    assert_served(&database, &statements, 100).await;
}

/// What PostgreSQL believes to be cheaper with a plan for its very values, it plans each time: that takes longer than to run it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_one_job_after_another_is_not_planned_each_time() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    bench.request(1, 0).await;
    let database = db.connect().await;
    let ended = ", status, completed_at";
    for statements in [
        &jobs(20_000, ended, ", 'completed', now()"),
        &jobs(200, "", ""),
        OF_MANY_REQUESTS,
        "VACUUM ANALYZE",
    ] {
        database.execute_unprepared(statements).await.unwrap();
    }
    for _ in 0..PLANNED_FIRST + 3 {
        bench.request(1, 0).await;
        let claimed = bench.claim(1).await.remove(0);
        bench.complete(&claimed).await.unwrap();
    }
    let planned = format!(
        "SELECT statement FROM pg_prepared_statements WHERE custom_plans > {PLANNED_FIRST} AND generic_plans = 0"
    );
    let planned = Statement::from_string(DbBackend::Postgres, planned);
    let planned = bench.app.store.writer().query_all_raw(planned).await;
    let text = |row: &QueryResult| row.try_get_by_index::<String>(0).unwrap();
    let planned: Vec<String> = planned.unwrap().iter().map(text).collect();
    assert!(planned.is_empty(), "{planned:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feature_with_a_limit_asks_is_served_by_indexes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    bench.request(2, 0).await;
    let acting = bench.app.acting(Actor::local());
    let limit = |draft: &mut FeatureDraft| draft.properties.max_concurrent_jobs = 1;
    let id = bench.feature_id;
    let limited = acting.update_feature(id, "", Checks::default(), false, false, limit);
    limited.await.unwrap();
    let claimed = bench.claim(2).await;
    assert_eq!(claimed.len(), 1);
    bench.complete(&claimed[0]).await.unwrap();
    let statements = wire.take();
    let database = db.connect().await;
    let run = async |statements: &str| database.execute_unprepared(statements).await.unwrap();
    run("SET enable_seqscan = off").await;
    run("SET jit = off").await;
    for (first, columns, values) in [
        (0, ", status, completed_at", ", 'completed', now()"),
        (10, ", paused", ", TRUE"),
        (20, "", ""),
    ] {
        for (number, (words, index)) in (first..).zip(SERVED_OF_LIMIT) {
            let plan = explain(&database, number, &statement(&statements, words)).await;
            assert!(plan.contains(index), "{words}:\n{plan}");
            assert!(!plan.contains("Seq Scan on generation_jobs"), "{plan}");
        }
        run(&jobs(20_000, columns, values)).await;
        run("VACUUM ANALYZE generation_jobs").await;
    }
}

/// `first`: the number of the first of the names under which they are prepared.
async fn assert_served(database: &DatabaseConnection, statements: &[String], first: usize) {
    for (number, (words, indexes)) in (first..).zip(SERVED) {
        let plan = explain(database, number, &statement(statements, words)).await;
        for index in indexes {
            assert!(plan.contains(index), "{words}: {index}\n{plan}");
        }
        for wrong in [
            "Seq Scan on generation_jobs",
            "idx_generation_jobs_priority_status",
        ] {
            assert!(!plan.contains(wrong), "{words}:\n{plan}");
        }
    }
}

/// Has a job go through its life, and returns what was asked for it.
async fn live(bench: &Bench, wire: &Wire) -> Vec<String> {
    bench.request(1, 0).await;
    let waiting = queue::waiting(bench.app.store.reader(), [1].into());
    assert!(waiting.await.unwrap()[&1] > 0);
    let claimed = bench.claim(1).await.remove(0);
    let (held, store, now) = (lease(&claimed), &bench.app.store, Some(bench.pass(0)));
    let beat = queue::heartbeat(store.writer(), &held, LEASE, Report::default(), now).await;
    assert!(beat.unwrap());
    let pause = overloaded(Duration::from_secs(1));
    bench.app.end_attempt(&held, &pause).await.unwrap().unwrap();
    bench.pass(2);
    assert_eq!(bench.app.unpark_due_jobs().await.unwrap(), None);
    let (wanted, drawing) = ([(Claim::Longest, 1)], drawing());
    let able = std::slice::from_ref(&drawing);
    let claimed = bench.app.claim("worker", &wanted, LEASE, able);
    assert_eq!(claimed.await.unwrap().concat().len(), 1);
    let read = [(1, 0)].into();
    let told = store::job_event::after(store.reader(), &read, 100).await;
    assert!(!told.unwrap().is_empty());
    let after = [(1, 0), (2, 0)].into();
    let standings = store::job::standings_after(store.reader(), &after, 100);
    assert!(!standings.await.unwrap()[&(1, 0)].is_empty());
    bench.pass(31);
    assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
    let failed = bench.app.fail_unclaimed_jobs(LONG).await;
    assert_eq!(failed.unwrap(), 0);
    let able = [(drawing, Ok(()))];
    bench.app.announce_capabilities(&able).await.unwrap();
    let waiting = bench.request(1, 0).await;
    let told = bench.app.outlooks(&waiting).await.unwrap();
    assert!(told.of(&waiting[0]).place.is_some());
    assert_eq!(bench.app.cancel_late_jobs().await.unwrap(), 0);
    let (part, none) = (QueuePart::Feature(bench.feature_id), Checks::default);
    let acting = bench.app.acting(Actor::local());
    acting.pause_queue(&part, "", none()).await.unwrap();
    assert!(bench.claim(1).await.is_empty());
    acting.resume_queue(&part, none()).await.unwrap();
    let claimed = bench.claim(1).await.remove(0);
    bench.complete(&claimed).await.unwrap();
    wire.take()
}

fn statement(statements: &[String], words: &str) -> String {
    let found = statements.iter().find(|text| text.contains(words));
    found
        .unwrap_or_else(|| panic!("{words}: {statements:#?}"))
        .clone()
}

/// Pages that a claim of ten jobs reads and writes, none of which is changed for good.
async fn buffers(database: &DatabaseConnection, number: usize, claim: &str) -> u64 {
    let run = async |statement: String| database.execute_unprepared(&statement).await.unwrap();
    run(format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE claim_{number} AS {claim}"
    ))
    .await;
    let mut pages = 0;
    // The first one reads the catalogue too.
    for _ in 0..2 {
        run("BEGIN".to_owned()).await;
        let explain = format!(
            "EXPLAIN (ANALYZE, BUFFERS) EXECUTE claim_{number}(NULL, 'worker', 'token', 30, 10, 'builtin')"
        );
        let explain = Statement::from_string(DbBackend::Postgres, explain);
        let lines = database.query_all_raw(explain).await.unwrap();
        let lines = lines
            .iter()
            .map(|line| line.try_get_by_index::<String>(0).unwrap());
        let told = lines
            .into_iter()
            .find(|line| line.trim().starts_with("Buffers: shared"));
        let told = told.expect("EXPLAIN tells of pages");
        let numbers = told
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("hit=").or(word.strip_prefix("read=")));
        pages = numbers.map(|number| number.parse::<u64>().unwrap()).sum();
        run("ROLLBACK".to_owned()).await;
    }
    pages
}
