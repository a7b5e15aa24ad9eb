//! What many watchers cost the database, and what becomes of them when it is away.

use std::time::{Duration, Instant};

use atelier::app::NewsStream;
use atelier::domain::Caller;
use atelier::rpc::proto::{CancelJobRequest, ErrorReason, JobStatus, ListFeaturesRequest};
use atelier::server::Role;
use futures::StreamExt;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::bench::{Bench, drawing};
use crate::support::database::{Backend, TestDatabase};
use crate::support::postgres::Cluster;
use crate::support::refusal::of_status;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::status_of;

use super::statements::Wire;

const MANY: usize = 300;
const LOOKS: usize = 4;
/// Longer than what is asked for takes, and shorter than the time between two looks.
const QUIET: Duration = Duration::from_millis(400);
/// Heartbeats ask too, and are not what is counted.
const LONG: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_watchers_of_as_many_jobs_ask_as_often_as_one() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 2).await;
    bench.app.settings.watch_heartbeat = LONG;
    let period = bench.app.settings.watch_poll;
    let mut jobs = Vec::new();
    for _ in 0..MANY / 15 {
        jobs.extend(bench.request(15, 0).await);
    }
    for watchers in [1, MANY] {
        let mut watching = JoinSet::new();
        for job in &jobs[..watchers] {
            let caller = Caller::TrustedService;
            let mut news: NewsStream = bench.app.watch_job(caller, job.id, 0).await.unwrap();
            assert_eq!(within(news.next()).await.unwrap().unwrap().revision, 1);
            watching.spawn(async move { while news.next().await.is_some() {} });
        }
        until_quiet(&wire).await;
        let began = Instant::now();
        let statements = looks(&wire, LOOKS).await;
        // One for each look of all of them, or two where some come late.
        assert!(
            began.elapsed() > period.mul_f32(LOOKS as f32 / 2.0 - 0.5),
            "{watchers} watchers within {:?}: {statements:#?}",
            began.elapsed()
        );
    }
}

/// The head of the line, which all of them are looked up in.
const LINE: &str = "LIMIT (SELECT 10000)";

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_who_wait_in_line_have_it_read_as_often_as_one() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 2).await;
    bench.app.settings.watch_heartbeat = LONG;
    bench.app.settings.watch_poll = Duration::from_secs(2);
    let period = bench.app.settings.watch_poll;
    let able = [(drawing(), Ok(()))];
    bench.app.announce_capabilities(&able).await.unwrap();
    let mut jobs = Vec::new();
    for _ in 0..MANY / 15 {
        jobs.extend(bench.request(15, 0).await);
    }
    for watchers in [1, MANY] {
        let mut watching = JoinSet::new();
        for (place, job) in (1..).zip(&jobs[..watchers]) {
            let caller = Caller::TrustedService;
            let mut news: NewsStream = bench.app.watch_job(caller, job.id, 0).await.unwrap();
            let position = within(async {
                loop {
                    let told = news.next().await.unwrap().unwrap();
                    if let Some(place) = told.outlook.place {
                        break place.position;
                    }
                }
            });
            assert_eq!(position.await, place);
            watching.spawn(async move { news.next().await });
        }
        wire.take();
        let began = Instant::now();
        let mut lines = 0;
        while lines < LOOKS {
            let statements = looks(&wire, 1).await;
            lines += statements.iter().filter(|text| text.contains(LINE)).count();
        }
        assert!(
            began.elapsed() > period.mul_f32(LOOKS as f32 / 2.0 - 0.5),
            "{watchers} watchers: read {lines} times within {:?}",
            began.elapsed()
        );
        assert!(watching.try_join_next().is_none(), "nobody has moved");
    }
}

/// Waits until those who have just begun have looked, and find nothing new.
async fn until_quiet(wire: &Wire) {
    within(async {
        loop {
            wire.take();
            tokio::time::sleep(QUIET).await;
            if wire.take().is_empty() {
                return;
            }
        }
    })
    .await;
}

