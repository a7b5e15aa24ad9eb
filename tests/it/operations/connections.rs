//! What one connection, and all of them together, may take of the server.

use atelier::rpc::proto::{GetJobRequest, ListFeaturesRequest, WatchJobRequest};
use prost::Message;
use tokio::io::AsyncWriteExt;

use crate::support::database::on_both_databases;
use crate::support::http2::{self, Frame, Kind};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

/// As `rpc::connection` has it.
const MAX_STREAMS: u32 = 1_000;
/// What nobody sends in good faith.
const FLOOD: u32 = 4_000;

on_both_databases! {
    async fn a_connection_says_what_it_may_take(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let settings = connection.settings().await;
        assert_eq!(settings.get(&http2::MAX_CONCURRENT_STREAMS), Some(&MAX_STREAMS), "{settings:?}");
        assert_eq!(settings.get(&http2::MAX_HEADER_LIST_SIZE), Some(&(16 * 1024)), "{settings:?}");
        let window = settings.get(&http2::INITIAL_WINDOW_SIZE).copied();
        assert!(window.is_some_and(|window| window <= 1024 * 1024), "{settings:?}");
    }

    async fn a_flood_of_streams_that_must_be_reset_ends_the_connection(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut connection = http2::Raw::open(&server.url()).await;
        let mut flood = connection.take_writer();
        let sent = tokio::spawn(async move {
            for number in 0..FLOOD {
                // Without a path, which every call has.
                let bad = Frame::headers(2 * number + 1, &[(":method", "POST"), (":scheme", "http")]);
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
        assert!(resets <= 300, "{resets} resets");
        drop(sent.await);
        server.features().list_features(ListFeaturesRequest::default()).await.unwrap();
    }

    async fn a_burst_of_watches_that_are_cancelled_at_once_leaves_the_others(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let job = server.create_scripted(&Script::new(&["succeed"]).gated()).await;
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
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &message].concat();
    [
        Frame::headers(stream, &headers).encode(),
        Frame::last_data(stream, body).encode(),
    ]
    .concat()
}
