//! Hearing what other servers do: over one connection, which may be ended, die without a sign, or be deaf behind a pooler.

use std::time::{Duration, Instant};

use atelier::domain::job::Capability;
use atelier::events::{Events, Subject};
use atelier::rpc::proto::{CancelJobRequest, JobStatus};
use atelier::server::Role;
use atelier::store::wake_up::WakeUp;
use futures::FutureExt;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::jobs::watch::wait_until_listening;
use crate::support::bench::{Bench, drawing};
use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase};
use crate::support::postgres::Cluster;
use crate::support::process::Process;
use crate::support::proxy::TcpProxy;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, within};
use crate::support::watching::status_of;

use super::statements::Wire;

const LISTENING: &str = "SELECT CAST(pid AS text) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'";
/// The bound that the documents give.
const REPLACED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_ended_is_replaced_within_three_seconds() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_api(&db).await;
    wait_until_listening(&db, 1).await;
    let ended = db.texts(LISTENING).await;
    db.texts(
        "SELECT CAST(pg_terminate_backend(pid) AS text) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    )
    .await;
    let began = Instant::now();
    let another = async {
        loop {
            let listening = db.texts(LISTENING).await;
            if listening.iter().any(|pid| !ended.contains(pid)) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(another).await;
    assert!(began.elapsed() < REPLACED_WITHIN, "{:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_silent_is_noticed_and_replaced() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut url = Url::parse(&db.url).unwrap();
    let direct = format!("http://{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = TcpProxy::start(&direct, None).await;
    url.set_port(Some(proxy.port())).unwrap();
    let media = tempfile::tempdir().unwrap();
    let listen_url = format!("database.listen_url={url}");
    let server = Process::serve(&db, media.path(), &[&listen_url]).await;
    wait_until_listening(&db, 1).await;
    let first = db.texts(LISTENING).await;

    proxy.set_silent(true);
    server.until_logged("is silent: opening another").await;
    proxy.set_silent(false);
    let another = async {
        loop {
            let listening = db.texts(LISTENING).await;
            if listening.iter().any(|pid| !first.contains(pid)) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(another).await;
    assert!(!server.log().contains("set database.listen_url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hears_nothing_says_so_once_and_finds_out_by_looking() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let deaf = TestDatabase::on_server(without_notifications(&db.url).await);
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&deaf, media.path(), &["executor.concurrency=1"]).await;
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]).gated();
    let asked = scripted_request(feature, &script);
    let job = server.create(asked).await.1.remove(0);
    let mut watch = server.watch(job.id).await;
    server.until_logged("set database.listen_url").await;
    // Another server on the database, of which this one hears nothing.
    let other = TestServer::start_api(&db).await;
    for expected in [JobStatus::Pending, JobStatus::Processing] {
        assert_eq!(status_of(&watch.transition().await.unwrap()), expected);
    }
    let cancel = CancelJobRequest {
        id: job.id,
        stop_processing: true,
    };
    within(other.jobs().cancel_job(cancel)).await.unwrap();
    let end = watch.transition().await.unwrap();
    assert_eq!(status_of(&end), JobStatus::Cancelled);
    assert_eq!(server.log().matches("set database.listen_url").count(), 1);
    other.stop().await;
}

/// What is before a server, and passes all on but what it notifies of, as a pooler that gives sessions for a transaction.
async fn without_notifications(url: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port()))
        .unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass_but_notifications(client, server));
        }
    });
    url.into()
}

