//! The program and its connections to PostgreSQL: a server that comes late, goes away, or has few to give.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use atelier::domain::with_causes;
use atelier::rpc::proto::{ErrorReason, GetFeatureRequest, ListFeaturesRequest};
use atelier::server::{Role, Server};
use atelier::store::Store;
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionOptions, TransactionTrait};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::client::{Client, scripted_request};
use crate::support::database::{Backend, TestDatabase};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, atelier, refused, run};
use crate::support::proxy::TcpProxy;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, configuration, within};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What a call may take that does not wait for a connection.
const AT_ONCE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_a_database_that_is_not_there_yet() {
    let mut cluster = Cluster::with("").await;
    cluster.tell("stop");
    let db = TestDatabase::on_server(cluster.url());
    let mut command = atelier(&db, &["serve", "--listen", "127.0.0.1:0"]);
    command.args([
        "--set",
        "database.connect_timeout=10m",
        "--set",
        "log.format=text",
        "--set",
        "identity.provision_users=true",
    ]);
    let media = tempfile::tempdir().unwrap();
    command.args([
        "--set",
        &format!("storage.folder={}", media.path().display()),
    ]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let (output, log) = (
        child.0.stdout.take().unwrap(),
        child.0.stderr.take().unwrap(),
    );

    let lines = within(tokio::task::spawn_blocking(move || {
        let mut log = BufReader::new(log).lines();
        let waiting = log.find(|line| line.as_ref().unwrap().contains("waiting for the database"));
        let waiting = waiting.unwrap().unwrap();
        assert!(waiting.contains("Connection refused"), "{waiting}");
        cluster.tell("start");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on"), "{line}");
        let rest = log.map(Result::unwrap);
        let until_started = rest
            .take_while(|line| !line.contains("started"))
            .collect::<Vec<_>>();
        drop(cluster);
        until_started
    }))
    .await
    .unwrap();
    let waited = lines
        .iter()
        .filter(|line| line.contains("waiting for the database"));
    assert_eq!(waited.count(), 0, "told more than once: {lines:?}");
}

#[tokio::test]
async fn what_does_not_pass_by_waiting_fails_a_start_at_once() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_path("no_such_database");
    let mut command = atelier(&TestDatabase::on_server(url.into()), &["serve"]);
    command.args(["--set", "database.connect_timeout=10m"]);
    let output = run(command).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("no_such_database\" does not exist"),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_fails_a_start_at_once_and_is_not_told() {
    let mut cluster = Cluster::with("").await;
    cluster.reconfigure(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256",
        "",
    );
    let operator = TestDatabase::on_server(cluster.url());
    operator
        .execute("CREATE ROLE ann LOGIN PASSWORD 'r1ght'")
        .await;
    let as_ann = |password| {
        let url = format!("postgres://ann:{password}@127.0.0.1:{}", cluster.port());
        TestDatabase::on_server(format!("{url}/postgres"))
    };
    let status = run(atelier(&as_ann("r1ght"), &["migrate", "status"])).await;
    assert_eq!(status.status.code(), Some(3), "{status:?}");
    for arguments in [&["serve"][..], &["migrate", "up"], &["storage", "status"]] {
        let mut command = atelier(&as_ann("wr0ng"), arguments);
        command.args(["--set", "database.connect_timeout=10m"]);
        command.args(["--set", "log.filter=trace"]);
        let output = run(command).await;
        refused(&output, &["password authentication failed for user"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for word in ["wr0ng", "waiting for the database"] {
            assert!(!told.contains(word), "{word}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_every_connection_that_it_needs() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let role = format!("test_few_{}", uuid::Uuid::new_v4().simple());
    db.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 3; GRANT ALL ON SCHEMA public TO {role}"
    ))
    .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("secret")).unwrap();
    let few = TestDatabase::on_server(url.into());
    let held = [few.connect().await, few.connect().await];
    let media = tempfile::tempdir().unwrap();
    let start = |patience| {
        let mut config = configuration(&few, media.path());
        config.database.connect_timeout = patience;
        Server::start(config, Role::Api)
    };
    let refused = within(start(Duration::from_secs(1))).await;
    let refusal = with_causes(&refused.err().unwrap());
    for words in [
        "database.connect_timeout",
        "too many connections for role",
        "SQLSTATE 53300",
    ] {
        assert!(refusal.contains(words), "{refusal}");
    }

    let starting = tokio::spawn(start(DEADLINE));
    let attempt = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'atelier api%'";
    within(async {
        while db.texts(attempt).await.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    for connection in held {
        connection.close().await.unwrap();
    }
    let server = within(starting).await.unwrap().unwrap();
    within(server.hand_back()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_wants_more_than_the_server_gives_makes_do_with_what_it_gets() {
    let cluster = Cluster::with("max_connections = 8\nsuperuser_reserved_connections = 0").await;
    let db = TestDatabase::on_server(cluster.url());
    let media = tempfile::tempdir().unwrap();
    // Before the server, which may take all the others.
    let lock = db.connect().await;
    let server = Process::serve(&db, media.path(), &["database.max_connections=40"]).await;
    let feature = server.scripted_feature().await;

    // Each call holds its connection for a while, so that all that there are are in use.
    let held = lock.begin().await.unwrap();
    let exclusive = "LOCK TABLE generation_features IN ACCESS EXCLUSIVE MODE";
    held.execute_unprepared(exclusive).await.unwrap();
    let calls = (0..100).map(|_| {
        let mut features = server.features();
        tokio::spawn(async move {
            features
                .get_feature(GetFeatureRequest {
                    id: feature,
                    ..Default::default()
                })
                .await
        })
    });
    let calls: Vec<_> = calls.collect();
    server.until_logged("cannot open more connections").await;
    held.rollback().await.unwrap();
    for call in within(join_all(calls)).await {
        call.unwrap().unwrap();
    }
    let log = server.log();
    assert!(log.contains("too many clients already"), "{log}");
    assert_eq!(
        log.matches("cannot open more connections").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("too many clients").count(), 1, "{log}");
    assert!(log.contains("SQLSTATE 53300"), "{log}");
    assert!(!log.contains("at line"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_ends_is_told_without_a_line_of_its_source() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, media.path(), &[]).await;
    let admin = db.connect().await;
    let held = admin.begin().await.unwrap();
    let exclusive = "LOCK TABLE generation_features IN ACCESS EXCLUSIVE MODE";
    held.execute_unprepared(exclusive).await.unwrap();
    let waiting = tokio::spawn({
        let mut features = server.features();
        async move { features.list_features(ListFeaturesRequest::default()).await }
    });
    let end = "SELECT CAST(pg_terminate_backend(pid) AS text) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    within(async {
        while db.texts(end).await.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let status = within(waiting).await.unwrap().unwrap_err();
    of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    held.rollback().await.unwrap();
    list(&server).await.unwrap();
    let log = server.log();
    assert!(
        log.contains("due to administrator command (SQLSTATE 57P01"),
        "{log}"
    );
    assert!(!log.contains("at line"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_at_once_while_the_database_is_away_and_work_soon_after_it_is_back() {
    let mut cluster = Cluster::with("synchronous_commit = on").await;
    let db = TestDatabase::on_server(cluster.url());
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, media.path(), &[]).await;
    let script = Script::new(&["succeed"]);
    let feature = server.scripted_feature().await;
    let listening = "SELECT CAST(pid AS text) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    within(async {
        while db.texts(listening).await.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;

    cluster.tell("stop");
    for _ in 0..20 {
        let asked = Instant::now();
        let status = list(&server).await.unwrap_err();
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
        assert!(
            status.get_error_details().retry_info().is_some(),
            "{status:?}"
        );
    }
    server.until_logged("the database is away").await;
    server
        .until_logged("lost the connection to the other replicas")
        .await;

    cluster.tell("start");
    let back = Instant::now();
    while list(&server).await.is_err() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    assert!(back.elapsed() < AT_ONCE, "{:?}", back.elapsed());
    let job = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    assert_eq!(server.ended(job.id).await.code(), "");
    let log = server.log();
    assert_eq!(log.matches("the database is away").count(), 1, "{log}");
    assert_eq!(log.matches("the database is back").count(), 1, "{log}");
    let refused = log.matches("Connection refused").count();
    assert!(refused < 5, "the cause was logged {refused} times: {log}");
    assert!(!log.contains("pool timed out"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_known_to_be_away_and_calls_under_way_end() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut url = url::Url::parse(&db.url).unwrap();
    let server = format!("http://{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = TcpProxy::start(&server, None).await;
    url.set_port(Some(proxy.port())).unwrap();
    let reached = TestDatabase::on_server(url.into());
    let media = tempfile::tempdir().unwrap();
    let api = Process::serve(&reached, media.path(), &[]).await;
    list(&api).await.unwrap();

    proxy.set_silent(true);
    let under_way = (0..40).map(|_| list(&api));
    for outcome in within(join_all(under_way)).await {
        of_status(&outcome.unwrap_err()).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    }
    let asked = Instant::now();
    list(&api).await.unwrap_err();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );

    proxy.set_silent(false);
    within(async {
        while list(&api).await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_only_slow_is_not_taken_for_one_that_is_away() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let store = open(&db, |config| {
        config.database.max_connections = 2;
        config.database.acquire_timeout = Duration::from_secs(60);
    })
    .await;
    let slow = (0..4).map(|_| store.writer().execute_unprepared("SELECT pg_sleep(7)"));
    for outcome in within(join_all(slow)).await {
        outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_say_whose_they_are() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let _api = TestServer::start_as(Role::Api, &db, |_| ()).await;
    let _worker = TestServer::start_as(Role::Worker, &db, |_| ()).await;
    let connection = db.connect().await;
    let query = "SELECT DISTINCT split_part(application_name, ' ', 2) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name LIKE 'atelier % %' ORDER BY 1";
    // The worker connects when it looks for work.
    within(async {
        loop {
            let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, query));
            let rows = rows.await.unwrap();
            let roles = rows
                .iter()
                .map(|row| row.try_get_by_index::<String>(0).unwrap());
            if roles.collect::<Vec<_>>() == ["api", "worker"] {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_or_a_statement_that_takes_too_long_is_given_up() {
    let db = TestDatabase::create(Backend::Postgres).await;
    for (lock, statement) in [(1, 600), (600, 1)] {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.database.lock_timeout = Duration::from_secs(lock);
            config.database.statement_timeout = Duration::from_secs(statement);
        })
        .await;
        let connection = db.connect().await;
        let held = connection.begin().await.unwrap();
        let exclusive = "LOCK TABLE generation_features IN ACCESS EXCLUSIVE MODE";
        held.execute_unprepared(exclusive).await.unwrap();
        let status = list(&server).await.unwrap_err();
        of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
        held.rollback().await.unwrap();
        list(&server).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_process_has_gone_silent_gives_its_locks_back() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let store = open(&db, |config| {
        config.database.idle_in_transaction_timeout = Duration::from_secs(1);
    })
    .await;
    let write = "UPDATE atelier_locked SET id = id";
    let create = "CREATE TABLE atelier_locked AS SELECT 1 AS id";
    store.writer().execute_unprepared(create).await.unwrap();
    let frozen = store
        .writer()
        .begin(TransactionOptions::default())
        .await
        .unwrap();
    frozen.execute_unprepared(write).await.unwrap();
    within(store.writer().execute_unprepared(write))
        .await
        .unwrap();
    let failed = atelier::domain::Error::from(frozen.commit().await.unwrap_err());
    assert!(
        matches!(failed, atelier::domain::Error::DatabaseUnavailable(_)),
        "{failed:?}"
    );
    store.writer().execute_unprepared(write).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_read_what_is_committed_whatever_the_servers_default_is() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let connection = db.connect().await;
    let name = url::Url::parse(&db.url).unwrap().path()[1..].to_owned();
    let strict =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    connection.execute_unprepared(&strict).await.unwrap();

    let server = TestServer::start(&db).await;
    let feature = server.scripted_feature().await;
    let created = (0..20).map(|_| {
        let (client, script) = (Client::clone(&server), Script::new(&["succeed"]));
        async move {
            let job = client
                .create(scripted_request(feature, &script))
                .await
                .1
                .remove(0);
            assert_eq!(client.ended(job.id).await.code(), "");
        }
    });
    within(join_all(created)).await;

    let store = open(&db, |_| ()).await;
    let transaction = store
        .writer()
        .begin(TransactionOptions::default())
        .await
        .unwrap();
    let level = Statement::from_string(DbBackend::Postgres, "SHOW transaction_isolation");
    let level = transaction.query_one_raw(level).await.unwrap().unwrap();
    assert_eq!(
        level.try_get_by_index::<String>(0).unwrap(),
        "read committed"
    );
}

async fn list(client: &Client) -> Result<(), Status> {
    let mut features = client.features();
    let listed = within(features.list_features(ListFeaturesRequest::default())).await;
    listed.map(drop)
}

async fn open(db: &TestDatabase, change: impl FnOnce(&mut atelier::config::Config)) -> Store {
    let mut config = configuration(db, std::path::Path::new("/nowhere"));
    change(&mut config);
    Store::open(&config.database, "a test").await.unwrap()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
