//! How late watchers are told of what happens, and what those cost of whose jobs nothing happens.
//!
//! The database tells when each transition was committed, by the clock by which the client tells when it has heard of it.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use atelier::client::Client;
use atelier::client::proto::{CancelJobRequest, WatchJobEvent, WatchJobRequest, WatchJobResponse};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tonic::Streaming;

use crate::drain::until_drained;
use crate::durable::DURABLE;
use crate::latency::{milliseconds, percentiles, system_now};
use crate::replica::Replica;
use crate::report::Table;
use crate::scale::Scale;
use crate::service::{JOBS, Service, asked, execute, figure};

/// Streams of one connection.
const SHARED: usize = 100;
/// Between two transitions.
const STEP: Duration = Duration::from_millis(10);
/// How many idle streams the most are compared with.
const FEW: usize = 100;
/// Whoever has just begun is done with it then, and PostgreSQL has counted it: what a session did that is idle now, within ten seconds.
const SETTLED: Duration = Duration::from_secs(15);

const COMMITS: &str = "SELECT job_id, revision,
        CAST(EXTRACT(EPOCH FROM pg_xact_commit_timestamp(xmin)) * 1000000 AS BIGINT) AS committed
    FROM generation_job_events";
const TRANSACTIONS: &str = "SELECT CAST(xact_commit + xact_rollback AS DOUBLE PRECISION)
    FROM pg_stat_database WHERE datname = 'postgres'";
const RUNNING: &str =
    "SELECT CAST(COUNT(*) AS DOUBLE PRECISION) FROM generation_jobs WHERE status = 'processing'";

/// When a watcher heard of each transition: of which job, and its revision.
type Heard = Vec<((i64, i64), SystemTime)>;

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, _: &Service) {
    let settings = format!("{DURABLE}\ntrack_commit_timestamp = on");
    runtime.block_on(async {
        let service = Service::start_with(settings.leak()).await;
        news(scale, &service).await.print();
        idle(scale, &service).await.print();
        service.stop().await;
    });
}

/// What becomes of the jobs that are watched.
#[derive(Clone, Copy)]
enum Course {
    /// They are cancelled, one after the other.
    Cancelled,
    /// A worker runs them, as fast as it can.
    Run,
}

async fn news(scale: &Scale, service: &Service) -> Table {
    let mut table = Table::new(&["Milliseconds from the commit to the message", "p50", "p99"]);
    let watchers = scale.watchers;
    let replicas = [Replica::start(service), Replica::start(service)];
    for (name, course) in [
        ("100 transitions a second", Course::Cancelled),
        ("a worker of 64 slots runs the jobs", Course::Run),
    ] {
        service.clear().await;
        let jobs = make(service, "fail", watchers).await;
        let mut watching = JoinSet::new();
        for stream in open(&replicas, &jobs).await {
            watching.spawn(listen(stream));
        }
        match course {
            Course::Cancelled => cancel(&replicas, &jobs).await,
            Course::Run => {
                let worker = service.worker().await;
                until_drained(service).await;
                worker.hand_back().await;
            }
        }
        let heard = watching.join_all().await.concat();
        let commits = commits(service).await;
        let wait = |(step, heard): &((i64, i64), SystemTime)| milliseconds(commits[step], *heard);
        let waits = heard.iter().map(wait).collect();
        let mut cells = vec![format!("{watchers} watchers on two servers, {name}")];
        cells.extend(percentiles(waits));
        table.row(cells);
    }
    table
}

/// So many jobs of as many users as there are, a hundred to a request.
async fn make(service: &Service, step: &str, count: usize) -> Vec<i64> {
    let client = service.clients(1).await.remove(0);
    let mut ids = Vec::new();
    let per_request = JOBS.unsigned_abs() as usize;
    while ids.len() < count {
        let number = i64::try_from(ids.len() / per_request).unwrap();
        let mut request = asked(service.ends, step, number);
        let variations = per_request.min(count - ids.len());
        request.input.as_mut().unwrap().variations = i32::try_from(variations).unwrap();
        let created = client.requests().create_request(request).await.unwrap();
        ids.extend(created.into_inner().jobs.iter().map(|job| job.id));
    }
    ids
}

