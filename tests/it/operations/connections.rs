//! What one connection, and all of them together, may take of the server.

use std::fs;
use std::time::Duration;

use atelier::entity::media;
use atelier::rpc::proto::{
    ErrorReason, GetJobRequest, ListFeaturesRequest, WatchJobRequest, WatchRequestRequest,
    WatchUserRequest,
};
use atelier::server::Role;
use axum::http::Request;
use bytes::Bytes;
use futures::future::join_all;
use prost::Message;
use reqwest::StatusCode;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use sea_orm::EntityTrait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::client::USER;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::http2::{self, Frame, Kind};
use crate::support::process::Process;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

/// As `rpc::connection` has it.
const MAX_STREAMS: u32 = 1_000;
const MAX_FAULTY_STREAMS: u32 = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// More than the buffers between a file and a client that does not read hold.
const LARGE: usize = 4 * 1024 * 1024;
/// What nobody sends in good faith.
const FLOOD: u32 = 4_000;

on_both_databases! {
    async fn a_connection_says_what_it_may_take(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let settings = connection.settings().await;
        assert_eq!(settings.get(&http2::MAX_CONCURRENT_STREAMS), Some(&MAX_STREAMS), "{settings:?}");
        assert_eq!(settings.get(&http2::MAX_HEADER_LIST_SIZE), Some(&(256 * 1024)), "{settings:?}");
        let window = settings.get(&http2::INITIAL_WINDOW_SIZE).copied();
        assert!(window.is_some_and(|window| window <= 1024 * 1024), "{settings:?}");
    }

    async fn a_flood_of_streams_that_must_be_reset_ends_the_connection(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let mut flood = connection.take_writer();
        let sent = tokio::spawn(async move {
            for number in 0..FLOOD {
                // No call's path is empty. One without any would be answered, sooner or later.
                let headers = [(":method", "POST"), (":scheme", "http"), (":path", "")];
                let bad = Frame::headers(2 * number + 1, &headers);
                if flood.write_all(&bad.encode()).await.is_err() {
                    break;
                }
            }
            flood
        });
        let mut resets = 0;
        let goaway = within(async {
            loop {
                match connection.frame().await {
                    Some(frame) if frame.kind == Kind::GOAWAY => break Some(frame),
                    Some(frame) if frame.kind == Kind::RST_STREAM => resets += 1,
                    Some(_) => {}
                    None => break None,
                }
            }
        }).await;
        let goaway = goaway.expect("the connection ended without a word");
        assert_eq!(goaway.error_code(), http2::ENHANCE_YOUR_CALM, "after {resets} resets");
        assert!(resets <= MAX_FAULTY_STREAMS, "{resets} resets");
        drop(sent.await);
        server.features().list_features(ListFeaturesRequest::default()).await.unwrap();
    }

    async fn an_answer_that_comes_before_the_body_is_followed_by_no_reset(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/generation.v1.JobService/GetJob"),
            (":authority", "localhost"),
            ("content-type", "text/plain"),
        ];
        connection.send(&Frame::headers(1, &headers).encode()).await;
        within(async {
            while !connection.frame().await.unwrap().is(Kind::DATA, 1) {}
        }).await;
        connection.send(&Frame::last_data(1, b"late".to_vec()).encode()).await;
        let asked = GetJobRequest { id: 1, ..Default::default() };
        connection.send(&call(3, "GetJob", &asked)).await;
        within(async {
            loop {
                let frame = connection.frame().await.expect("the connection was closed");
                assert!(!frame.is(Kind::RST_STREAM, 1), "the answer was followed by a reset");
                if frame.is(Kind::HEADERS, 3) {
                    break;
                }
            }
        }).await;
    }

    async fn a_burst_of_watches_that_are_cancelled_at_once_leaves_the_others(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let watch = WatchJobRequest { id: job.id, ..Default::default() };
        connection.send(&call(1, "WatchJob", &watch)).await;
        within(async {
            while !connection.frame().await.unwrap().is(Kind::DATA, 1) {}
        }).await;
        // In one piece, so that the server finds the cancellations before it has answered.
        let burst = (0..150).flat_map(|number| {
            let stream = 2 * number + 3;
            [call(stream, "WatchJob", &watch), Frame::reset(stream).encode()].concat()
        });
        connection.send(&burst.collect::<Vec<_>>()).await;
        let asked = GetJobRequest { id: job.id, ..Default::default() };
        connection.send(&call(401, "GetJob", &asked)).await;
        within(async {
            loop {
                let frame = connection.frame().await.expect("the connection was closed");
                assert_ne!(frame.kind, Kind::GOAWAY, "{:?}", String::from_utf8_lossy(&frame.payload));
                if frame.is(Kind::DATA, 401) {
                    break;
                }
            }
        }).await;
    }

    async fn connections_beyond_what_a_peer_may_have_are_closed_at_once(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.server.max_connections = 10;
            // One is the client's that every server of a test has.
            config.server.max_connections_per_peer = 4;
        }).await;
        let url = server.url();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(asking(&url).await.expect("it is within the bound"));
        }
        assert!(asking(&url).await.is_none());
        held.pop();
        within(async {
            while asking(&url).await.is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        server.features().list_features(ListFeaturesRequest::default()).await.unwrap();
    }

    async fn watches_beyond_the_bound_are_refused_with_when_to_come_again(db: TestDatabase) {
        let maker = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = maker.create_scripted(&script).await;
        for (in_all, per_peer) in [(2, 100), (100, 2)] {
            let server = maker.beside(Role::Api, &db, |config| {
                config.server.max_watches = in_all;
                config.server.max_watches_per_peer = per_peer;
            }).await;
            let watch = async || {
                let asked = WatchRequestRequest { id: job.request_id, ..Default::default() };
                server.requests().watch_request(asked).await
            };
            let asked = WatchJobRequest { id: job.id, ..Default::default() };
            let mut first = server.jobs().watch_job(asked).await.unwrap().into_inner();
            first.message().await.unwrap().unwrap();
            let second = watch().await.unwrap();
            let status = watch().await.unwrap_err();
            let delay = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
            assert_eq!(delay, Some(Duration::from_secs(10)));
            of_status(&status).is(Code::ResourceExhausted, ErrorReason::WatchesTaken).with("limit", 2);
            let asked = WatchUserRequest { user_id: USER, ..Default::default() };
            let status = server.requests().watch_user(asked).await.unwrap_err();
            of_status(&status).is(Code::ResourceExhausted, ErrorReason::WatchesTaken);
            // What is wrong with a call is told all the same.
            let status = server.requests().watch_user(WatchUserRequest::default()).await.unwrap_err();
            of_status(&status).of_fields(["user_id"]);

            drop(second);
            within(async {
                while watch().await.is_err() {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }).await;
            server.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_or_half_a_word_is_closed() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    let silent = ["", "PRI * HTTP/2.0"].map(async |words| {
        let mut connection = connect(&server.url()).await;
        connection.write_all(words.as_bytes()).await.unwrap();
        within(connection.read(&mut [0; 64])).await
    });
    for read in join_all(silent).await {
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_says_so_once_and_goes_on_when_it_has_some() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let media = tempfile::tempdir().unwrap();
    let process = Process::serve(&db, media.path(), &[]).await;
    let url = format!("http://{}", process.address());
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let few = Rlimit {
        // The server opens some more by itself, as its pool grows: those are no client's.
        current: Some(descriptors(&process) as u64 + 16),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, few).unwrap();
    let held = join_all((0..40).map(|_| connect(&url))).await;
    process.until_logged("cannot take up connections").await;
    drop(held);
    within(async {
        let asked = async || browser().get(format!("{url}/livez")).send().await;
        while asked().await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let log = process.log();
    assert_eq!(
        log.matches("cannot take up connections").count(),
        1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_nobody_reads_hold_few_files_and_let_others_read() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(&db, folder.path(), &[]).await;
    let script = Script::new(&["succeed"]);
    let job = process.create_scripted(&script).await;
    process.ended(job.id).await;
    let file = media::Entity::find().one(&db.connect().await).await;
    let file = folder
        .path()
        .join(file.unwrap().unwrap().storage_key.unwrap());
    assert!(file.exists(), "{}", file.display());
    let content: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    fs::write(file, &content).unwrap();
    let media = process.media_of(job.id).await.remove(0);
    let idle = descriptors(&process);

    let url = format!("http://{}", process.address());
    let (mut calls, connection) = h2::client::Builder::new()
        .initial_window_size(128 * 1024)
        .initial_connection_window_size(1 << 30)
        .max_concurrent_streams(MAX_STREAMS)
        .handshake::<_, Bytes>(connect(&url).await)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut unread = Vec::new();
    for _ in 0..MAX_STREAMS {
        calls = within(calls.ready()).await.unwrap();
        let call = Request::get(&media.download_url).body(()).unwrap();
        unread.push(calls.send_request(call, true).unwrap().0);
    }
    // The heads of all answers come, though most of the files are not open.
    let mut bodies = Vec::new();
    for answer in unread {
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.into_body());
    }
    let held = descriptors(&process);
    assert!(held < idle + 300, "{held} descriptors, {idle} before");
    let health = browser().get(format!("{url}/healthz")).send();
    assert_eq!(within(health).await.unwrap().status(), StatusCode::OK);
    // It waits until the others are left.
    let read = within(browser().get(&media.download_url).send())
        .await
        .unwrap();
    assert!(within(read.bytes()).await.unwrap() == content);
    // One that was closed meanwhile goes on where it was.
    let mut left = bodies.swap_remove(0);
    let mut received = Vec::new();
    while let Some(part) = within(left.data()).await {
        let part = part.unwrap();
        left.flow_control().release_capacity(part.len()).unwrap();
        received.extend_from_slice(&part);
    }
    assert!(received == content);
}

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.replace("http://", ""))
        .await
        .unwrap()
}

/// A connection that is answered; `None` if it is closed.
async fn asking(url: &str) -> Option<TcpStream> {
    let mut connection = connect(url).await;
    let call = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.write_all(call).await.ok()?;
    let read = within(connection.read(&mut [0; 1024])).await.ok()?;
    (read > 0).then_some(connection)
}

/// How many files and connections a process has open.
fn descriptors(process: &Process) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", process.id()));
    open.unwrap().count()
}

/// The frames of a call of the service of jobs.
fn call(stream: u32, rpc: &str, message: &impl Message) -> Vec<u8> {
    let path = format!("/generation.v1.JobService/{rpc}");
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    [
        Frame::headers(stream, &headers).encode(),
        Frame::last_data(stream, body(message)).encode(),
    ]
    .concat()
}

/// A message as it stands in the body of a call.
fn body(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}
