//! What a claim and a page of a list cost however much there is: rows are made by SQL, without events and media.

use std::time::{Duration, Instant};

use atelier::client::Client;
use atelier::client::proto::ListJobsRequest;
use atelier::domain::{MediaType, job::Capability};
use sea_orm::DatabaseConnection;
use tokio::runtime::Runtime;

use crate::report::{Table, median};
use crate::scale::Scale;
use crate::service::{Service, execute, figure};

/// Jobs of a request, and of a user that wait if there are enough users.
const EACH: usize = 100;
/// What there is of users, and of finished and parked jobs beside those that wait.
const USERS_PER_JOB: usize = 100;
const FINISHED_PER_JOB: usize = 5;
const JOBS_PER_PARKED: usize = 10;
/// The queue that the others are compared with.
const FEW: usize = 1_000;
const CLAIMS: usize = 40;
const JOBS_PER_CLAIM: u32 = 10;
const LEASE: Duration = Duration::from_secs(3_600);

const PAGE: usize = 1_000;
/// Pages before those that are measured, as many as [`PAGES`] at each.
const DEPTHS: [usize; 3] = [0, 100, 1_000];
const PAGES: usize = 9;

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    runtime.block_on(async {
        service.clear().await;
        let pending = scale.pending;
        let finished = pending * FINISHED_PER_JOB;
        let (parked, users) = (pending / JOBS_PER_PARKED, pending / USERS_PER_JOB);
        let mut table = Table::new(&["Milliseconds of a claim of ten jobs", "p50", "ratio"]);
        let db = service.database("postgres").await;
        fill(&db, service, FEW, ("", "")).await;
        let few = claims(service, &db).await;
        table.row(cells(format!("{FEW} wait"), few, few));
        let ended = (
            ", status, started_at, completed_at",
            ", 'completed', now() - INTERVAL '1 minute', now()",
        );
        fill(&db, service, finished, ended).await;
        let behind = claims(service, &db).await;
        table.row(cells(
            format!("the same, and {finished} have ended"),
            behind,
            few,
        ));
        fill(&db, service, parked, (", parked", ", TRUE")).await;
        fill(&db, service, pending, ("", "")).await;
        let many = claims(service, &db).await;
        let name = format!(
            "{pending} of {users} users wait, {parked} more for their time, {finished} have ended"
        );
        table.row(cells(name, many, few));
        table.print();
        pages(service).await.print();
        service.clear().await;
    });
}

fn cells(name: String, time: f64, few: f64) -> Vec<String> {
    vec![name, format!("{time:.2}"), format!("{:.2}", time / few)]
}

/// Adds so many jobs, each of the users' in turn a hundred, and has the disk take them.
async fn fill(
    db: &DatabaseConnection,
    service: &Service,
    jobs: usize,
    (columns, values): (&str, &str),
) {
    let (feature, requests) = (service.ends, jobs.div_ceil(EACH));
    let last = figure(
        db,
        "SELECT CAST(COALESCE(MAX(id), 0) AS DOUBLE PRECISION) FROM generation_requests",
    );
    let last = last.await as i64;
    let fill = format!(
        "SET session_replication_role = replica;
         INSERT INTO users (id) SELECT generate_series(1, {requests}) ON CONFLICT DO NOTHING;
         INSERT INTO generation_requests (id, user_id, feature_id, user_prompt)
             SELECT {last} + n, n, {feature}, 'x' FROM generate_series(1, {requests}) AS n;
         INSERT INTO generation_jobs
             (request_id, user_id, feature_id, category, input_json, provider, pass, run_after{columns})
         SELECT {last} + n / {EACH} + 1, n / {EACH} + 1, {feature}, 'image', '{{}}', 'scripted', n % {EACH},
             CASE WHEN {parked} THEN now() + INTERVAL '1 day' ELSE now() END{values}
         FROM generate_series(0, {jobs} - 1) AS n;
         SET session_replication_role = origin",
        parked = columns.contains("parked"),
    );
    execute(db, &fill).await;
    execute(db, "VACUUM ANALYZE").await;
    execute(db, "CHECKPOINT").await;
}

/// What lies in the middle of some claims, in milliseconds. What they have taken goes back.
async fn claims(service: &Service, db: &DatabaseConnection) -> f64 {
    let kind = [Capability {
        provider: "scripted".to_owned(),
        category: MediaType::Image,
    }];
    let mut times = Vec::new();
    for _ in 0..CLAIMS {
        let begin = Instant::now();
        let claimed = service
            .app()
            .claim_jobs("bench", JOBS_PER_CLAIM, LEASE, &kind);
        let claimed = claimed.await.unwrap();
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(claimed.len(), JOBS_PER_CLAIM as usize);
    }
    let back =
        "UPDATE generation_jobs SET status = 'pending', lease_token = NULL, lease_expires_at = NULL
        WHERE status = 'processing'";
    execute(db, back).await;
    execute(db, "VACUUM generation_jobs").await;
    median(times)
}

/// Pages of all jobs, one after the other.
async fn pages(service: &Service) -> Table {
    let mut table = Table::new(&["Jobs before a page of 1,000", "milliseconds", "ratio"]);
    let client = Client::connect(&service.url()).await.unwrap();
    let mut request = ListJobsRequest {
        page_size: i32::try_from(PAGE).unwrap(),
        ..Default::default()
    };
    let (mut times, mut first) = (Vec::new(), None);
    for page in 0.. {
        let begin = Instant::now();
        let listed = client.jobs().list_jobs(request.clone()).await;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        request.page_token = listed.unwrap().into_inner().next_page_token;
        let depth = DEPTHS.into_iter().find(|depth| depth + PAGES == page + 1);
        if let Some(depth) = depth {
            let time = median(times.split_off(depth));
            let first = *first.get_or_insert(time);
            table.row(cells((depth * PAGE).to_string(), time, first));
            times.resize(page + 1, 0.0);
        }
        if request.page_token.is_empty() || page + 1 == DEPTHS[DEPTHS.len() - 1] + PAGES {
            break;
        }
    }
    table
}