/// Watches of these jobs, on the servers in turn, of which the first message has come.
async fn open(replicas: &[Replica], jobs: &[i64]) -> Vec<Streaming<WatchJobResponse>> {
    let mut opening = JoinSet::new();
    for (ids, replica) in jobs.chunks(SHARED).zip(replicas.iter().cycle()) {
        let (ids, url) = (ids.to_vec(), replica.url.clone());
        opening.spawn(async move {
            let client = Client::connect(&url).await.unwrap();
            let mut streams = Vec::new();
            for id in ids {
                let watch = WatchJobRequest {
                    id,
                    ..Default::default()
                };
                let opened = client.jobs().watch_job(watch).await;
                let mut stream = opened.unwrap().into_inner();
                stream.message().await.unwrap().expect("the job is told");
                streams.push(stream);
            }
            streams
        });
    }
    opening.join_all().await.into_iter().flatten().collect()
}

async fn listen(mut stream: Streaming<WatchJobResponse>) -> Heard {
    let mut heard = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        let now = system_now();
        if message.event() == WatchJobEvent::Transition {
            let job = message.job.unwrap();
            heard.push(((job.id, job.revision), now));
        }
    }
    heard
}

async fn cancel(replicas: &[Replica], jobs: &[i64]) {
    let mut clients = Vec::new();
    for replica in replicas {
        clients.push(Client::connect(&replica.url).await.unwrap());
    }
    let mut time = interval(STEP);
    for (id, client) in jobs.iter().zip(clients.iter().cycle()) {
        time.tick().await;
        let cancel = CancelJobRequest {
            id: *id,
            ..Default::default()
        };
        client.jobs().cancel_job(cancel).await.unwrap();
    }
}

/// When each transition was committed.
async fn commits(service: &Service) -> HashMap<(i64, i64), SystemTime> {
    let db = service.database("postgres").await;
    let statement = Statement::from_string(DbBackend::Postgres, COMMITS);
    let rows = db.query_all_raw(statement).await.unwrap();
    let commit = |row: sea_orm::QueryResult| {
        let number = |name| row.try_get::<i64>("", name).unwrap();
        let since = Duration::from_micros(number("committed").unsigned_abs());
        let step = (number("job_id"), number("revision"));
        (step, SystemTime::UNIX_EPOCH + since)
    };
    rows.into_iter().map(commit).collect()
}

/// Streams of jobs that stand in line behind one that does not end.
async fn idle(scale: &Scale, service: &Service) -> Table {
    let titles = [
        "Idle streams on one server",
        "transactions a second",
        "memory, MiB",
        "KiB each",
    ];
    let mut table = Table::new(&titles);
    service.clear().await;
    let db = service.database("postgres").await;
    make(service, "hang", 1).await;
    let worker = service.worker_of(1).await;
    while figure(&db, RUNNING).await < 1.0 {
        sleep(STEP).await;
    }
    let jobs = make(service, "fail", scale.streams).await;
    execute(&db, "VACUUM ANALYZE").await;
    let replica = [Replica::start(service)];
    let mut reading = JoinSet::new();
    let (mut few, mut opened) = (0.0, 0);
    for count in [0, FEW.min(scale.streams), scale.streams] {
        for stream in open(&replica, &jobs[opened..count]).await {
            reading.spawn(listen(stream));
        }
        sleep(SETTLED).await;
        let (begin, before) = (Instant::now(), figure(&db, TRANSACTIONS).await);
        sleep(scale.window * 5).await;
        let rate = (figure(&db, TRANSACTIONS).await - before) / begin.elapsed().as_secs_f64();
        let memory = replica[0].memory();
        let each = match count > FEW {
            true => format!("{:.1}", (memory - few) / (count - opened) as f64),
            false => String::new(),
        };
        (few, opened) = (memory, count);
        table.row(vec![
            count.to_string(),
            format!("{rate:.1}"),
            format!("{:.1}", memory / 1024.0),
            each,
        ]);
    }
    reading.shutdown().await;
    worker.hand_back().await;
    table
}
