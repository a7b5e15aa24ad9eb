//! How fast a worker of 64 slots empties a full queue, with every transition's event and every request's status.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::pgbench::{self, AT_ONCE, TAKE_AND_COMPLETE, Until};
use crate::report::{Table, median, ratio};
use crate::scale::Scale;
use crate::service::{JOBS, Service, asked, execute, figure};

/// Workers of the reference.
const CLIENTS: usize = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// From the first claim to the last end, by the rows' own times.
const RATE: &str = "SELECT CAST(COUNT(*) / EXTRACT(EPOCH FROM MAX(completed_at) - MIN(started_at)) AS DOUBLE PRECISION)
                    FROM generation_jobs";
const LEFT: &str = "SELECT CAST(COUNT(*) AS DOUBLE PRECISION) FROM (
                        SELECT 1 FROM generation_jobs WHERE status IN ('pending', 'processing') AND deleted_at IS NULL LIMIT 1
                    ) AS first";

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    let (mut ends, mut draws, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        let ending = drain(service, (service.ends, "fail"), scale.requests);
        ends.push(runtime.block_on(ending));
        let drawing = drain(
            service,
            (service.draws, "succeed"),
            scale.requests.div_ceil(4),
        );
        draws.push(runtime.block_on(drawing));
        runtime.block_on(fill_specification(service, scale.requests));
        let jobs = scale.requests * JOBS.unsigned_abs() as usize;
        let until = Until::Done(jobs / AT_ONCE / CLIENTS);
        let rate = pgbench::rate(service, TAKE_AND_COMPLETE, CLIENTS, until);
        alone.push(rate * AT_ONCE as f64);
    }
    let titles = [
        "Jobs a second ended",
        "Atelier",
        "pgbench, by fifties",
        "ratio",
    ];
    let mut table = Table::new(&titles);
    for (name, ours) in [("that do nothing", ends), ("that draw 64 x 64", draws)] {
        table.row(vec![
            name.to_owned(),
            format!("{:.0}", median(ours.clone())),
            format!("{:.0}", median(alone.clone())),
            format!("{:.2}", ratio(&ours, &alone)),
        ]);
    }
    table.print();
}

async fn drain(service: &Service, (feature, step): (i64, &str), requests: usize) -> f64 {
    service.clear().await;
    let mut client = service.clients(1).await.remove(0).requests();
    for number in 0..requests {
        let mut request = asked(feature, step, i64::try_from(number).unwrap());
        request.input.as_mut().unwrap().variations = JOBS;
        client.create_request(request).await.unwrap();
    }
    let db = service.database("postgres").await;
    execute(&db, "VACUUM ANALYZE").await;
    execute(&db, "CHECKPOINT").await;
    let worker = service.worker().await;
    until_drained(service).await;
    worker.hand_back().await;
    figure(&db, RATE).await
}

/// Waits until nothing waits or runs.
pub(crate) async fn until_drained(service: &Service) {
    let db = service.database("postgres").await;
    while figure(&db, LEFT).await > 0.0 {
        sleep(LOOK_AGAIN).await;
    }
}

async fn fill_specification(service: &Service, requests: usize) {
    service.clear().await;
    let db = service.database("specification").await;
    let fill = format!(
        "WITH request AS (
             INSERT INTO generation_requests (user_id, feature_id, user_prompt)
             SELECT 1, 1, 'x' FROM generate_series(1, {requests}) RETURNING id, user_id)
         INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
         SELECT id, user_id, 1, 'image', '{{}}' FROM request, generate_series(1, {JOBS})"
    );
    execute(&db, &fill).await;
    execute(&db, "VACUUM ANALYZE").await;
    execute(&db, "CHECKPOINT").await;
}
