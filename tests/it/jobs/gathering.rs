//! Attempts that end at the same time are recorded in one transaction, and each is told what has become of its job.

use std::collections::BTreeSet;

use atelier::app::AttemptEnd;
use atelier::domain::{JobStatus, JsonMap, Reason, RequestStatus, job::Failure, sha256_hex};
use atelier::entity::{job, media};
use atelier::store::queue::Lease;
use futures::future::join_all;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

use crate::support::bench::{Bench, lease, output};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::server::within;

on_both_databases! {
    async fn jobs_that_complete_at_once_are_told_each_what_has_become_of_it(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let (whole, half) = (bench.request(3, 0).await, bench.request(2, 0).await);
        let claimed = bench.claim(5).await;
        let lost = Lease { token: "another".to_owned(), ..lease(&claimed[2]) };
        let leases: Vec<Lease> = claimed.iter().map(lease).collect();
        let attempts = [&leases[0], &leases[1], &leases[2], &lost, &leases[3], &leases[1]];
        let complete = |(place, lease): (usize, &Lease)| {
            let (bench, lease) = (&bench, lease.clone());
            let mut output = output(&lease);
            // The files of two are equal, as far as their user has them twice.
            let content = ["first", "same", "same", "lost", "other", "same"][place];
            output.file.inspected.facts.sha256 = sha256_hex(content.as_bytes());
            let metadata: JsonMap = json!({ "place": place }).as_object().unwrap().clone();
            async move { bench.app.complete_job(&lease, &[output], metadata).await.unwrap() }
        };
        let ended = within(join_all(attempts.into_iter().enumerate().map(complete))).await;

        let ids = |ended: &[Option<job::Model>]| ended.iter().map(|it| it.as_ref().map(|it| it.id)).collect::<Vec<_>>();
        let id = |place: usize| Some(claimed[place].id);
        assert_eq!(ids(&ended), [id(0), id(1), id(2), None, id(3), None]);
        for (place, told) in ended.iter().flatten().enumerate() {
            assert_eq!(bench.job(told.id).await, *told);
            let metadata = told.output_metadata.as_ref().unwrap();
            assert_eq!(metadata["place"], [0, 1, 2, 4][place]);
            assert_eq!((told.status, told.progress, told.lease_token.as_ref()), (JobStatus::Completed, 1.0, None));
            let events = bench.events(told.id).await;
            assert_eq!(events.last().unwrap().status, JobStatus::Completed);
            assert_eq!(events.len(), 3);
        }
        assert_eq!(bench.request_status(whole[0].request_id).await, RequestStatus::Completed);
        assert_eq!(bench.request_status(half[0].request_id).await, RequestStatus::Processing);
        let connection = db.connect().await;
        let media = media::Entity::find().order_by_asc(media::Column::Id).all(&connection);
        let media = media.await.unwrap();
        let made: Vec<_> = media.iter().map(|it| it.job_id).collect();
        assert_eq!(made, [id(0), id(1), id(2), id(3)]);
        let files: BTreeSet<_> = media.iter().map(|it| it.storage_key.clone().unwrap()).collect();
        assert_eq!(files.len(), 3, "one of the equal ones is kept: {files:?}");
        assert_eq!(media[1].storage_key, media[2].storage_key);
        assert_eq!(media[1].media_url, media[2].media_url);
        assert_gathered(&db, "completed").await;
    }

    async fn jobs_that_fail_at_once_are_told_each_what_has_become_of_it(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = bench.request(4, 0).await;
        let claimed = bench.claim(4).await;
        let mut leases: Vec<Lease> = claimed.iter().map(lease).collect();
        leases[3].token = "another".to_owned();
        let fail = |(place, lease): (usize, Lease)| {
            let failure = Failure::new(Reason::ProviderRejectedInput, format!("Sentence {place}."));
            let failure = match place {
                0 => failure,
                _ => failure.with_detail(format!("detail {place}")),
            };
            let bench = &bench;
            async move { bench.app.end_attempt(&lease, &AttemptEnd::Fail(failure)).await.unwrap() }
        };
        let ended = within(join_all(leases.into_iter().enumerate().map(fail))).await;

        for (place, told) in ended.iter().enumerate().take(3) {
            let told = told.as_ref().unwrap();
            assert_eq!(bench.job(told.id).await, *told);
            assert_eq!((told.id, told.status), (claimed[place].id, JobStatus::Failed));
            assert_eq!(told.error_code.as_deref(), Some("PROVIDER_REJECTED_INPUT"));
            assert_eq!(told.error_message, Some(format!("Sentence {place}.")));
            assert_eq!(told.error_detail, (place > 0).then(|| format!("detail {place}")));
            assert_eq!(bench.events(told.id).await.len(), 3);
        }
        assert_eq!(ended[3], None);
        assert_eq!(bench.job(claimed[3].id).await.status, JobStatus::Processing);
        assert_eq!(bench.request_status(jobs[0].request_id).await, RequestStatus::Processing);
        assert_gathered(&db, "failed").await;
    }
}

/// In one, or in two if the first had begun when the others came.
async fn assert_gathered(db: &TestDatabase, status: &str) {
    if db.backend == Backend::Postgres {
        let gathered = format!(
            "SELECT (count(DISTINCT xmin::text) <= 2)::text FROM generation_job_events WHERE status = '{status}'"
        );
        assert_eq!(db.texts(&gathered).await, ["true"]);
    }
}
