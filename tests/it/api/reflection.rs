//! What engineers and load balancers ask a server about itself.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier::rpc::proto::{ErrorReason, GetFeatureRequest};
use reqwest::StatusCode;
use sea_orm::ConnectionTrait;
use tokio_stream::once;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;
use url::Url;

use crate::support::client::Client;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::refusal::of_status;
use crate::support::server::{TestServer, within};

const SERVICES: [&str; 7] = [
    "generation.v1.AdminService",
    "generation.v1.CreditService",
    "generation.v1.FeatureService",
    "generation.v1.JobService",
    "generation.v1.MediaService",
    "generation.v1.RequestService",
    "generation.v1.TemplateService",
];

/// A test of one of the two versions of reflection, which differ in nothing but their name.
macro_rules! reflects {
    ($server:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let ask = async |question: MessageRequest| {
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(question),
            };
            let mut client = ServerReflectionClient::new($server.channel());
            let answers = within(client.server_reflection_info(once(request))).await;
            let mut answers = answers.unwrap().into_inner();
            let answer = within(answers.message()).await.unwrap().unwrap();
            answer.message_response.unwrap()
        };
        let answer = ask(MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(list) = answer else {
            panic!("not a list of services: {answer:?}");
        };
        let names: BTreeSet<String> = list.service.into_iter().map(|s| s.name).collect();
        for service in SERVICES {
            assert!(names.contains(service), "{service} is not in {names:?}");
            let answer = ask(MessageRequest::FileContainingSymbol(service.to_owned())).await;
            let MessageResponse::FileDescriptorResponse(file) = answer else {
                panic!("no descriptor of {service}: {answer:?}");
            };
            assert!(!file.file_descriptor_proto.is_empty());
        }
    }};
}

on_both_databases! {
    async fn both_versions_of_reflection_describe_every_service(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        reflects!(server, v1);
        reflects!(server, v1alpha);
    }

    async fn every_service_is_serving(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for service in [""].into_iter().chain(SERVICES) {
            let mut health = watch_health(&server, service).await;
            wait_for(&mut health, ServingStatus::Serving).await;
            let request = HealthCheckRequest { service: service.to_owned() };
            let checked = HealthClient::new(server.channel()).check(request).await.unwrap();
            assert_eq!(checked.into_inner().status(), ServingStatus::Serving, "{service}");
        }
        let unknown = HealthCheckRequest { service: "generation.v1.NoService".to_owned() };
        let refused = HealthClient::new(server.channel()).check(unknown).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
}

/// Only on PostgreSQL: SQLite is a file that the server holds open, so it cannot go away under it.
#[tokio::test(flavor = "multi_thread")]
async fn no_service_is_serving_while_the_database_is_away() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_with(&db, |config| {
        config.database.acquire_timeout = Duration::from_millis(500);
    })
    .await;
    let mut health = Vec::new();
    for service in SERVICES {
        let mut watched = watch_health(&server, service).await;
        wait_for(&mut watched, ServingStatus::Serving).await;
        health.push(watched);
    }

    let database = Database::of(&db).await;
    database.take_away().await;
    for watched in &mut health {
        wait_for(watched, ServingStatus::NotServing).await;
    }
    assert_eq!(healthz(&server).await, StatusCode::SERVICE_UNAVAILABLE);
    let request = GetFeatureRequest {
        id: 1,
        ..Default::default()
    };
    let refused = server.features().get_feature(request).await.unwrap_err();
    of_status(&refused).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    let details = refused.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());

    database.bring_back().await;
    for watched in &mut health {
        wait_for(watched, ServingStatus::Serving).await;
    }
    assert_eq!(healthz(&server).await, StatusCode::OK);
}

/// Watches what gRPC health says of a service.
pub(crate) async fn watch_health(client: &Client, service: &str) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut health = HealthClient::new(client.channel());
    within(health.watch(request)).await.unwrap().into_inner()
}

pub(crate) async fn wait_for(health: &mut Streaming<HealthCheckResponse>, status: ServingStatus) {
    while within(health.message()).await.unwrap().unwrap().status() != status {}
}

async fn healthz(server: &TestServer) -> StatusCode {
    let url = format!("{}/healthz", server.url());
    within(browser().get(url).send()).await.unwrap().status()
}

/// A connection beside the test's database, from which it can be closed and opened.
pub(crate) struct Database {
    beside: sea_orm::DatabaseConnection,
    name: String,
}

impl Database {
    pub(crate) async fn of(db: &TestDatabase) -> Self {
        let mut url = Url::parse(&db.url).unwrap();
        let name = url.path().trim_start_matches('/').to_owned();
        url.set_path("postgres");
        let beside = sea_orm::Database::connect(url.as_str()).await.unwrap();
        Self { beside, name }
    }

    pub(crate) async fn take_away(&self) {
        let name = &self.name;
        self.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            .await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity";
        self.execute(&format!("{end} WHERE datname = '{name}'"))
            .await;
    }

    pub(crate) async fn bring_back(&self) {
        let name = &self.name;
        self.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            .await;
    }

    /// From now on sessions cannot write unless they ask for it; those that could are ended.
    pub(crate) async fn make_read_only(&self) {
        let name = &self.name;
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
        self.execute(&set).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity";
        self.execute(&format!("{end} WHERE datname = '{name}'"))
            .await;
    }

    async fn execute(&self, statement: &str) {
        self.beside.execute_unprepared(statement).await.unwrap();
    }
}
