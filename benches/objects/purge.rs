//! How fast jobs are purged, and how much slower others are answered meanwhile.

use std::time::{Duration, Instant};

use atelier::app::{App, RunEnd};
use atelier::domain::RetentionStep;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, Statement};
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::intake::{Answered, Intake};
use crate::report::{Table, median, ratio};
use crate::scale::Scale;
use crate::service::{Service, USER};

/// Statements are as large as this many jobs.
const AT_ONCE: u64 = 100_000;
/// How a job came about.
const EVENTS: [(&str, u8); 3] = [("pending", 0), ("processing", 1), ("completed", 1)];

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    runtime.block_on(async {
        let begin = Instant::now();
        let feature = fill(service, scale.jobs).await;
        let (jobs, seconds) = (scale.jobs, begin.elapsed().as_secs());
        println!("{jobs} jobs that ended long ago, made in {seconds} s\n");
        let alone = purge(service.app(), scale.window).await;
        let mut intake = Intake::start(&service.url(), feature).await;
        intake.watch(scale.window).await;
        let (mut without, mut with, mut beside) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.rounds {
            without.push(intake.watch(scale.window).await);
            let purging = purge(service.app(), scale.window);
            let (answered, purged) = tokio::join!(intake.watch(scale.window), purging);
            with.push(answered);
            beside.push(purged);
        }
        print(alone, median(beside), [&without, &with]);
    });
}

/// Jobs that are purged in a second, as long as the window.
async fn purge(app: &App, window: Duration) -> f64 {
    let mut app = app.clone();
    let stop = CancellationToken::new();
    app.draining = stop.clone();
    let begin = Instant::now();
    let purging = tokio::spawn(async move { app.run_retention(None).await });
    sleep(window).await;
    stop.cancel();
    let runs = purging.await.unwrap();
    let [run] = &runs[..] else {
        panic!("one step is on: {runs:?}");
    };
    assert_eq!(run.step, RetentionStep::PurgeJobs);
    assert!(
        matches!(run.end, RunEnd::Stopping),
        "there must be more jobs than are purged in the time: {run:?}"
    );
    run.done as f64 / begin.elapsed().as_secs_f64()
}

/// Makes so many jobs of 200 days ago, each of a request of its own and with its events. Returns the feature that they are of.
async fn fill(service: &Service, jobs: u64) -> i64 {
    let mut options = ConnectOptions::new(service.database_url());
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.unwrap();
    let feature = "SELECT MIN(id) FROM generation_features WHERE category = 'image'";
    let feature = Statement::from_string(db.get_database_backend(), feature);
    let feature = db.query_one_raw(feature).await.unwrap().unwrap();
    let feature: i64 = feature.try_get_by_index(0).unwrap();
    // What refers to each other is made together, so nobody need look.
    let unchecked = "SET session_replication_role = replica";
    db.execute_unprepared(unchecked).await.unwrap();
    let mut left = jobs;
    while left > 0 {
        let count = left.min(AT_ONCE);
        let made = db.execute_unprepared(&ended(feature, count)).await.unwrap();
        assert!(made.rows_affected() > 0);
        left -= count;
    }
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        db.execute_unprepared(statement).await.unwrap();
    }
    db.close().await.unwrap();
    feature
}

fn ended(feature: i64, count: u64) -> String {
    let events = EVENTS.iter().zip(1..);
    let events = events.map(|((status, attempt), revision)| {
        format!("SELECT id, {revision}, CAST('{status}' AS generation_job_status_enum), {attempt}, completed_at FROM job")
    });
    let events = events.collect::<Vec<_>>().join(" UNION ALL ");
    format!(
        "WITH request AS (
             INSERT INTO generation_requests (user_id, feature_id, user_prompt, status, created_at, updated_at)
             SELECT {USER}, {feature}, 'x', 'completed', moment, moment
             FROM (SELECT NOW() - INTERVAL '200 days' + number * INTERVAL '1 ms' AS moment
                   FROM generate_series(1, {count}) AS number) AS moments
             RETURNING id, created_at),
         job AS (
             INSERT INTO generation_jobs
                 (request_id, user_id, feature_id, category, input_json, status, created_at, completed_at)
             SELECT id, {USER}, {feature}, 'image', '{{}}', 'completed', created_at, created_at FROM request
             RETURNING id, completed_at)
         INSERT INTO generation_job_events (job_id, revision, status, attempt, created_at) {events}"
    )
}

fn print(alone: f64, beside: f64, [without, with]: [&[Answered]; 2]) {
    type Figure = fn(&Answered) -> f64;
    let of =
        |answered: &[Answered], what: Figure| -> Vec<f64> { answered.iter().map(what).collect() };
    let mut table = Table::new(&["Intake", "without a purge", "beside one", "ratio"]);
    let rows: [(&str, Figure); 3] = [
        ("requests a second", |it| it.rate),
        ("99 of 100 within, ms", |it| it.p99 * 1e3),
        ("the longest of a round, ms", |it| it.longest * 1e3),
    ];
    for (name, what) in rows {
        let (without, with) = (of(without, what), of(with, what));
        table.row(vec![
            name.to_owned(),
            format!("{:.1}", median(without.clone())),
            format!("{:.1}", median(with.clone())),
            format!("{:.2}", ratio(&with, &without)),
        ]);
    }
    table.print();
    println!("Purged: {alone:.0} jobs a second alone, {beside:.0} beside intake\n");
}
