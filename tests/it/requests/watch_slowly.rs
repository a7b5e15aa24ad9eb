//! Watchers that do not read, and such as are long under way: what they cost the server and the wire, and that nobody else waits.

use atelier::app::Clock;
use atelier::rpc::proto::{
    CancelJobRequest, CancelRequestRequest, CreateRequestRequest, Job, RetryRequestRequest,
    WatchJobRequest, WatchJobResponse, WatchRequestRequest, WatchRequestResponse,
    job_service_client::JobServiceClient, request_service_client::RequestServiceClient,
};
use atelier::server::Role;
use chrono::TimeDelta;
use prost_types::Timestamp;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::jobs::watch::{MANY, give_a_long_history};
use crate::support::client::request_for;
use crate::support::database::on_both_databases;
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::{revisions, steps};

use super::watch::variations;

/// Of each kind. What they do not read is some 20 MiB for each.
const SLOW: usize = 20;
/// What each of them may take, in KiB: the next messages, and what the connection holds.
const EACH: u64 = 1_536;

const JOBS: i32 = 100;
const RETRIES: usize = 8;
/// In characters, however many jobs there are: what is longer than 2 KiB is packed.
const SMALL: usize = 3_000;

/// Streams that nobody reads.
type Unread = (
    Vec<Streaming<WatchJobResponse>>,
    Vec<Streaming<WatchRequestResponse>>,
);

on_both_databases! {
    async fn who_does_not_read_costs_little_memory_and_keeps_nobody_waiting(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, folder.path(), &["database.max_connections=4"]).await;
        let job = waiting_job(&server).await;
        give_a_long_history(&db, job.id).await;
        // Once, so that what all share is there.
        drop(open_unread(&server, &job, 1).await);
        let before = server.memory();

        let unread = open_unread(&server, &job, SLOW).await;
        let quick = tokio::spawn(server.watch(job.id).await.transitions());
        let of_request = tokio::spawn(server.watch_request(job.request_id).await.transitions());
        let cancel = CancelJobRequest { id: job.id, ..Default::default() };
        within(server.jobs().cancel_job(cancel)).await.unwrap();
        assert!(revisions(&within(quick).await.unwrap()).into_iter().eq(1..=MANY + 1));
        assert_eq!(within(of_request).await.unwrap().len() as i64, MANY + 1);
        let each = server.memory().saturating_sub(before) / (2 * SLOW as u64);
        assert!(each < EACH, "{each} KiB for each");
        drop(unread);
    }

    async fn a_cursor_stays_small_after_many_retries_of_many_jobs(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| config.limits.variations = 100).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        let (request, _) = server.create(variations(feature, &script, JOBS as usize)).await;
        let id = request.id;
        for round in 0..=RETRIES {
            if round > 0 {
                within(server.requests().retry_request(RetryRequestRequest { id })).await.unwrap();
                // Others come between, as they do.
                server.create(variations(feature, &script, 1 + round)).await;
            }
            let cancel = CancelRequestRequest { id, ..Default::default() };
            within(server.requests().cancel_request(cancel)).await.unwrap();
        }
        let all = server.watch_request(id).await.transitions().await;
        assert_eq!(all.len(), 2 * JOBS as usize * (1 + RETRIES));
        let longest = all.iter().map(|message| message.cursor.len()).max().unwrap();
        assert!(longest <= SMALL, "{longest} characters");
        // Wherever it is taken up again, exactly the rest comes.
        for seen in [1, all.len() / 2, all.len() - 1, all.len()] {
            let rest = server.watch_request_after(id, &all[seen - 1].cursor).await;
            let mut rest = steps(&rest.transitions().await);
            let mut expected = steps(&all[seen..]);
            rest.sort_unstable();
            expected.sort_unstable();
            assert_eq!(rest, expected, "after {seen}");
        }
    }
}

/// A job that no worker takes for now, with as large an input as there may be.
async fn waiting_job(server: &Process) -> Job {
    let feature = server.scripted_feature().await;
    let later = Clock::system().now() + TimeDelta::hours(1);
    let asked = CreateRequestRequest {
        user_prompt: "ư".repeat(4_000),
        not_before_time: Some(Timestamp {
            seconds: later.timestamp(),
            nanos: 0,
        }),
        ..request_for(feature)
    };
    server.create(asked).await.1.remove(0)
}

/// Watches of the job and of its request, so many each, of which the first message is read. Each has a connection of its own.
async fn open_unread(server: &Process, job: &Job, count: usize) -> Unread {
    let (mut of_job, mut of_request) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let watch = WatchJobRequest {
            id: job.id,
            ..Default::default()
        };
        let mut client = JobServiceClient::new(channel(server).await);
        let mut stream = within(client.watch_job(watch)).await.unwrap().into_inner();
        within(stream.message()).await.unwrap().unwrap();
        of_job.push(stream);
        let watch = WatchRequestRequest {
            id: job.request_id,
            ..Default::default()
        };
        let mut client = RequestServiceClient::new(channel(server).await);
        let mut stream = within(client.watch_request(watch))
            .await
            .unwrap()
            .into_inner();
        within(stream.message()).await.unwrap().unwrap();
        of_request.push(stream);
    }
    (of_job, of_request)
}

async fn channel(server: &Process) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    endpoint
        .initial_stream_window_size(65_535)
        .connect()
        .await
        .unwrap()
}
