//! What probes are told of a process whose parts fail one by one.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use atelier::app::{App, Pulse, Removal, RemovalMode};
use atelier::config::Config;
use atelier::domain::MediaType;
use atelier::executor::{Executor, Leases, OwnPresence, Settings, Spool};
use atelier::media::Limits;
use atelier::rpc::proto::{ErrorReason, ListFeaturesRequest};
use atelier::rpc::proto::{media_service_server, request_service_server};
use atelier::server::{Role, Server, open_app};
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::api::grpc_web;
use crate::api::reflection::{Database, wait_for, watch_health};
use crate::support::bucket::{
    BUCKET, keep_media_in, serve_bucket, serve_bucket_below, serve_bucket_refusing,
};
use crate::support::client::{Client, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, atelier, run};
use crate::support::proxy::TcpProxy;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, configuration, within};

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const BUSY: &str =
    "degraded\ndatabase_busy: the database is there, but keeps the service waiting\n";
const PAGE: &str = "https://app.example.com";
const MEDIA: &str = media_service_server::SERVICE_NAME;
pub(crate) const REQUESTS: &str = request_service_server::SERVICE_NAME;

on_both_databases! {
    async fn a_healthy_server_says_so_everywhere(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for path in ["livez", "readyz", "readyz?strict", "healthz"] {
            let answer = ask(&server.url(), path).await;
            assert_eq!(answer, (StatusCode::OK, "ok\n".to_owned()), "{path}");
        }
    }

    async fn a_dropped_table_makes_a_server_unready_and_leaves_it_alive(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut health = watch_health(&server, "").await;
        wait_for(&mut health, ServingStatus::Serving).await;
        let drop = "DROP TABLE generation_template_views";
        db.connect().await.execute_unprepared(drop).await.unwrap();
        wait_for(&mut health, ServingStatus::NotServing).await;
        let (status, words) = ask(&server.url(), "readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(words, "unavailable\nschema_unknown: the database's schema is not the one that this program knows\n");
        assert_eq!(ask(&server.url(), "livez").await.0, StatusCode::OK);
    }

    async fn every_table_and_column_that_is_gone_is_noticed(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let operator = db.connect().await;
        let renamed = async |what: &str, from: &str, to: &str| {
            let rename = format!("ALTER TABLE {what} {from} TO {to}");
            operator.execute_unprepared(&rename).await.unwrap();
        };
        for (table, column) in tables_and_columns(&db).await {
            renamed(&table, &format!("RENAME COLUMN {column}"), "aside").await;
            assert!(server.app().store.probe_schema().await.is_err(), "{table}.{column}");
            renamed(&table, "RENAME COLUMN aside", &column).await;
            renamed(&table, "RENAME", "aside").await;
            assert!(server.app().store.probe_schema().await.is_err(), "{table}");
            renamed("aside", "RENAME", &table).await;
            assert!(server.app().store.probe_schema().await.is_ok(), "{table}.{column}");
        }
    }

    async fn without_the_table_of_users_only_the_request_service_is_away(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        db.execute("ALTER TABLE users RENAME TO aside").await;
        degrades(&server, "database_unwritable", REQUESTS).await;
        db.execute("ALTER TABLE aside RENAME TO users").await;
        recovers(&server, REQUESTS).await;
    }

    async fn a_folder_that_is_gone_takes_only_the_media_service_away_until_it_is_back(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let folder = server.media_folder().to_owned();
        let aside = folder.with_extension("aside");
        std::fs::rename(&folder, &aside).unwrap();
        degrades(&server, "storage_away", MEDIA).await;
        std::fs::rename(&aside, &folder).unwrap();
        recovers(&server, MEDIA).await;
    }

    async fn a_disk_that_refuses_writes_takes_only_the_request_service_away(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut clients = fill(&db, &server).await;
        tokio::select! {
            () = degrades(&server, "database_full", REQUESTS) => {}
            // The server forgets what it has not met for a while, so a client that has given up tells why.
            Some(ended) = clients.join_next() => ended.unwrap(),
        }
    }

    async fn a_worker_answers_probes_and_only_them_on_an_address_of_its_own(db: TestDatabase) {
        let worker = TestServer::start_as(Role::Worker, &db, |config| {
            config.health.listen = Some("0.0.0.0:0".parse().unwrap());
        }).await;
        let url = worker.health_url().replace("0.0.0.0", "127.0.0.1");
        assert_eq!(ask(&url, "readyz").await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(ask(&url, "media/x").await.0, StatusCode::NOT_FOUND);
        let client = Client::connect(&url).await;
        assert!(client.features().list_features(ListFeaturesRequest::default()).await.is_err());
        let mut health = watch_health(&client, "").await;
        wait_for(&mut health, ServingStatus::Serving).await;
        let probe = async || run(atelier(&db, &["health", "--url", &url])).await;
        let answer = probe().await;
        assert_eq!((answer.status.code(), answer.stdout), (Some(0), b"ok\n".to_vec()));

        let drop = "DROP TABLE generation_template_views";
        db.connect().await.execute_unprepared(drop).await.unwrap();
        wait_for(&mut health, ServingStatus::NotServing).await;
        let answer = probe().await;
        assert_eq!(answer.status.code(), Some(1));
        let words = String::from_utf8(answer.stdout).unwrap();
        assert!(words.starts_with("unavailable\nschema_unknown: "), "{words}");
        worker.stop().await;
        let answer = probe().await;
        assert_eq!(answer.status.code(), Some(1));
        let words = String::from_utf8(answer.stderr).unwrap();
        assert!(words.contains("does not answer") && words.contains(&url), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_its_database_says_on_every_port_that_it_lives_and_starts() {
    let mut cluster = Cluster::with("").await;
    cluster.tell("stop");
    let db = TestDatabase::on_server(cluster.url());
    let media = tempfile::tempdir().unwrap();
    let mut config = configuration(&db, media.path());
    config.server.listen = free_address();
    config.server.cors_origins = vec![PAGE.to_owned()];
    config.health.listen = Some(free_address());
    config.database.connect_timeout = DEADLINE;
    let urls = [config.server.listen, config.health.listen.unwrap()];
    let urls = urls.map(|address| format!("http://{address}"));
    let starting = tokio::spawn(Server::start(config, Role::All));
    for url in &urls {
        within(async {
            while browser().get(format!("{url}/livez")).send().await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        assert_eq!(ask(url, "livez").await, (StatusCode::OK, "ok\n".to_owned()));
        let (status, words) = ask(url, "readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(words.starts_with("unavailable\nstarting: "), "{words}");
        let probe = run(atelier(&db, &["health", "--url", url])).await;
        assert_eq!(probe.status.code(), Some(1), "{probe:?}");
        let client = Client::connect(url).await;
        assert_eq!(check(&client, "").await, ServingStatus::NotServing);
        let mut features = client.features();
        let refused = features.list_features(ListFeaturesRequest::default());
        let refusal = of_status(&refused.await.unwrap_err());
        refusal.is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
        for format in [grpc_web::BINARY, grpc_web::TEXT] {
            let asked = ListFeaturesRequest::default();
            let mut stream =
                grpc_web::call(url, "FeatureService/ListFeatures", format, &asked).await;
            assert_eq!(stream.status().await, "14");
            let told = stream.trailer("grpc-message");
            assert_eq!(told.replace("%20", " "), "the server is starting");
        }
    }
    assert_eq!(
        grpc_web::allowed_origin(&urls[0], PAGE).await.as_deref(),
        Some(PAGE)
    );

    cluster.tell("start");
    let server = within(starting).await.unwrap().unwrap();
    for url in &urls {
        assert_eq!(
            ask(url, "readyz").await,
            (StatusCode::OK, "ok\n".to_owned())
        );
    }
    let client = Client::connect(&urls[0]).await;
    let mut features = client.features();
    let listed = features.list_features(ListFeaturesRequest::default());
    listed.await.unwrap();
    within(server.hand_back()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_bucket_takes_only_the_media_service_away() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = tempfile::tempdir().unwrap();
    let bucket = serve_bucket(&root).await;
    let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
    std::fs::rename(root.path().join(BUCKET), root.path().join("lost")).unwrap();
    degrades(&server, "storage_away", MEDIA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_can_be_listed_and_takes_nothing_is_told_while_no_job_is_begun() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = tempfile::tempdir().unwrap();
    let (bucket, refusal) = serve_bucket_refusing(&root, "").await;
    refusal.lift();
    let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
    refusal.impose();
    let script = Script::new(&["succeed"]);
    let job = server.create_scripted(&script).await;
    degrades(&server, "storage_away", MEDIA).await;
    refusal.lift();
    recovers(&server, MEDIA).await;
    server.completed(job.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_closed_but_for_the_prefix_is_healthy_and_serves() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = tempfile::tempdir().unwrap();
    let bucket = serve_bucket_below(&root, "staging/media").await;
    let server = TestServer::start_with(&db, |config| {
        keep_media_in(&bucket, config);
        "staging/media".clone_into(&mut config.storage.prefix);
    })
    .await;
    // Whoever looks has been looked at before the start is over.
    let answer = ask(&server.url(), "readyz?strict").await;
    assert_eq!(answer, (StatusCode::OK, "ok\n".to_owned()));
    let script = Script::new(&["succeed"]);
    let feature = server.scripted_feature().await;
    let media = server
        .made(scripted_request(feature, &script))
        .await
        .media();
    assert!(!server.content_of(&media[0]).await.is_empty());
    let all = Removal {
        age: Duration::ZERO,
        mode: RemovalMode::On,
        share: None,
    };
    let swept = server.app().sweep_storage(&all).await.unwrap();
    assert_eq!((swept.objects, swept.withheld), (1, None));
    let elsewhere = serve_bucket_below(&tempfile::tempdir().unwrap(), "production").await;
    let fresh = TestDatabase::create(Backend::Sqlite).await;
    let mut config = configuration(&fresh, root.path());
    keep_media_in(&elsewhere, &mut config);
    "staging/media".clone_into(&mut config.storage.prefix);
    assert!(Server::start(config, Role::Api).await.is_err());
}

on_both_databases! {
    async fn the_claim_loop_gives_no_sign_of_life_while_a_claim_does_not_end(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let config = configuration(&db, media.path());
        let mut app = open_app(&config).await.unwrap();
        app.providers = app.providers.clone().only(&["scripted".to_owned()]);
        let pulse = Pulse::start();
        let executor = executor(&config, &app, &pulse);
        let turns = config.executor.poll_interval * 20;
        let age_reaches = async |old: bool| {
            within(async {
                while (pulse.age() > turns) != old {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            })
            .await;
        };
        let _running = AbortOnDropHandle::new(tokio::spawn(executor.run()));
        let other = db.connect().await;
        other.execute_unprepared(match db.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN; LOCK TABLE generation_jobs IN EXCLUSIVE MODE",
        }).await.unwrap();
        age_reaches(true).await;
        other.execute_unprepared("ROLLBACK").await.unwrap();
        age_reaches(false).await;
    }
}

/// An executor that shows its pulse.
fn executor(config: &Config, app: &App, pulse: &Pulse) -> Executor {
    let settings = &config.executor;
    let (hour, spool) = (Duration::from_secs(3600), &settings.spool_folder);
    Executor {
        app: app.clone(),
        settings: Arc::new(Settings {
            worker_id: "a test".to_owned(),
            host: "here".to_owned(),
            role: "worker",
            slots: 1,
            total_slots: 0,
            categories: vec![MediaType::Image],
            unclaimed_timeout: hour,
            poll_interval: settings.poll_interval,
            aging: settings.aging,
            lease: hour,
            heartbeat: hour,
            job_timeout: hour,
            stopping_time: hour,
            upkeep_interval: hour,
            removal: Removal {
                age: hour,
                mode: RemovalMode::Off,
                share: None,
            },
            probe_interval: hour,
            fold_interval: hour,
            retention_interval: hour,
            limits: Limits {
                max_bytes: config.limits.output_bytes,
                max_pixels: config.limits.output_pixels,
                max_frames: config.limits.output_frames,
                max_length: config.limits.output_duration,
                max_duration: config.limits.decode_time,
            },
            conversion_time: hour,
        }),
        spool: Spool::open(spool, 1 << 20, 1 << 20).unwrap(),
        pulse: pulse.clone(),
        leases: Leases::default(),
        stop: CancellationToken::new(),
        cancellations: TaskTracker::new(),
        presence: OwnPresence::begin(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_takes_only_the_request_service_away() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start(&db).await;
    Database::of(&db).await.make_read_only().await;
    degrades(&server, "database_read_only", REQUESTS).await;
    let mut features = server.features();
    let listed = features.list_features(ListFeaturesRequest::default());
    assert!(listed.await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_on_a_database_that_is_read_only_for_a_while() {
    let db = TestDatabase::create(Backend::Postgres).await;
    TestServer::start(&db).await.stop().await;
    Database::of(&db).await.make_read_only().await;
    for role in [Role::Api, Role::All] {
        let server = TestServer::start_as(role, &db, |_| ()).await;
        degrades(&server, "database_read_only", REQUESTS).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_for_long_makes_a_server_degraded_and_not_unready() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_api(&db).await;
    let operator = db.connect().await;
    let held = operator.begin().await.unwrap();
    let lock = "LOCK TABLE generation_requests IN ACCESS EXCLUSIVE MODE";
    held.execute_unprepared(lock).await.unwrap();
    assert_eq!(until_it_ails(&server.url()).await, BUSY);
    held.rollback().await.unwrap();
    until_it_is_well(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_process_locks_for_long_is_told_as_that_to_probes_and_to_callers() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let media = tempfile::tempdir().unwrap();
    let settings = ["database.acquire_timeout=2s"];
    let server = Process::serve(&db, media.path(), &settings).await;
    let feature = server.scripted_feature().await;
    let script = Script::new(&[]);
    let other = db.connect().await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let mut requests = server.requests();
    let refused = within(requests.create_request(scripted_request(feature, &script))).await;
    let status = refused.unwrap_err();
    of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    let locked = "another process holds the database's lock";
    assert_eq!(status.message(), locked);
    let url = format!("http://{}", server.address());
    assert_eq!(until_it_ails(&url).await, BUSY);
    let cause = format!("\"cause\":\"{locked}: nothing could be written for ");
    server.until_logged(&cause).await;
    other.execute_unprepared("ROLLBACK").await.unwrap();
    until_it_is_well(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_have_all_connections_make_a_server_degraded_and_not_unready() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_as(Role::Api, &db, |config| {
        config.database.max_connections = 2;
        config.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let busy = async || {
        let sleep = "SELECT pg_sleep(60)";
        let _ = server.app().store.reader().execute_unprepared(sleep).await;
    };
    let ails = async { assert_eq!(until_it_ails(&server.url()).await, BUSY) };
    tokio::select! {
        () = async { tokio::join!(busy(), busy()); } => panic!("they were cut off"),
        () = ails => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_away() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut url = url::Url::parse(&db.url).unwrap();
    let address = format!("http://{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = TcpProxy::start(&address, None).await;
    url.set_port(Some(proxy.port())).unwrap();
    let server = TestServer::start_with(&db, |config| {
        config.database.url = url.as_str().parse().unwrap();
    })
    .await;
    proxy.set_silent(true);
    let mut health = watch_health(&server, "").await;
    wait_for(&mut health, ServingStatus::NotServing).await;
    let (status, words) = ask(&server.url(), "readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(words.starts_with("unavailable\ndatabase_away: "), "{words}");
    proxy.set_silent(false);
    wait_for(&mut health, ServingStatus::Serving).await;
}

/// The first answer of `/readyz` that is not fine; it must stay among those that may be called.
async fn until_it_ails(url: &str) -> String {
    within(async {
        loop {
            let (status, words) = ask(url, "readyz").await;
            assert_eq!(status, StatusCode::OK, "{words}");
            if words != "ok\n" {
                return words;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await
}

async fn until_it_is_well(url: &str) {
    within(async {
        while ask(url, "readyz?strict").await.0 != StatusCode::OK {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// What the database has, other than the users.
async fn tables_and_columns(db: &TestDatabase) -> Vec<(String, String)> {
    let names = match db.backend {
        Backend::Sqlite => {
            "SELECT tables.name || ' ' || columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name <> 'users' AND tables.name NOT LIKE 'sqlite%'"
        }
        Backend::Postgres => {
            "SELECT table_name || ' ' || column_name FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> 'users'"
        }
    };
    let names = db.texts(names).await;
    assert!(names.len() > 100, "{names:?}");
    let pairs = names.iter().map(|pair| pair.split_once(' ').unwrap());
    pairs
        .map(|(table, column)| (table.to_owned(), column.to_owned()))
        .collect()
}

/// Waits until the server says that it is degraded by `name`, which fails only the strict probes and `service`.
pub(crate) async fn degrades(server: &TestServer, name: &str, service: &str) {
    let mut health = watch_health(server, service).await;
    wait_for(&mut health, ServingStatus::NotServing).await;
    let url = server.url();
    within(async {
        loop {
            // It may have been away for a moment, as when its sessions were ended.
            let (status, words) = ask(&url, "readyz").await;
            if status == StatusCode::OK && words.starts_with(&format!("degraded\n{name}: ")) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    for path in ["readyz?strict", "healthz"] {
        let answer = ask(&url, path).await;
        assert_eq!(answer.0, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    }
    for other in ["", "generation.v1.JobService"] {
        assert_eq!(
            check(server, other).await,
            ServingStatus::Serving,
            "{other}"
        );
    }
    assert_eq!(check(server, service).await, ServingStatus::NotServing);
}

pub(crate) async fn recovers(server: &TestServer, service: &str) {
    let mut health = watch_health(server, service).await;
    wait_for(&mut health, ServingStatus::Serving).await;
    let answer = ask(&server.url(), "readyz?strict").await;
    assert_eq!(answer, (StatusCode::OK, "ok\n".to_owned()));
}

async fn check(client: &Client, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let checked = HealthClient::new(client.channel()).check(request).await;
    checked.unwrap().into_inner().status()
}

/// On SQLite the server's own connection may not let the file grow; on PostgreSQL a trigger says what a full disk would,
/// to calls that create: the clients go on trying, since the server forgets a while after the last refusal.
async fn fill(db: &TestDatabase, server: &TestServer) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    if db.backend == Backend::Sqlite {
        let writer = server.app().store.writer();
        // Without free pages; and below the pages that there are, the limit stands for as many.
        for statement in ["VACUUM", "PRAGMA max_page_count = 1"] {
            writer.execute_unprepared(statement).await.unwrap();
        }
        return clients;
    }
    let feature = server.scripted_feature().await;
    let trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
        $$BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END$$; \
        CREATE TRIGGER refuse BEFORE INSERT ON generation_requests FOR EACH ROW EXECUTE FUNCTION refuse()";
    db.connect()
        .await
        .execute_unprepared(trigger)
        .await
        .unwrap();
    let script = Script::new(&[]);
    let mut requests = server.requests();
    clients.spawn(async move {
        loop {
            let refused = requests.create_request(scripted_request(feature, &script));
            let refused = refused.await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    clients
}

pub(crate) async fn ask(url: &str, path: &str) -> (StatusCode, String) {
    let answer = within(browser().get(format!("{url}/{path}")).send()).await;
    let answer = answer.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// An address that nobody listens on, known before the server starts.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
