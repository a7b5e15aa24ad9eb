//! Several executors on one database share the work: each job runs once.

use std::collections::{BTreeMap, BTreeSet};

use atelier::rpc::proto::{JobStatus, ListJobsRequest};
use atelier::server::Role;

use crate::support::client::{USER, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::script::Script;
use crate::support::server::TestServer;

const JOBS: usize = 500;
/// The most that one request may ask for, so that the queue fills faster than it empties.
const VARIATIONS: usize = 16;

on_both_databases! {
    async fn two_executors_run_each_of_five_hundred_jobs_once(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("first".to_owned());
        }).await;
        let other = server.beside(Role::All, &db, |config| {
            config.executor.worker_id = Some("second".to_owned());
        }).await;
        let script = Script::new(&["succeed"]);
        let jobs = create_jobs(&server, &script).await;

        // In turns through both servers, so that each also tells of what the other ran.
        for (index, job) in jobs.iter().enumerate() {
            let watched_on = if index % 2 == 0 { &server } else { &other };
            let transitions = watched_on.watch(*job).await.transitions().await;
            assert_eq!(transitions.len(), 3, "job {job}: {transitions:?}");
            assert_eq!(transitions[2].media.len(), 1);
        }

        let submitted = script.calls_of("submit");
        assert_eq!(submitted.len(), JOBS);
        assert_eq!(submitted.iter().map(|call| call.job).collect::<BTreeSet<_>>(), jobs);
        assert_eq!(script.calls_of("done").len(), JOBS);
        let by_worker = completed_by_worker(&server).await;
        assert_eq!(by_worker.values().sum::<usize>(), JOBS);
        assert_eq!(by_worker.keys().collect::<Vec<_>>(), ["first", "second"], "{by_worker:?}");
        server.stop().await;
        other.stop().await;
    }
}

async fn create_jobs(server: &TestServer, script: &Script) -> BTreeSet<i64> {
    let feature = server.scripted_feature().await;
    let mut jobs = BTreeSet::new();
    while jobs.len() < JOBS {
        let mut asked = scripted_request(feature, script);
        let variations = VARIATIONS.min(JOBS - jobs.len());
        asked.input.get_or_insert_default().variations = variations as i32;
        jobs.extend(server.create(asked).await.1.iter().map(|job| job.id));
    }
    jobs
}

async fn completed_by_worker(server: &TestServer) -> BTreeMap<String, usize> {
    let request = ListJobsRequest {
        user_id: USER,
        statuses: vec![JobStatus::Completed.into()],
        page_size: 1_000,
        ..Default::default()
    };
    let listed = server.jobs().list_jobs(request).await.unwrap().into_inner();
    let mut workers = BTreeMap::new();
    for job in listed.jobs {
        *workers.entry(job.worker_id).or_default() += 1;
    }
    workers
}
