//! What probes are told of a process whose parts fail one by one.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use atelier::rpc::proto::{ErrorReason, ListFeaturesRequest};
use atelier::rpc::proto::{media_service_server, request_service_server};
use atelier::server::{Role, Server};
use reqwest::StatusCode;
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::api::reflection::{Database, wait_for, watch_health};
use crate::support::bucket::{BUCKET, keep_media_in, serve_bucket};
use crate::support::client::{Client, scripted_wish};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::postgres::Cluster;
use crate::support::process::{atelier, run};
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, configuration, within};

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const MEDIA: &str = media_service_server::SERVICE_NAME;
const REQUESTS: &str = request_service_server::SERVICE_NAME;

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
        let _clients = fill(&db, &server).await;
        degrades(&server, "database_full", REQUESTS).await;
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
    }

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
async fn a_read_only_database_takes_only_the_request_service_away() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start(&db).await;
    Database::of(&db).await.make_read_only().await;
    degrades(&server, "database_read_only", REQUESTS).await;
    let mut features = server.features();
    let listed = features.list_features(ListFeaturesRequest::default());
    assert!(listed.await.is_ok());
}

/// Waits until the server says that it is degraded by `name`, which fails only the strict probes and `service`.
async fn degrades(server: &TestServer, name: &str, service: &str) {
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

async fn recovers(server: &TestServer, service: &str) {
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
            let refused = requests.create_request(scripted_wish(feature, &script));
            assert_eq!(refused.await.unwrap_err().code(), Code::Unavailable);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    clients
}

async fn ask(url: &str, path: &str) -> (StatusCode, String) {
    let answer = within(browser().get(format!("{url}/{path}")).send()).await;
    let answer = answer.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// An address that nobody listens on, known before the server starts.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
