//! Who is let in at all: by which host a call comes, from which pages, and in what shape.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::feature_service_client::FeatureServiceClient;
use atelier::rpc::proto::{
    CountRequestsRequest, ErrorReason, ListFeaturesRequest, ListRequestsRequest,
};
use axum::http::{Method, Uri};
use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, configuration, within};

const PAGE: &str = "https://app.example.com";
const LIST: &str = "/generation.v1.FeatureService/ListFeatures";
const CREATE: &str = "/generation.v1.RequestService/CreateRequest";
const WEB: &str = "application/grpc-web+proto";
/// Everything that there is to call, by path; what is no call is asked for with GET.
const PATHS: [&str; 8] = [
    LIST,
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/media/jobs/000/000/001/x-0.png",
    "/webhooks/1/secret",
    "/v1/models",
    "/nothing",
    "/nothing.v1.Service/Call",
];

on_both_databases! {
    async fn nothing_answers_by_a_name_that_is_not_the_servers_but_probes(db: TestDatabase) {
        let server = TestServer::start_with(&db, named).await;
        for path in PATHS {
            for host in ["evil.example.com", "evil.example.com:50051", "127.0.0.1.evil.example.com", "0.0.0.0:50051", "10.2.0.1"] {
                assert!(ask(&server.url(), path, &[(HOST, host)]).await.is_refused(), "{path} {host}");
            }
            for host in ["localhost:9", "[::1]", "ATELIER.example.com", "atelier:50051", "10.1.2.3"] {
                assert!(!ask(&server.url(), path, &[(HOST, host)]).await.is_refused(), "{path} {host}");
            }
        }
        for path in ["/livez", "/readyz", "/readyz?strict", "/healthz"] {
            assert_eq!(ask(&server.url(), path, &[(HOST, "10.2.0.1:50051")]).await.status, 200, "{path}");
        }
    }

    async fn only_pages_that_are_let_in_may_call(db: TestDatabase) {
        let server = TestServer::start_with(&db, named).await;
        let own = server.url();
        for path in PATHS.into_iter().chain(["/healthz"]) {
            for origin in ["https://evil.example.com", "null", "http://localhost:1", "http://127.0.0.1"] {
                let answer = ask(&server.url(), path, &[(ORIGIN, origin)]).await;
                assert!(answer.is_refused(), "{path} {origin}");
                assert_eq!(answer.headers.get("access-control-allow-origin"), None, "{path} {origin}");
            }
            for origin in [PAGE, "https://atelier.example.com", &own] {
                assert!(!ask(&server.url(), path, &[(ORIGIN, origin)]).await.is_refused(), "{path} {origin}");
            }
        }
        // A page whose host has been made to lead here is of one origin with what it calls.
        let rebound = [(HOST, "evil.example.com"), (ORIGIN, "http://evil.example.com")];
        assert!(ask(&server.url(), LIST, &rebound).await.is_refused());
    }

    async fn a_call_is_posted_and_says_that_it_is_one(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let asked = frame(&request_for(server.scripted_feature().await));
        let mut stream = http2(&server).await;
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json", "application/grpcs", ""] {
            assert_eq!(send(&mut stream, Method::POST, CREATE, kind, asked.clone()).await, 415, "{kind}");
            let call = browser().post(format!("{}{CREATE}", server.url())).header(CONTENT_TYPE, kind);
            assert_eq!(within(call.body(asked.clone()).send()).await.unwrap().status(), 415, "{kind}");
        }
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            assert_eq!(send(&mut stream, method.clone(), CREATE, "application/grpc", asked.clone()).await, 405, "{method}");
        }
        let counted = server.requests().count_requests(CountRequestsRequest::default()).await;
        assert_eq!(counted.unwrap().into_inner().total, 0);

        for kind in ["application/grpc", "Application/gRPC+proto", "application/grpc; charset=utf-8", "application/grpc-web", WEB] {
            let asked = frame(&ListFeaturesRequest::default());
            assert_eq!(send(&mut stream, Method::POST, LIST, kind, asked).await, 200, "{kind}");
        }
    }

    async fn a_refused_client_is_told_why_in_its_own_terms(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let named = Endpoint::from_shared(server.url()).unwrap().origin(Uri::from_static("http://evil.example.com"));
        let mut features = FeatureServiceClient::new(named.connect_lazy());
        let refused = refusal(within(features.list_features(ListFeaturesRequest::default())).await);
        refused.is(Code::PermissionDenied, ErrorReason::HostNotAllowed).with("host", "evil.example.com");

        let mut asked = tonic::Request::new(ListRequestsRequest::default());
        asked.metadata_mut().insert("origin", PAGE.parse().unwrap());
        let refused = refusal(within(server.requests().list_requests(asked)).await);
        refused.is(Code::PermissionDenied, ErrorReason::OriginNotAllowed).with("origin", PAGE);

        let plain = browser().get(format!("{}/nothing", server.url())).header(HOST, "evil.example.com");
        let plain = within(plain.send()).await.unwrap().text().await.unwrap();
        assert_eq!(plain, "\"evil.example.com\" is no name of this server\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_a_refused_name_once_and_what_lets_it_in() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let media = tempfile::tempdir().unwrap();
    let process = Process::serve(&db, media.path(), &[]).await;
    let url = format!("http://{}", process.address());
    for _ in 0..3 {
        assert_eq!(
            ask(&url, LIST, &[(HOST, "atelier.internal:80")])
                .await
                .status,
            403
        );
        assert_eq!(ask(&url, LIST, &[(ORIGIN, PAGE)]).await.status, 403);
    }
    for number in 0..200 {
        let host = format!("{number}.example.com");
        assert_eq!(ask(&url, "/nothing", &[(HOST, &host)]).await.status, 403);
    }
    let log = process.log();
    for (name, setting) in [
        ("\"host\":\"atelier.internal:80\"", "server.allowed_hosts"),
        (
            "\"origin\":\"https://app.example.com\"",
            "server.cors_origins",
        ),
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(name)).collect();
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert!(line.contains(setting), "{line}");
    }
    let told = log
        .lines()
        .filter(|line| line.contains("server.allowed_hosts"));
    assert_eq!(told.count(), 99, "the log is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_for_probes_only_answers_by_any_name() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let media = tempfile::tempdir().unwrap();
    let mut config = configuration(&db, media.path());
    config.health.listen = Some("127.0.0.1:0".parse().unwrap());
    let server = atelier::server::Server::start(config, atelier::server::Role::Worker);
    let server = server.await.unwrap();
    let url = format!("http://{}", server.health_addr().unwrap());
    assert_eq!(
        ask(&url, "/readyz", &[(HOST, "worker.internal")])
            .await
            .status,
        200
    );
    server.hand_back().await;
}

fn named(config: &mut Config) {
    config.server.allowed_hosts = ["atelier", "10.1.0.0/16"]
        .map(|host| host.parse().unwrap())
        .to_vec();
    config.server.public_url = Some("https://atelier.example.com".parse().unwrap());
    config.server.cors_origins = vec![PAGE.to_owned()];
    config.front.enabled = true;
}

/// An answer over HTTP/1.1.
async fn ask(url: &str, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let (client, target) = (browser(), format!("{url}{path}"));
    let mut call = match path
        .split('/')
        .nth(1)
        .is_some_and(|part| part.contains('.'))
    {
        true => client
            .post(target)
            .header(CONTENT_TYPE, WEB)
            .body(frame(&ListFeaturesRequest::default())),
        false => client.get(target),
    };
    for (name, value) in headers {
        call = call.header(name, *value);
    }
    let answer = within(call.send()).await.unwrap();
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
}

impl Answer {
    /// Whether the call has come to no handler: those know each call by an identifier.
    fn is_refused(&self) -> bool {
        let is_refused = !self.headers.contains_key("x-request-id");
        assert!(!is_refused || self.status == 403, "{}", self.status);
        is_refused
    }
}

/// A message as it stands in the body of a call.
fn frame(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

/// A connection of HTTP/2 that sends anything, as a proxy before the server would.
async fn http2(server: &TestServer) -> SendRequest<Bytes> {
    let address = server.url().replace("http://", "");
    let connection = TcpStream::connect(address).await.unwrap();
    let (stream, connection) = h2::client::handshake(connection).await.unwrap();
    tokio::spawn(connection);
    stream.ready().await.unwrap()
}

/// The status of an answer.
async fn send(
    stream: &mut SendRequest<Bytes>,
    method: Method,
    path: &str,
    kind: &str,
    body: Bytes,
) -> u16 {
    let call = axum::http::Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header(CONTENT_TYPE, kind);
    let call = call.body(()).unwrap();
    let (answer, mut sending) = stream.send_request(call, false).unwrap();
    // What is refused at once is not waited for to the end.
    let _ = sending.send_data(body, true);
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
    answer.unwrap().unwrap().status().as_u16()
}
