//! The time that a caller gives: when it is over, every kind of client is told so, of streams too. And what else a call is refused
//! for before anybody looks at it.

use std::time::Duration;

use atelier::client::Client;
use atelier::rpc::proto::{
    CreateFeatureRequest, ErrorReason, JobStatus, ListFeaturesRequest, WatchJobRequest,
    WatchJobResponse,
};
use axum::http::Request;
use bytes::{Buf, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::api::grpc_web::{self, BINARY, TEXT};
use crate::support::client::scripted_feature;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::statuses;

const CREATE: &str = "FeatureService/CreateFeature";
const LIST: &str = "FeatureService/ListFeatures";
const WATCH: &str = "JobService/WatchJob";
/// As `rpc::connection` has it.
const MAX_HEADERS: usize = 16 * 1024;

on_both_databases! {
    async fn a_call_ends_when_the_time_is_over_that_its_caller_gives(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let held = hold_features(&db).await;
        let asked = scripted_feature("waits");
        let given = [("grpc-timeout", "300m")];
        for format in [BINARY, TEXT] {
            let mut answer = grpc_web::call_with(&server.url(), CREATE, format, &given, &asked).await;
            is_over(&answer.end().await);
        }
        let mut calls = Calls::to(&server.url()).await;
        let (messages, status) = calls.call(CREATE, &given, &asked).await;
        is_over(&status);
        assert!(messages.is_empty());
        // Our own client keeps the time itself.
        let client = Client::connect(&server.url()).await.unwrap();
        let mut asked = tonic::Request::new(asked);
        asked.set_timeout(Duration::from_millis(300));
        let status = within(client.features().create_feature(asked)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        held.execute_unprepared("ROLLBACK").await.unwrap();
        let (_, status) = calls.call(LIST, &[], &ListFeaturesRequest::default()).await;
        assert_eq!(status.code(), Code::Ok, "the connection goes on");
    }

    async fn a_watch_ends_when_the_time_is_over_that_its_caller_gives(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let watch = WatchJobRequest { id: job.id, ..Default::default() };
        let begun = [JobStatus::Pending, JobStatus::Processing];
        // Long enough for a busy machine to send what there is.
        let given = [("grpc-timeout", "3S")];
        for format in [BINARY, TEXT] {
            let mut stream = grpc_web::call_with(&server.url(), WATCH, format, &given, &watch).await;
            let mut heard = Vec::new();
            while let Some(message) = stream.message().await {
                heard.push(message);
            }
            assert_eq!(statuses(&transitions(heard)), begun, "{format}");
            is_over(&stream.end().await);
        }
        let mut calls = Calls::to(&server.url()).await;
        let (messages, status) = calls.call(WATCH, &given, &watch).await;
        let heard = messages.iter().map(|it| WatchJobResponse::decode(&it[..]).unwrap());
        assert_eq!(statuses(&transitions(heard.collect())), begun);
        is_over(&status);

        let mut asked = tonic::Request::new(watch);
        asked.set_timeout(Duration::from_secs(3));
        let mut stream = server.jobs().watch_job(asked).await.unwrap().into_inner();
        let status = within(async {
            loop {
                match stream.message().await {
                    Ok(message) => assert!(message.is_some(), "it ended as if it were done"),
                    Err(status) => break status,
                }
            }
        }).await;
        is_over(&status);
        script.open_gate();
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
    }

    async fn a_stream_that_ends_in_time_ends_well(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.ended(job.id).await;
        let watch = WatchJobRequest { id: job.id, ..Default::default() };
        let given = [("grpc-timeout", "60S")];
        let mut stream = grpc_web::call_with(&server.url(), WATCH, BINARY, &given, &watch).await;
        assert_eq!(stream.header("x-accel-buffering").as_deref(), Some("no"));
        while stream.message::<WatchJobResponse>().await.is_some() {}
        assert_eq!(stream.end().await.code(), Code::Ok);
        let mut calls = Calls::to(&server.url()).await;
        let (messages, status) = calls.call(WATCH, &given, &watch).await;
        assert_eq!((messages.len() >= 3, status.code()), (true, Code::Ok));
        let mut listed = grpc_web::call_with(&server.url(), LIST, BINARY, &given, &ListFeaturesRequest::default()).await;
        assert_eq!(listed.header("x-accel-buffering"), None, "it is one message");
        listed.message::<atelier::rpc::proto::ListFeaturesResponse>().await.unwrap();
        assert_eq!(listed.end().await.code(), Code::Ok);
    }

    async fn a_call_with_too_much_metadata_is_told_so_and_its_connection_goes_on(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let large = "x".repeat(MAX_HEADERS);
        let asked = ListFeaturesRequest::default();
        let mut calls = Calls::to(&server.url()).await;
        for size in [MAX_HEADERS, 3 * MAX_HEADERS, 15 * MAX_HEADERS] {
            let large = "x".repeat(size);
            let (_, status) = calls.call(LIST, &[("x-large", &large)], &asked).await;
            is_too_much(&status);
            let within_bounds = "x".repeat(MAX_HEADERS - 1_024);
            let (_, status) = calls.call(LIST, &[("x-large", &within_bounds)], &asked).await;
            assert_eq!(status.code(), Code::Ok);
        }
        let mut answer = grpc_web::call_with(&server.url(), LIST, BINARY, &[("x-large", &large)], &asked).await;
        is_too_much(&answer.end().await);
        for path in ["/media/x", "/v1/models"] {
            let call = browser().get(format!("{}{path}", server.url())).header("x-large", &large);
            let answer = within(call.send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "{path}");
            let said = answer.text().await.unwrap();
            assert!(said.contains("more than the 16384 that are read"), "{said}");
        }
    }

    async fn a_browser_is_told_that_its_message_is_too_large(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let description = "x".repeat(5 * 1024 * 1024);
        let asked = CreateFeatureRequest { description, ..Default::default() };
        for format in [BINARY, TEXT] {
            let mut answer = grpc_web::call_with(&server.url(), CREATE, format, &[], &asked).await;
            of_status(&answer.end().await).is(Code::ResourceExhausted, ErrorReason::MessageTooLarge);
        }
    }
}

/// Keeps all others from the features until it is rolled back.
async fn hold_features(db: &TestDatabase) -> DatabaseConnection {
    let held = db.connect().await;
    let lock = match db.backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN; LOCK TABLE generation_features IN ACCESS EXCLUSIVE MODE",
    };
    held.execute_unprepared(lock).await.unwrap();
    held
}

fn is_over(status: &Status) {
    of_status(status).is(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    assert_eq!(status.message(), "the time that the call may take is over");
}

fn is_too_much(status: &Status) {
    let refusal = of_status(status);
    refusal.is(Code::ResourceExhausted, ErrorReason::MetadataTooLarge);
    refusal.with("max_bytes", MAX_HEADERS);
}

fn transitions(mut heard: Vec<WatchJobResponse>) -> Vec<WatchJobResponse> {
    use atelier::rpc::proto::WatchJobEvent::Transition;
    heard.retain(|message| message.event() == Transition);
    heard
}

/// Calls of gRPC over one connection, by a client that keeps no time itself.
struct Calls(SendRequest<Bytes>);

impl Calls {
    async fn to(url: &str) -> Self {
        let connection = TcpStream::connect(url.replace("http://", "")).await;
        let handshake = h2::client::handshake(connection.unwrap()).await;
        let (calls, connection) = handshake.unwrap();
        tokio::spawn(connection);
        Self(calls)
    }

    /// The messages of the answer, and its status.
    async fn call(
        &mut self,
        method: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> (Vec<Bytes>, Status) {
        let mut calls = within(self.0.clone().ready()).await.unwrap();
        let mut call = Request::post(format!("http://localhost/generation.v1.{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let (answer, mut body) = calls.send_request(call.body(()).unwrap(), false).unwrap();
        body.send_data(grpc_web::framed(message).into(), true)
            .unwrap();
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let (head, mut body) = answer.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(some) = within(body.data()).await {
            let some = some.unwrap();
            body.flow_control().release_capacity(some.len()).unwrap();
            bytes.extend_from_slice(&some);
        }
        let trailers = within(body.trailers()).await.unwrap();
        let status = [Some(head.headers), trailers].into_iter().flatten();
        let status = status.filter_map(|it| Status::from_header_map(&it)).last();
        (messages(bytes.freeze()), status.expect("it has no status"))
    }
}

fn messages(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while bytes.has_remaining() {
        assert_eq!(bytes.get_u8(), 0);
        let length = bytes.get_u32() as usize;
        messages.push(bytes.split_to(length));
    }
    messages
}
