//! What a use case leaves behind in the database: its work whole, or nothing, and no lock either way.

use atelier::domain::job::AttemptEnd;
use atelier::domain::{Caller, Checks, Error, JobCounts, JobStatus, RequestStatus, request_status};
use atelier::entity::job;
use atelier::store::queue::{self, Lease};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, Statement, TransactionTrait,
};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::server::within;

/// Often enough that a rollback which nobody waits for is overtaken.
const ROUNDS: usize = 200;

const STATUSES: [JobStatus; 5] = [
    JobStatus::Pending,
    JobStatus::Processing,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
];

const BEFORE: [(RequestStatus, &str); 4] = [
    (RequestStatus::Pending, "pending"),
    (RequestStatus::Completed, "completed"),
    (RequestStatus::Failed, "failed"),
    (RequestStatus::Cancelled, "cancelled"),
];

on_both_databases! {
    async fn a_refused_call_has_given_its_locks_back_when_it_returns(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let id = bench.request(1, 0).await[0].id;
        for round in 0..ROUNDS {
            let refused = bench.app.retry_job(Caller::TrustedService, id).await;
            assert!(matches!(refused, Err(Error::JobNotRetryable { .. })), "{refused:?}");
            let claimed = bench.claim(1).await;
            assert_eq!(claimed.len(), 1, "round {round}: the job was passed over");
            let lease = Lease { job_id: id, token: claimed[0].lease_token.clone().unwrap() };
            let back = AttemptEnd::HandBack { keep_task: false };
            bench.app.end_attempt(&lease, &back).await.unwrap().unwrap();
        }
    }

    async fn the_status_of_a_request_is_what_the_rule_makes_of_its_jobs(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let admin = db.connect().await;
        let mut checked = 0;
        for present in 0..1_u32 << STATUSES.len() {
            let statuses = STATUSES.iter().enumerate().filter(|(bit, _)| present & (1 << bit) != 0);
            let statuses: Vec<JobStatus> = statuses.map(|(_, status)| *status).collect();
            let jobs = bench.request(i32::try_from(statuses.len()).unwrap().max(1), 0).await;
            let request_id = jobs[0].request_id;
            let mut counts = JobCounts::default();
            for (job, status) in jobs.iter().zip(&statuses) {
                set_status(&admin, job.id, *status).await;
                counts.add(*status, 1);
            }
            if statuses.is_empty() {
                run(&admin, &format!("UPDATE generation_jobs SET superseded_by = id WHERE request_id = {request_id}")).await;
            }
            for (before, status) in BEFORE {
                run(&admin, &format!("UPDATE generation_requests SET status = '{status}' WHERE id = {request_id}")).await;
                let refreshed = bench.app.store.write(async |tx| {
                    queue::refresh_requests(tx, [request_id], None).await
                });
                refreshed.await.unwrap();
                let expected = request_status(counts, before);
                assert_eq!(bench.request_status(request_id).await, expected, "{statuses:?} after {before:?}");
                checked += 1;
            }
        }
        assert_eq!(checked, 128);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_full_disk_is_there() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let bench = Bench::new(&db).await;
    let limit = async |pages: u64| {
        // Of the connection that writes, and for as long as it lives.
        let limit = format!("PRAGMA max_page_count = {pages}");
        let writer = bench.app.store.writer();
        writer.execute_unprepared(&limit).await.unwrap();
    };
    let template_id = bench.template().await;
    // Rows of one statement each, for which SQLite gives the whole transaction up and not only the statement.
    let mut viewers = 1..;
    for _ in 0..2 {
        limit(count_pages(&db).await).await;
        let refused = loop {
            let (caller, user_id) = (Caller::TrustedService, viewers.next().unwrap());
            let viewed =
                bench
                    .app
                    .record_template_view(caller, template_id, user_id, Checks::default());
            if let Err(error) = viewed.await {
                break error;
            }
        };
        assert!(matches!(refused, Error::DatabaseFull(_)), "{refused:?}");
    }
    limit(u64::from(u32::MAX) / 4).await;
    let mut acknowledged = 0;
    for _ in 0..10 {
        acknowledged += bench.request(1, 0).await.len();
    }
    // Over a connection of its own: what only the server's sees is not written.
    assert_eq!(count_jobs(&db).await, acknowledged);
    drop(bench);
    assert_eq!(count_jobs(&db).await, acknowledged);
}

async fn count_pages(db: &TestDatabase) -> u64 {
    let connection = db.connect().await;
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count");
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    u64::try_from(row.try_get_by_index::<i64>(0).unwrap()).unwrap()
}

async fn count_jobs(db: &TestDatabase) -> usize {
    let jobs = job::Entity::find().count(&db.connect().await).await;
    usize::try_from(jobs.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_no_request_that_somebody_holds_and_takes_the_others() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let bench = Bench::new(&db).await;
    let held = bench.request(2, 9).await;
    let free = bench.request(1, 0).await;
    let frozen = db.connect().await.begin().await.unwrap();
    let lock = format!(
        "SELECT id FROM generation_requests WHERE id = {} FOR UPDATE",
        held[0].request_id
    );
    frozen.execute_unprepared(&lock).await.unwrap();

    let claimed = within(bench.claim(3)).await;
    let ids: Vec<i64> = claimed.iter().map(|job| job.id).collect();
    assert_eq!(ids, [free[0].id]);
    frozen.rollback().await.unwrap();
    assert_eq!(bench.claim(3).await.len(), 2);
}

async fn set_status(db: &impl ConnectionTrait, job_id: i64, status: JobStatus) {
    let ended = status.is_terminal();
    let (now, lease) = ("'2027-01-01T00:00:00.000+00:00'", "'x'");
    let set = |column: &str, value: &str, holds: bool| {
        format!(", {column} = {}", if holds { value } else { "NULL" })
    };
    let processing = status == JobStatus::Processing;
    let statement = format!(
        "UPDATE generation_jobs SET status = '{}'{}{}{}{}{} WHERE id = {job_id}",
        status.as_str(),
        set("completed_at", now, ended),
        set("started_at", now, processing),
        set("lease_token", lease, processing),
        set("lease_expires_at", now, processing),
        set("error_code", "'INTERNAL'", status == JobStatus::Failed),
    );
    run(db, &statement).await;
}

async fn run(db: &impl ConnectionTrait, statement: &str) {
    let backend: DbBackend = db.get_database_backend();
    db.execute_raw(Statement::from_string(backend, statement))
        .await
        .unwrap();
}
