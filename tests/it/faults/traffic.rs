//! The wake-ups of fifty other servers, which tell of what they do and of what they could do, and never take a job.

use std::time::Duration;

use atelier::events::Events;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::jobs::watch::wait_until_listening;
use crate::support::bench::{Bench, capability};
use crate::support::database::TestDatabase;
use crate::support::load::{Load, SETTINGS};
use crate::support::postgres::Cluster;
use crate::support::process::Process;

const REPLICAS: i64 = 50;
/// How often each has news, which is as often as it may tell some.
const NEWS: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_wake_ups_of_fifty_busy_servers_keep_nobody_from_what_he_asked_for() {
    let cluster = Cluster::with("max_connections = 200").await;
    let db = TestDatabase::on_server(cluster.url());
    let bench = Bench::new(&db).await;
    let settings = [&SETTINGS[..], &["executor.lease=30s"]].concat();
    let servers = [
        Process::serve(&db, db.media.path(), &settings).await,
        Process::serve(&db, db.media.path(), &settings).await,
    ];
    let mut replicas = JoinSet::new();
    for replica in 1..=REPLICAS {
        let (events, store) = (Events::default(), bench.app.store.clone());
        let idle = capability("scripted");
        events.offer(vec![idle], Vec::new(), 4);
        replicas.spawn(async move { tokio::join!(events.relay(&store), tell(&events, replica)) });
    }
    wait_until_listening(&db, REPLICAS + 2).await;
    let load = Load::begin(&[&servers[0], &servers[1]]).await;
    load.until_submitted(64).await;
    assert!(replicas.try_join_next().is_none(), "all of them still tell");
    let jobs = load.end(&db, &servers[0]).await;
    assert!(
        jobs.values().all(|job| job.attempt == 1),
        "no lease ran out"
    );
    replicas.shutdown().await;
}

/// Jobs of a replica come forward: its own, and such as the servers run.
async fn tell(events: &Events, replica: i64) {
    let mut moments = interval(NEWS);
    for number in 1.. {
        moments.tick().await;
        events.publish_progress(replica * 1_000_000 + number, replica * 1_000_000);
        events.publish_progress(number % 64, number % 32);
    }
}