/// The next statements, so many at least.
async fn looks(wire: &Wire, at_least: usize) -> Vec<String> {
    let mut statements = Vec::new();
    within(async {
        while statements.len() < at_least {
            tokio::time::sleep(LOOK_AGAIN).await;
            statements.extend(wire.take());
        }
    })
    .await;
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_watchers_of_one_job_are_told_by_a_few_statements() {
    const WATCHERS: usize = 500;
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let mut bench = Bench::at(&wire.url, 2).await;
    bench.app.settings.watch_heartbeat = LONG;
    let job = bench.request(1, 0).await.remove(0);
    let mut watching = Vec::new();
    for _ in 0..WATCHERS {
        let caller = Caller::TrustedService;
        let mut news = bench.app.watch_job(caller, job.id, 0).await.unwrap();
        within(news.next()).await.unwrap().unwrap();
        watching.push(tokio::spawn(async move { news.next().await }));
    }
    until_quiet(&wire).await;
    let claimed = bench.claim(1).await;
    for told in watching {
        let told = within(told).await.unwrap().unwrap().unwrap();
        assert_eq!(told.job.unwrap().id, claimed[0].id);
    }
    let statements = wire.take();
    // How it stands, its events and the job itself, each for those who asked meanwhile; and the claim.
    assert!(statements.len() < 60, "{} statements", statements.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_through_an_outage_that_passes() {
    let mut cluster = Cluster::with("synchronous_commit = on").await;
    let db = TestDatabase::on_server(cluster.url());
    let server = TestServer::start_as(Role::Api, &db, |config| {
        config.server.watch_heartbeat = Duration::from_secs(15);
    })
    .await;
    let script = Script::new(&[]);
    let job = server.create_scripted(&script).await;
    let mut watch = server.watch(job.id).await;
    assert_eq!(
        status_of(&watch.transition().await.unwrap()),
        JobStatus::Pending
    );

    cluster.tell("stop");
    let list = async || {
        let mut features = server.features();
        features.list_features(ListFeaturesRequest::default()).await
    };
    within(async { while list().await.is_ok() {} }).await;
    cluster.tell("start");
    within(async {
        while list().await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let cancel = CancelJobRequest {
        id: job.id,
        ..Default::default()
    };
    within(server.jobs().cancel_job(cancel)).await.unwrap();
    let end = watch.transition().await.unwrap();
    assert_eq!((end.revision, status_of(&end)), (2, JobStatus::Cancelled));
    assert!(watch.transition().await.is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_an_outage_that_lasts_longer_than_it_may_be_silent() {
    let mut cluster = Cluster::with("").await;
    let db = TestDatabase::on_server(cluster.url());
    let server = TestServer::start_as(Role::Api, &db, |config| {
        config.server.watch_heartbeat = Duration::from_secs(1);
    })
    .await;
    let job = server.create_scripted(&Script::new(&[])).await;
    let mut watch = server.watch(job.id).await;
    watch.transition().await.unwrap();
    cluster.tell("stop");
    let status = watch.broken().await;
    of_status(&status).is(Code::Unavailable, ErrorReason::DatabaseUnavailable);
    cluster.tell("start");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_leaves_connections_to_those_who_write() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let bench = Bench::at(&db.url, 4).await;
    let lock = db.connect().await;
    let held = lock.begin().await.unwrap();
    let exclusive = "LOCK TABLE generation_features IN ACCESS EXCLUSIVE MODE";
    held.execute_unprepared(exclusive).await.unwrap();
    let mut reading = JoinSet::new();
    for _ in 0..20 {
        let app = bench.app.clone();
        reading.spawn(async move {
            let read = "SELECT 1 FROM generation_features LIMIT 1";
            app.store.reader().execute_unprepared(read).await
        });
    }
    let waiting = "SELECT CAST(pid AS text) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    within(async {
        while db.texts(waiting).await.len() < 3 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // It would wait for ten seconds, and fail, if all were taken.
    for _ in 0..10 {
        let written = bench.app.store.writer().execute_unprepared("SELECT 1");
        within(written).await.unwrap();
    }
    assert_eq!(db.texts(waiting).await.len(), 3);
    held.rollback().await.unwrap();
    while let Some(read) = within(reading.join_next()).await {
        read.unwrap().unwrap();
    }
}
