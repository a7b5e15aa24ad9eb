//! Faults of the database that pass, or that an operator mends: they end no job that is finished.

use std::time::Duration;

use atelier::rpc::proto::{ErrorReason, JobStatus, ListFeaturesRequest};
use atelier::server::Role;
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionOptions};
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::bench::Bench;
use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::ledger::assert_balanced;
use crate::support::process::Process;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const AMPLE_LEASE: &str = "executor.lease=60s";
const LEDGER: &str = "billing.kind=ledger";

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_read_only_for_a_while_costs_no_job_and_no_attempt() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, media.path(), &[AMPLE_LEASE, LEDGER]).await;
    let script = Script::new(&["succeed"]).gated();
    let feature = server.priced_feature(7).await;
    server.give(20, "all").await;
    let job = submitted_job(&server, feature, &script).await;

    let operator = db.connect().await;
    set_read_only(&operator, &db, true).await;
    script.open_gate();
    server
        .until_logged("cannot record the end of an attempt yet")
        .await;
    let mut requests = server.requests();
    let refused = requests.create_request(scripted_request(feature, &script));
    let refused = within(refused).await.unwrap_err();
    of_status(&refused).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    assert!(
        refused.get_error_details().retry_info().is_some(),
        "{refused:?}"
    );
    let told = server.log();
    let told = told.lines().filter(|line| line.contains("CreateRequest"));
    let told: Vec<_> = told.filter(|line| !line.contains("call done")).collect();
    let [line] = &told[..] else {
        panic!("a refusal is one line: {told:?}")
    };
    assert!(
        line.contains("SQLSTATE 25006") && line.contains("call refused"),
        "{line}"
    );
    // What only reads works on.
    assert_eq!(server.job(job).await.status(), JobStatus::Processing);

    set_read_only(&operator, &db, false).await;
    assert_completed_at_once(&server, job, &script).await;
    let next = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    assert_eq!(
        server.ended(next.id).await.job.status(),
        JobStatus::Completed
    );
    assert_eq!(
        (server.balance().await, assert_balanced(&db).await),
        ((6, 0), 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_gets_no_session_that_began_while_the_database_took_no_writes() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let bench = Bench::at(&db.url, 8).await;
    let operator = db.connect().await;
    set_read_only(&operator, &db, true).await;
    let store = &bench.app.store;
    let read = || store.reader().execute_unprepared("SELECT pg_sleep(0.5)");
    // Those that were ended, and then as many as are asked for at once.
    join_all((0..4).map(|_| read())).await;
    for read in join_all((0..4).map(|_| read())).await {
        read.unwrap();
    }
    set_read_only(&operator, &db, false).await;
    let write = "UPDATE generation_features SET name = name";
    for written in join_all((0..6).map(|_| store.writer().execute_unprepared(write))).await {
        written.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_when_a_job_is_finished_is_waited_for() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let operator = db.connect().await;
    let role = format!("atelier_{}", uuid::Uuid::new_v4().simple());
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT CREATE, USAGE ON SCHEMA public TO {role}"),
    ] {
        operator.execute_unprepared(&statement).await.unwrap();
    }
    db.create_users().await;
    // The tables are the operator's, and the program may only use them.
    let migrated =
        crate::support::process::run(crate::support::process::atelier(&db, &["migrate", "up"]))
            .await;
    assert!(migrated.status.success(), "{migrated:?}");
    for statement in [
        format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"),
        format!("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"),
    ] {
        operator.execute_unprepared(&statement).await.unwrap();
    }
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username(&role).unwrap();
    let limited = TestDatabase::on_server(url.into());
    let media = tempfile::tempdir().unwrap();
    let settings = [AMPLE_LEASE, "database.migrate_on_start=false"];
    let server = Process::serve(&limited, media.path(), &settings).await;
    let script = Script::new(&["succeed"]).gated();
    let feature = server.scripted_feature().await;
    let job = submitted_job(&server, feature, &script).await;

    let revoke = format!("REVOKE INSERT ON generation_media FROM {role}");
    operator.execute_unprepared(&revoke).await.unwrap();
    script.open_gate();
    server
        .until_logged("permission denied for table generation_media")
        .await;
    assert_eq!(server.job(job).await.status(), JobStatus::Processing);
    let grant = format!("GRANT INSERT ON generation_media TO {role}");
    operator.execute_unprepared(&grant).await.unwrap();

    assert_completed_at_once(&server, job, &script).await;
    drop(server);
    for statement in [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")] {
        operator.execute_unprepared(&statement).await.unwrap();
    }
}

/// What a failover or a full disk does: new sessions take no writes, and the old ones are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_loses_to_others_when_a_job_is_finished_is_tried_again() {
    for lost in ["40001", "40P01"] {
        let db = TestDatabase::create(Backend::Postgres).await;
        let media = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, media.path(), &[AMPLE_LEASE, LEDGER]).await;
        let script = Script::new(&["succeed"]).gated();
        let feature = server.priced_feature(7).await;
        server.give(7, "all").await;
        // What a sequence counts stays counted when a transaction is rolled back.
        let trigger = format!(
            "CREATE SEQUENCE defeats; \
             CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
                 IF nextval('defeats') <= 3 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '{lost}'; END IF; \
                 RETURN NEW; END$$; \
             CREATE TRIGGER lose BEFORE INSERT ON generation_media FOR EACH ROW EXECUTE FUNCTION lose()"
        );
        let operator = db.connect().await;
        operator.execute_unprepared(&trigger).await.unwrap();
        let job = submitted_job(&server, feature, &script).await;
        script.open_gate();
        assert_completed_at_once(&server, job, &script).await;
        let trouble = "cannot record the end of an attempt yet";
        server.until_logged("attempt ended").await;
        let log = server.log();
        let told: Vec<Value> = log
            .lines()
            .filter(|line| line.contains(trouble))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [begin, end] = &told[..] else {
            panic!("it is told when it begins and when it is over: {log}");
        };
        assert_eq!(
            (&begin["level"], &end["level"]),
            (&"WARN".into(), &"INFO".into())
        );
        assert_eq!(end["fields"]["times"], 3);
        assert_eq!(
            (server.balance().await, assert_balanced(&db).await),
            ((0, 0), 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_while_nobody_can_take_the_job_is_not_told_as_another_workers() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, media.path(), &[]).await;
    let script = Script::new(&["succeed"]).gated();
    let feature = server.scripted_feature().await;
    submitted_job(&server, feature, &script).await;
    set_read_only(&db.connect().await, &db, true).await;
    server.until_logged("the lease was lost").await;
    let log = server.log();
    assert!(!log.contains("another worker has the job"), "{log}");
    assert!(
        log.contains("the end of this attempt is not recorded"),
        "{log}"
    );
}

on_both_databases! {
    async fn calls_are_told_what_hinders_a_database_that_is_there(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.database.max_connections = 1;
            config.database.acquire_timeout = Duration::from_secs(1);
        })
        .await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        for (code, words) in hindrances(&db) {
            hinder(&db, &server, code).await;
            let mut requests = server.requests();
            let refused = within(requests.create_request(scripted_request(feature, &script))).await;
            let status = refused.unwrap_err();
            of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
            assert_eq!(status.message(), words);
            assert!(status.get_error_details().retry_info().is_some(), "{status:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_which_no_connection_is_left_are_told_so() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_as(Role::Api, &db, |config| {
        config.database.max_connections = 1;
        config.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let store = &server.app().store;
    let _held = store.writer().begin(TransactionOptions::default()).await;
    let mut features = server.features();
    let refused = within(features.list_features(ListFeaturesRequest::default())).await;
    let status = refused.unwrap_err();
    of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    assert_eq!(
        status.message(),
        "all connections to the database are in use"
    );
}

/// What the database says, and what a caller is told.
fn hindrances(db: &TestDatabase) -> Vec<(&'static str, &'static str)> {
    match db.backend {
        Backend::Sqlite => vec![("8", "the database takes no writes right now")],
        Backend::Postgres => vec![
            ("25006", "the database takes no writes right now"),
            ("40001", "another call changed the same data at this moment"),
            ("42501", "the service lacks a right in the database"),
            ("53400", "the database is short of memory or room"),
            (
                "55P03",
                "others use what was asked for in the database for too long",
            ),
            ("57014", "the database took too long"),
        ],
    }
}

/// On SQLite the server's own connection may write no more; on PostgreSQL a trigger says the SQLSTATE.
async fn hinder(db: &TestDatabase, server: &TestServer, code: &str) {
    if db.backend == Backend::Sqlite {
        let writer = server.app().store.writer();
        let statement = "PRAGMA query_only = on";
        writer.execute_unprepared(statement).await.unwrap();
        return;
    }
    db.execute(&format!(
        "CREATE OR REPLACE FUNCTION hinder() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'hindered' USING ERRCODE = '{code}'; END$$;
         CREATE OR REPLACE TRIGGER hinder BEFORE INSERT ON generation_requests FOR EACH ROW EXECUTE FUNCTION hinder()"
    ))
    .await;
}

/// A job that a provider works at.
async fn submitted_job(server: &Process, feature: i64, script: &Script) -> i64 {
    let (_, jobs) = server.create(scripted_request(feature, script)).await;
    script.wait_until_submitted(1).await;
    jobs[0].id
}

async fn assert_completed_at_once(server: &Process, job: i64, script: &Script) {
    let ended = server.ended(job).await.job;
    let seen = (ended.status(), ended.attempt);
    assert_eq!(seen, (JobStatus::Completed, 1), "{}", server.log());
    assert_eq!(script.calls_of("submit").len(), 1);
}

pub(crate) async fn set_read_only(operator: &DatabaseConnection, db: &TestDatabase, on: bool) {
    let name = url::Url::parse(&db.url).unwrap().path()[1..].to_owned();
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    // The operator's own session stays as it is.
    operator.execute_unprepared(&read_only).await.unwrap();
    if on {
        let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        operator.execute_unprepared(end_sessions).await.unwrap();
    }
}