/// PostgreSQL manual, 55.7: the answer to what asks for TLS is one byte, and then messages have a type and a length that counts
/// itself.
async fn pass_but_notifications(client: TcpStream, server: TcpStream) {
    const TLS: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let mut first = [0; 8];
    let peeked = client.peek(&mut first).await;
    let is_asked_for_tls = peeked.is_ok_and(|bytes| bytes == 8) && first == TLS;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        // The servers of the tests have no TLS, and say so first if they are asked.
        let mut asks_for_tls = is_asked_for_tls;
        loop {
            let Ok(kind) = from_server.read_u8().await else {
                return;
            };
            if std::mem::take(&mut asks_for_tls) {
                if to_client.write_u8(kind).await.is_err() {
                    return;
                }
                continue;
            }
            let Ok(length) = from_server.read_u32().await else {
                return;
            };
            let mut rest = vec![0; length as usize - 4];
            if from_server.read_exact(&mut rest).await.is_err() {
                return;
            }
            if kind == b'A' {
                continue;
            }
            let message = [&[kind][..], &length.to_be_bytes(), &rest].concat();
            if to_client.write_all(&message).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}

const MANY_CONNECTIONS: &str = "max_connections = 200";
const WORKERS: usize = 8;
const REQUESTS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_claimed_by_few_of_many_idle_workers() {
    let cluster = Cluster::with(MANY_CONNECTIONS).await;
    let db = TestDatabase::on_server(cluster.url());
    let wire = Wire::before(&db).await;
    let reached = TestDatabase::on_server(wire.url.clone());
    let quiet = |config: &mut atelier::config::Config| {
        config.executor.poll_interval = 2 * DEADLINE;
        config.database.max_connections = 4;
    };
    let api = TestServer::start_as(Role::Api, &reached, quiet).await;
    wait_until_listening(&db, 1).await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(api.beside(Role::Worker, &reached, quiet).await);
    }
    wait_until_listening(&db, 1 + WORKERS as i64).await;
    let feature = api.scripted_feature().await;
    // Each has told what it runs, and so has the first job that they did.
    let script = Script::new(&["succeed"]);
    let first = api.create(scripted_request(feature, &script)).await.1;
    api.ended(first[0].id).await;
    wire.take();

    let mut jobs = Vec::new();
    for _ in 0..REQUESTS {
        jobs.extend(api.create(scripted_request(feature, &script)).await.1);
    }
    for job in &jobs {
        assert_eq!(api.ended(job.id).await.job.status(), JobStatus::Completed);
    }
    let statements = wire.take();
    let claims = statements
        .iter()
        .filter(|text| text.contains("WITH next AS"));
    let claims = claims.count();
    // One that finds it, one that looks for more where it was, and some that overlap; all would be eight for each.
    assert!(claims <= 3 * REQUESTS, "{claims} claims of {REQUESTS} jobs");
    for worker in workers {
        worker.stop().await;
    }
    api.stop().await;
}

const REPLICAS: usize = 50;
const NEWS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_replicas_as_many_are_woken_as_there_is_work_for() {
    let cluster = Cluster::with(MANY_CONNECTIONS).await;
    let db = TestDatabase::on_server(cluster.url());
    let bench = Bench::new(&db).await;
    let replicas: Vec<Events> = (0..=REPLICAS).map(|_| Events::default()).collect();
    let relays = replicas.iter().cloned().map(|events| {
        let store = bench.app.store.clone();
        tokio::spawn(async move { events.relay(&store).await })
    });
    let relays: Vec<_> = relays.collect();
    wait_until_listening(&db, replicas.len() as i64).await;
    let (sender, workers) = replicas.split_first().unwrap();
    for worker in workers {
        worker.offer(vec![drawing()], Vec::new(), 4);
    }
    let hear_all = async |subject: i64| {
        let bells: Vec<_> = workers
            .iter()
            .map(|it| it.watch([Subject::Job(subject)]))
            .collect();
        sender.publish_progress(subject, subject);
        within(join_all(bells.iter().map(|bell| bell.changed()))).await;
    };
    // They have heard of each other: what comes first is heard first.
    within(async {
        loop {
            hear_all(1).await;
            sender.publish(of_work(drawing()));
            hear_all(2).await;
            let woken = workers
                .iter()
                .filter(|it| it.work().now_or_never().is_some());
            if woken.count() == 1 {
                return;
            }
        }
    })
    .await;

    let mut woken = 0;
    for round in 0..NEWS {
        sender.publish(of_work(drawing()));
        hear_all(3 + round as i64).await;
        woken += workers
            .iter()
            .filter(|it| it.work().now_or_never().is_some())
            .count();
    }
    assert_eq!(woken, NEWS);
    relays.iter().for_each(|relay| relay.abort());
}

fn of_work(kind: Capability) -> WakeUp {
    let mut wake_up = WakeUp::default();
    wake_up.add_due(kind, 1);
    wake_up
}
